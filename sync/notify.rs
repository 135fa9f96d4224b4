//! Notifications without a value. A waiter that is notified keeps its slot in the wait list until its future takes the
//! notification. The payload says which call it was: a notification of `notify_one` passes on to another waiter if the
//! future is dropped, and one of `notify_waiters` does not.

use super::wait_list::{Key, WaitList};
use crate::runtime::waker;
use crate::task::coop;
use std::cell::Cell;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// Notifies one or all of the tasks that wait, without a value.
///
/// [`notify_one`](Self::notify_one) stores one notification if nobody waits: the next call of
/// [`notified`](Self::notified) completes at once. So a task that looks at shared state, and then waits for a change of
/// it, misses none. [`notify_waiters`](Self::notify_waiters) stores nothing.
///
/// # Examples
///
/// A queue with one consumer:
///
/// ```
/// use runtime::sync::Notify;
/// use std::cell::RefCell;
/// use std::rc::Rc;
///
/// # runtime::block_on(async {
/// let shared = Rc::new((RefCell::new(Vec::new()), Notify::new()));
/// let consumer = runtime::spawn({
///     let shared = shared.clone();
///     async move {
///         loop {
///             let next = shared.0.borrow_mut().pop();
///             match next {
///                 Some(value) => return value,
///                 None => shared.1.notified().await,
///             }
///         }
///     }
/// });
/// runtime::task::yield_now().await;
/// shared.0.borrow_mut().push(7);
/// shared.1.notify_one();
/// assert_eq!(consumer.await.unwrap(), 7);
/// # });
/// ```
#[derive(Debug)]
pub struct Notify {
    /// `true` while a notification is stored. Then no future waits.
    is_notified: Cell<bool>,
    /// The number of calls of `notify_waiters`. A future that is older than a call has been notified by it.
    broadcasts: Cell<usize>,
    waiters: WaitList<Notification>,
}

/// The call that notified a waiter.
#[derive(Clone, Copy, Debug)]
enum Notification {
    One,
    Last,
    /// By `notify_waiters`, or not yet.
    All,
}

impl Notify {
    /// Creates a `Notify` without a stored notification.
    pub const fn new() -> Notify {
        Notify { is_notified: Cell::new(false), broadcasts: Cell::new(0), waiters: WaitList::new() }
    }

    /// Creates a `Notify` without a stored notification. This is the same as [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Notify;
    ///
    /// thread_local! {
    ///     static CHANGED: Notify = const { Notify::const_new() };
    /// }
    /// CHANGED.with(Notify::notify_one);
    /// ```
    pub const fn const_new() -> Notify {
        Notify::new()
    }

    /// Waits for a notification.
    ///
    /// If one is stored, the future takes it and is ready at its first poll. Otherwise it waits in a queue, in which it
    /// has its place from the first poll on, or from [`enable`](Notified::enable) on. It is also notified by every
    /// [`notify_waiters`](Self::notify_waiters) that is called after the future was created, even before its first poll.
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses its place in the queue. If it had been notified by `notify_one` or `notify_last`, the
    /// notification passes on to another.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let notify = runtime::sync::Notify::new();
    /// notify.notify_one();
    /// notify.notify_one(); // One notification is stored, not two.
    /// notify.notified().await;
    /// # });
    /// ```
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, wait: self.wait() }
    }

    /// Waits for a notification with a future that keeps the `Notify` alive. Otherwise this is the same as
    /// [`notified`](Self::notified).
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses its place in the queue. If it had been notified by `notify_one` or `notify_last`, the
    /// notification passes on to another.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Notify;
    /// use std::sync::Arc;
    ///
    /// # runtime::block_on(async {
    /// let notify = Arc::new(Notify::new());
    /// let task = runtime::spawn(notify.clone().notified_owned());
    /// notify.notify_one();
    /// task.await.unwrap();
    /// # });
    /// ```
    pub fn notified_owned(self: Arc<Self>) -> OwnedNotified {
        OwnedNotified { wait: self.wait(), notify: self }
    }

    fn wait(&self) -> Wait {
        Wait { broadcasts: self.broadcasts.get(), stage: Stage::Created }
    }

    /// Notifies the task that has waited longest. If nobody waits, stores the notification for the next one.
    ///
    /// At most one notification is stored.
    #[inline]
    pub fn notify_one(&self) {
        self.notify(Notification::One);
    }

    /// Notifies the task that began to wait last. If nobody waits, stores the notification for the next one.
    #[inline]
    pub fn notify_last(&self) {
        self.notify(Notification::Last);
    }

    fn notify(&self, notification: Notification) {
        let set = |payload: &mut Notification| *payload = notification;
        let is_granted = match notification {
            Notification::Last => self.waiters.grant_last(set),
            Notification::One | Notification::All => self.waiters.grant_first(set),
        };
        if is_granted {
            self.waiters.wake_granted();
        } else {
            self.is_notified.set(true);
        }
    }

    /// Notifies all futures that [`notified`](Self::notified) has returned before this call. Stores nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let notify = runtime::sync::Notify::new();
    /// let (one, two) = (notify.notified(), notify.notified());
    /// notify.notify_waiters();
    /// one.await;
    /// two.await;
    /// # });
    /// ```
    pub fn notify_waiters(&self) {
        self.broadcasts.set(self.broadcasts.get().wrapping_add(1));
        self.waiters.grant_while(|_| true);
        self.waiters.wake_granted();
    }
}

impl Default for Notify {
    fn default() -> Notify {
        Notify::new()
    }
}

// A panic of user code leaves it consistent.
impl std::panic::UnwindSafe for Notify {}
impl std::panic::RefUnwindSafe for Notify {}

/// The future of [`Notify::notified`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct Notified<'a> {
    notify: &'a Notify,
    wait: Wait,
}

/// The future of [`Notify::notified_owned`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct OwnedNotified {
    notify: Arc<Notify>,
    wait: Wait,
}

impl Notified<'_> {
    /// Gives the future its place in the queue without a poll. Returns true if it has been notified already.
    ///
    /// A future that is enabled, or has been polled, receives the next notification of
    /// [`notify_one`](Notify::notify_one). So a task enables it, looks at the shared state, and then awaits it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// # runtime::block_on(async {
    /// let notify = runtime::sync::Notify::new();
    /// let (mut one, mut two) = (pin!(notify.notified()), pin!(notify.notified()));
    /// assert!(!one.as_mut().enable());
    /// assert!(!two.as_mut().enable());
    /// notify.notify_one();
    /// notify.notify_one(); // The second is stored for nobody else.
    /// one.await;
    /// two.await;
    /// # });
    /// ```
    pub fn enable(mut self: Pin<&mut Self>) -> bool {
        let this = &mut *self;
        this.wait.is_notified(this.notify, None)
    }
}

impl OwnedNotified {
    /// Gives the future its place in the queue without a poll. Returns true if it has been notified already.
    ///
    /// See [`Notified::enable`].
    pub fn enable(mut self: Pin<&mut Self>) -> bool {
        let this = &mut *self;
        this.wait.is_notified(&this.notify, None)
    }
}

impl Future for Notified<'_> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.wait.poll(this.notify, cx)
    }
}

impl Future for OwnedNotified {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.wait.poll(&this.notify, cx)
    }
}

impl Drop for Notified<'_> {
    #[inline]
    fn drop(&mut self) {
        self.wait.cancel(self.notify);
    }
}

impl Drop for OwnedNotified {
    #[inline]
    fn drop(&mut self) {
        self.wait.cancel(&self.notify);
    }
}

/// The state of a future, without the `Notify` that it belongs to.
#[derive(Debug)]
struct Wait {
    /// The number of broadcasts when the future was created.
    broadcasts: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Created,
    Queued(Key),
    Notified,
}

impl Wait {
    #[inline]
    fn poll(&mut self, notify: &Notify, cx: &mut Context<'_>) -> Poll<()> {
        // Queued before the budget is looked at, so that nobody overtakes it meanwhile.
        if !self.is_notified(notify, Some(cx.waker())) {
            return Poll::Pending;
        }
        ready!(coop::poll_budget(cx));
        coop::spend();
        Poll::Ready(())
    }

    /// Returns true if the future has been notified. Otherwise it has its place in the queue.
    fn is_notified(&mut self, notify: &Notify, waker: Option<&Waker>) -> bool {
        let is_notified = match &self.stage {
            Stage::Created => self.take(notify) || !self.enqueue(notify, waker),
            Stage::Queued(key) => match waker {
                Some(waker) => notify.waiters.poll_granted(key, waker),
                None => notify.waiters.is_granted(key),
            },
            Stage::Notified => true,
        };
        if is_notified && let Stage::Queued(key) = mem::replace(&mut self.stage, Stage::Notified) {
            notify.waiters.remove(key);
        }
        is_notified
    }

    /// Takes a notification that was made before the future was queued.
    #[inline]
    fn take(&self, notify: &Notify) -> bool {
        // A broadcast leaves the stored notification to others.
        notify.broadcasts.get() != self.broadcasts || notify.is_notified.take()
    }

    /// Queues the waiter, unless the clone of its waker has led to a notification.
    fn enqueue(&mut self, notify: &Notify, waker: Option<&Waker>) -> bool {
        let waker = waker.cloned();
        let is_notified = self.take(notify);
        if is_notified {
            waker::discard_each(waker);
        } else {
            self.stage = Stage::Queued(notify.waiters.push_back(Notification::All, waker));
        }
        !is_notified
    }

    /// Leaves the queue, and passes on a notification that was meant for one waiter.
    #[inline]
    fn cancel(&mut self, notify: &Notify) {
        if let Stage::Queued(key) = mem::replace(&mut self.stage, Stage::Notified) {
            let removed = notify.waiters.remove(key);
            if removed.is_granted && !matches!(removed.payload, Notification::All) {
                notify.notify(removed.payload);
            }
        }
    }
}
