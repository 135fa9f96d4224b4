//! A set of tasks that end together, after tokio's `LocalSet`. It exists for programs written for tokio.
//!
//! In tokio the set drives tasks that are not `Send`. Here the runtime drives all tasks, and no task has to
//! be `Send`. The set keeps three features: its tasks end when it is dropped, it can be awaited until they
//! have ended, and tasks can be spawned into it before there is a runtime.

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

/// A set of tasks that end together.
///
/// The set is a future that is ready when all its tasks have ended. When the set is dropped, the tasks that
/// have not ended are aborted: each is dropped in its next turn. A future that is spawned into a dropped set,
/// by one of its tasks or through a guard that is still alive, is dropped without being polled, and its task
/// counts as aborted. New programs rarely need a set, because [`spawn`](crate::spawn) accepts any future. The
/// type exists so that programs written for tokio's `LocalSet` work unchanged.
///
/// Unlike tokio's, this set does not drive its tasks. Once started, they run whenever the runtime turns, even
/// if the set is not awaited.
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
    /// Tasks that were spawned before there was a runtime.
    waiting: RefCell<Vec<Box<dyn FnOnce()>>>,
    members: RefCell<HashMap<u64, Option<AbortHandle>>>,
    last: Cell<u64>,
    /// True once the `LocalSet` has been dropped. The remaining tasks are about to end.
    closed: Cell<bool>,
    /// The waker of the task that awaits the set.
    waiter: WakerCell,
}

/// The sets that are entered on a thread, with ascending numbers. What runs now belongs to the last one.
type EnteredSets = Vec<(usize, Rc<Set>)>;

thread_local! {
    // The thread's end does not drop it, so that sets work in the destructors of other thread-locals.
    static ENTERED: RefCell<ManuallyDrop<EnteredSets>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
    static CLEANUP: Cleanup = const { Cleanup };
}

/// Empties [`ENTERED`] when the thread ends. This drops guards that were forgotten, and frees the memory.
struct Cleanup;

impl Cleanup {
    /// Makes sure that [`ENTERED`] is emptied when the thread ends. Returns false if that has happened already.
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
    /// Creates an empty set.
    pub fn new() -> LocalSet {
        LocalSet::default()
    }

    /// Spawns a task into the set. The task starts at once if a runtime is entered on this thread, and
    /// otherwise when the set is first awaited.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.set.spawn(future)
    }

    /// Runs a future. Tasks that it starts with [`spawn_local`] belong to the set.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe if the future is. When it is cancelled, the tasks stay in the set.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.set.start();
            let _current = enter(self.set.clone());
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Turns the runtime's loop until the future is ready. Tasks that the future starts with [`spawn_local`]
    /// belong to the set.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`Runtime::block_on`].
    #[track_caller]
    pub fn block_on<F: Future>(&self, runtime: &Runtime, future: F) -> F::Output {
        runtime.block_on(self.run_until(future))
    }

    /// Makes [`spawn_local`] spawn tasks into this set until the guard is dropped.
    pub fn enter(&self) -> LocalEnterGuard {
        enter(self.set.clone())
    }
}

/// The set is ready when all its tasks have ended.
impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.set.start();
        let is_empty = || self.set.members.borrow().is_empty();
        if is_empty() {
            return Poll::Ready(());
        }
        self.set.waiter.leave(cx.waker());
        // The clone of a foreign waker is user code. The last task may have ended during that call.
        if is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        self.set.closed.set(true);
        // Tasks that have not started are dropped here and now. A panic of one of them does not keep the
        // others from being aborted.
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
            // The task never starts. The drop of the future is user code, as the drop of any argument is.
            return spawn_later(future, false, None).0;
        }
        let key = self.last.get() + 1;
        self.last.set(key);
        // Insert the task before it starts, because it may end at once.
        self.members.borrow_mut().insert(key, None);
        let member = LocalTask { future, membership: Membership { set: self.clone(), key } };
        let handle = if context::is_entered() {
            spawn(member)
        } else {
            let (handle, start) = spawn_later(member, false, None);
            self.waiting.borrow_mut().push(Box::new(start));
            handle
        };
        if let Some(abort) = self.members.borrow_mut().get_mut(&key) {
            *abort = Some(handle.abort_handle());
        }
        handle
    }

    /// Starts the tasks that were spawned before there was a runtime.
    ///
    /// # Panics
    ///
    /// Panics if there is a task to start, and no runtime is entered on this thread.
    fn start(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        // This may panic, so it comes before anything is taken out.
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

/// Removes its task from the set when it is dropped, however the task ends.
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

/// A guard that keeps a [`LocalSet`] entered.
///
/// It is returned by [`LocalSet::enter`]. When it is dropped, [`spawn_local`] behaves as if this guard had
/// never been created. Several guards may be dropped in any order.
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
        // Drop it under no borrow: if this was the last reference, tasks that have not started are dropped
        // with the set.
        drop(left);
    }
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalEnterGuard")
    }
}

/// Spawns a task on this thread. Within a [`LocalSet`] the task belongs to that set, and otherwise this
/// function does the same as [`spawn`](crate::spawn). The future need not be `Send`.
///
/// # Panics
///
/// Panics if neither a runtime nor a [`LocalSet`] is entered on this thread.
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
