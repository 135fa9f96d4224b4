//! A set of tasks that end together: tokio's `LocalSet`, for programs that come from there.
//!
//! In tokio the set is what drives tasks that are not `Send`. Here the runtime drives all tasks, and
//! none has to be; what is left of the set is that its tasks end with it, that it can be awaited
//! until they have ended, and that tasks can be put in before there is a runtime.

use super::{AbortHandle, JoinHandle};
use crate::runtime::Runtime;
use crate::runtime::join::spawn::{spawn, spawn_for, spawn_later};
use crate::runtime::waker::WakerCell;
use crate::runtime::{context, unwind};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

/// Tasks that end together.
///
/// Awaited, it is ready when all its tasks have ended. When it is dropped, those that are left are
/// aborted: they are dropped in their next turn. What one of them, or a guard that is left, would still
/// put in is dropped unpolled, and counts as aborted. A new program has little need of it, for
/// [`spawn`](crate::spawn) takes any future; it is here so that programs for tokio's set run as they are.
///
/// Unlike tokio's, the set does not drive its tasks: once started they go on whenever the runtime
/// turns, whether the set is awaited or not.
///
/// # Examples
///
/// ```
/// use runtime::task::{LocalSet, spawn_local};
/// use std::rc::Rc;
///
/// # runtime::block_on(async {
/// let shared = Rc::new(42);
/// let set = LocalSet::new();
/// let output = set.run_until(async move { spawn_local(async move { *shared }).await.unwrap() });
/// assert_eq!(output.await, 42);
/// # });
/// ```
#[derive(Default)]
pub struct LocalSet {
    set: Rc<Set>,
}

#[derive(Default)]
struct Set {
    /// Tasks that were put in while there was no runtime.
    waiting: RefCell<Vec<Box<dyn FnOnce()>>>,
    members: RefCell<HashMap<u64, Option<AbortHandle>>>,
    last: Cell<u64>,
    /// The set itself has gone; what still belongs to it is about to end.
    closed: Cell<bool>,
    /// Who awaits the set.
    waiter: WakerCell,
}

/// The sets that are entered on a thread, with numbers that grow; what runs now belongs to the last one.
type Entered = Vec<(usize, Rc<Set>)>;

thread_local! {
    // Not dropped by the thread's end, so that sets work in the destructors of other thread-locals.
    static ENTERED: RefCell<ManuallyDrop<Entered>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
    static CLEANUP: Cleanup = const { Cleanup };
}

/// Empties [`ENTERED`] at the thread's end: of guards that were forgotten, and of its memory.
struct Cleanup;

impl Cleanup {
    /// Has the thread's end empty it. False if that has come already.
    fn register() -> bool {
        CLEANUP.try_with(|_| ()).is_ok()
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        drop(ManuallyDrop::into_inner(ENTERED.take()));
    }
}

impl LocalSet {
    /// An empty set.
    pub fn new() -> LocalSet {
        LocalSet::default()
    }

    /// Puts a task in. It starts at once if a runtime is entered on this thread, and otherwise when
    /// the set is first awaited.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.set.spawn(future)
    }

    /// Runs a future; what it starts by [`spawn_local`] belongs to the set.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as the future is. The tasks stay in the set.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.set.start();
            let _current = enter(self.set.clone());
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Turns the runtime's loop until the future is ready, as [`run_until`](LocalSet::run_until).
    ///
    /// # Panics
    ///
    /// As [`Runtime::block_on`].
    #[track_caller]
    pub fn block_on<F: Future>(&self, runtime: &Runtime, future: F) -> F::Output {
        runtime.block_on(self.run_until(future))
    }

    /// Has [`spawn_local`] put tasks into this set until the guard is dropped.
    pub fn enter(&self) -> LocalEnterGuard {
        enter(self.set.clone())
    }
}

/// Ready when all tasks have ended.
impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.set.start();
        let is_empty = || self.set.members.borrow().is_empty();
        if is_empty() {
            return Poll::Ready(());
        }
        self.set.waiter.leave(cx.waker());
        // A foreign waker's clone is user code, under which the last may have gone.
        if is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        self.set.closed.set(true);
        // Those that have not started are dropped here and now. Their panics end there, and the others are
        // aborted all the same.
        unwind::drop_each(self.set.waiting.take());
        let left: Vec<AbortHandle> = self.set.members.borrow().values().flatten().cloned().collect();
        left.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet").field("tasks", &self.set.members.borrow().len()).finish()
    }
}

impl Set {
    #[cfg_attr(debug_assertions, track_caller)]
    fn spawn<F>(self: &Rc<Set>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if self.closed.get() {
            // Never started. Its drop is user code, as that of an argument is.
            return spawn_later(future, false).0;
        }
        let key = self.last.get() + 1;
        self.last.set(key);
        // Before it starts: it may end at once.
        self.members.borrow_mut().insert(key, None);
        let member = LocalTask { future, membership: Membership { set: self.clone(), key } };
        let handle = if context::is_entered() {
            spawn(member)
        } else {
            let (handle, start) = spawn_later(member, false);
            self.waiting.borrow_mut().push(Box::new(start));
            handle
        };
        if let Some(abort) = self.members.borrow_mut().get_mut(&key) {
            *abort = Some(handle.abort_handle());
        }
        handle
    }

    /// Starts what has waited for a runtime.
    ///
    /// # Panics
    ///
    /// If there is something to start, and no runtime is entered on this thread.
    fn start(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        // Before anything is taken out, for this may panic.
        context::with(|_| ());
        let waiting = self.waiting.take();
        waiting.into_iter().for_each(|start| start());
    }
}

pin_project_lite::pin_project! {
    /// A task of a set. The future is dropped before the membership.
    struct LocalTask<F> {
        #[pin]
        future: F,
        membership: Membership,
    }
}

/// Ends with its task, however that ends.
struct Membership {
    set: Rc<Set>,
    key: u64,
}

impl<F: Future> Future for LocalTask<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _current = enter(this.membership.set.clone());
        this.future.poll(cx)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut members = self.set.members.borrow_mut();
        members.remove(&self.key);
        let is_empty = members.is_empty();
        drop(members);
        if is_empty {
            self.set.waiter.wake();
        }
    }
}

/// From [`LocalSet::enter`]. Dropped, it has [`spawn_local`] do what it would without it, in whatever order
/// several guards are dropped.
#[must_use = "dropped at once, it has no effect"]
pub struct LocalEnterGuard {
    number: usize,
    thread: PhantomData<*const ()>,
}

fn enter(set: Rc<Set>) -> LocalEnterGuard {
    Cleanup::register();
    let number = ENTERED.with_borrow_mut(|entered| {
        let number = entered.last().map_or(0, |(last, _)| last + 1);
        entered.push((number, set));
        number
    });
    LocalEnterGuard { number, thread: PhantomData }
}

impl Drop for LocalEnterGuard {
    fn drop(&mut self) {
        let left = ENTERED.with_borrow_mut(|entered| {
            let index = entered.iter().rposition(|(number, _)| *number == self.number)?;
            let left = entered.remove(index);
            if entered.is_empty() && !Cleanup::register() {
                entered.shrink_to_fit();
            }
            Some(left)
        });
        // Under no borrow: with the set may go what is yet to be started in it.
        drop(left);
    }
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalEnterGuard")
    }
}

/// Starts a task on this thread, as [`spawn`](crate::spawn) does, whose tasks need not be `Send`
/// either. In a [`LocalSet`] the task belongs to the set.
///
/// # Panics
///
/// If neither a runtime nor a [`LocalSet`] is entered on this thread.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let local = std::rc::Rc::new(42);
/// let task = runtime::task::spawn_local(async move { *local });
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let current = ENTERED.with_borrow(|entered| entered.last().map(|(_, set)| set.clone()));
    match current {
        Some(set) => set.spawn(future),
        None => spawn_for("spawn_local", future),
    }
}
