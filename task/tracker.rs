//! `TaskTracker`: waits until tasks have ended, without collecting their outputs.
//!
//! The tracker counts tokens. A tracked future owns one, and a token may be held by anything else. A tracker with no
//! tokens that is closed has *exited*. Each exit has a number, so that a wait sees an exit that happened after it
//! began, even if the tracker was reopened before the wait was polled.
//!
//! Tokens are dropped on any thread, so the state has a mutex.

use crate::runtime::Handle;
use crate::runtime::join::spawn::{spawn_blocking_for, spawn_for};
use crate::runtime::mutex::Mutex;
use crate::runtime::waker;
use crate::task::coop;
use crate::task::{JoinHandle, LocalSet, spawn_local};
use pin_project_lite::pin_project;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// Waits until a group of tasks has ended, for a graceful shutdown.
///
/// It corresponds to the type of this name in tokio-util. Unlike a [`JoinSet`](crate::task::JoinSet), it does not
/// collect the outputs of the tasks, keeps no memory for tasks that have ended, and does not abort its tasks when it is
/// dropped. Clones are trackers of the same tasks. A tracker can be used on any thread.
///
/// # Examples
///
/// ```
/// use runtime::task::{TaskTracker, yield_now};
///
/// # runtime::block_on(async {
/// let tracker = TaskTracker::new();
/// for _ in 0..10 {
///     tracker.spawn(yield_now());
/// }
/// tracker.close();
/// tracker.wait().await;
/// assert!(tracker.is_empty());
/// # });
/// ```
#[derive(Clone, Default)]
pub struct TaskTracker {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    tokens: usize,
    is_closed: bool,
    /// The number of times that the tracker has become both closed and empty.
    exits: u64,
    waiters: BTreeMap<u64, Waker>,
    last_waiter: u64,
}

impl State {
    fn has_exited(&self) -> bool {
        self.is_closed && self.tokens == 0
    }

    /// Notes an exit if there is one. Returns the wakers to wake.
    fn note_exit(&mut self) -> BTreeMap<u64, Waker> {
        if !self.has_exited() {
            return BTreeMap::new();
        }
        self.exits += 1;
        std::mem::take(&mut self.waiters)
    }
}

impl TaskTracker {
    /// Creates a tracker, which is open and has no tasks.
    #[must_use]
    pub fn new() -> TaskTracker {
        TaskTracker::default()
    }

    /// Waits until the tracker is closed and has no tasks at the same time. Tasks can still be added meanwhile.
    ///
    /// The wait begins with this call: it also ends if the tracker is reopened before the future is polled.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub fn wait(&self) -> TaskTrackerWaitFuture<'_> {
        let seen = self.with(|state| if state.has_exited() { None } else { Some(state.exits) });
        TaskTrackerWaitFuture { tracker: self, seen: seen.flatten(), waiter: None }
    }

    /// Closes the tracker, so that [`wait`](TaskTracker::wait) can complete. Returns `true` if it was open. A closed
    /// tracker still accepts tasks.
    pub fn close(&self) -> bool {
        self.update(|state| !std::mem::replace(&mut state.is_closed, true))
    }

    /// Opens the tracker again. Returns `true` if it was closed.
    pub fn reopen(&self) -> bool {
        self.with(|state| std::mem::replace(&mut state.is_closed, false)).unwrap_or(false)
    }

    /// Returns `true` if the tracker is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.with(|state| state.is_closed).unwrap_or(true)
    }

    /// Returns the number of tasks and tokens that are tracked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(|state| state.tokens).unwrap_or(0)
    }

    /// Returns `true` if no tasks and no tokens are tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Spawns a tracked task, in the same way as [`spawn`](crate::spawn).
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    #[track_caller]
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_for("TaskTracker::spawn", self.track_future(task))
    }

    /// Spawns a tracked task that runs in another runtime, in the same way as [`Handle::spawn`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_on<F>(&self, task: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        handle.spawn(self.track_future(task))
    }

    /// Spawns a tracked task, in the same way as [`spawn_local`].
    ///
    /// # Panics
    ///
    /// Panics if neither a runtime nor a [`LocalSet`] is entered on this thread.
    #[track_caller]
    pub fn spawn_local<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_local(self.track_future(task))
    }

    /// Spawns a tracked task that belongs to `local_set`, in the same way as [`LocalSet::spawn_local`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_local_on<F>(&self, task: F, local_set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        local_set.spawn_local(self.track_future(task))
    }

    /// Runs a tracked blocking call, in the same way as [`spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, call: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn_blocking_for("TaskTracker::spawn_blocking", tracked_call(call, self.token()))
    }

    /// Runs a tracked blocking call on the pool of another runtime, in the same way as [`Handle::spawn_blocking`].
    pub fn spawn_blocking_on<F, T>(&self, call: F, handle: &Handle) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        handle.spawn_blocking(tracked_call(call, self.token()))
    }

    /// Tracks a future until it is dropped. When it is ready, it stays tracked until then.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::task::TaskTracker;
    ///
    /// let tracker = TaskTracker::new();
    /// let future = tracker.track_future(async { 42 });
    /// assert_eq!(tracker.len(), 1);
    /// assert_eq!(runtime::block_on(future), 42);
    /// assert!(tracker.is_empty());
    /// ```
    pub fn track_future<F: Future>(&self, future: F) -> TrackedFuture<F> {
        TrackedFuture { future, token: self.token() }
    }

    /// Returns a token, which is tracked like a task until it is dropped.
    pub fn token(&self) -> TaskTrackerToken {
        self.with(|state| state.tokens += 1);
        TaskTrackerToken { tracker: self.clone() }
    }

    /// Returns `true` if both are trackers of the same tasks.
    #[must_use]
    pub fn ptr_eq(left: &TaskTracker, right: &TaskTracker) -> bool {
        Arc::ptr_eq(&left.state, &right.state)
    }

    /// Returns `None` in a forked child if a thread of the parent holds the lock. The tracker is then lost: it counts
    /// as closed and empty.
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.state.lock().map(|mut state| f(&mut state))
    }

    /// Changes the state and wakes those that wait if the tracker has exited. Returns `false` if the tracker is lost.
    fn update(&self, change: impl FnOnce(&mut State) -> bool) -> bool {
        let updated = self.with(|state| {
            let had_exited = state.has_exited();
            let result = change(state);
            (result, if had_exited { BTreeMap::new() } else { state.note_exit() })
        });
        let Some((result, wakers)) = updated else { return false };
        wakers.into_values().for_each(waker::wake);
        result
    }
}

fn tracked_call<T>(call: impl FnOnce() -> T, token: TaskTrackerToken) -> impl FnOnce() -> T {
    move || {
        let _token = token;
        call()
    }
}

impl fmt::Debug for TaskTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, is_closed) = (self.len(), self.is_closed());
        f.debug_struct("TaskTracker").field("len", &len).field("is_closed", &is_closed).finish()
    }
}

/// A token that is tracked by a [`TaskTracker`] until it is dropped. Each clone is tracked as well.
#[must_use = "dropped at once, it is not tracked"]
#[derive(Debug)]
pub struct TaskTrackerToken {
    tracker: TaskTracker,
}

impl TaskTrackerToken {
    /// Returns the tracker of this token.
    pub fn task_tracker(&self) -> &TaskTracker {
        &self.tracker
    }
}

impl Clone for TaskTrackerToken {
    fn clone(&self) -> TaskTrackerToken {
        self.tracker.token()
    }
}

impl Drop for TaskTrackerToken {
    fn drop(&mut self) {
        self.tracker.update(|state| {
            state.tokens -= 1;
            true
        });
    }
}

pin_project! {
    /// A future that is tracked by a [`TaskTracker`], returned by [`TaskTracker::track_future`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TrackedFuture<F> {
        // Dropped before the token.
        #[pin]
        future: F,
        token: TaskTrackerToken,
    }
}

impl<F: Future> Future for TrackedFuture<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F: fmt::Debug> fmt::Debug for TrackedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackedFuture").field("future", &self.future).field("token", &self.token).finish()
    }
}

/// A future that waits for the tasks of a [`TaskTracker`], returned by [`TaskTracker::wait`].
#[must_use = "futures do nothing unless polled"]
pub struct TaskTrackerWaitFuture<'a> {
    tracker: &'a TaskTracker,
    /// The number of exits when the wait began. `None` once the wait is over.
    seen: Option<u64>,
    waiter: Option<u64>,
}

impl Future for TaskTrackerWaitFuture<'_> {
    type Output = ();

    // Compiled with the program that uses it, since the linker keeps the exception table of a function that it removes.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(coop::poll_budget(cx));
        let Some(seen) = self.seen else {
            coop::spend();
            return Poll::Ready(());
        };
        // Cloned before the lock is taken: cloning a foreign waker runs user code, and so does dropping it below.
        let mut waker = Some(cx.waker().clone());
        let mut waiter = self.waiter.take();
        let polled = self.tracker.with(|state| {
            if state.has_exited() || state.exits != seen {
                return (Poll::Ready(()), waiter.take().and_then(|waiter| state.waiters.remove(&waiter)));
            }
            let number = *waiter.get_or_insert_with(|| {
                state.last_waiter += 1;
                state.last_waiter
            });
            (Poll::Pending, waker.take().and_then(|waker| state.waiters.insert(number, waker)))
        });
        self.waiter = waiter;
        let (poll, earlier) = polled.unwrap_or((Poll::Ready(()), None));
        if poll.is_ready() {
            self.seen = None;
            coop::spend();
        }
        waker::discard_each(waker);
        waker::discard_each(earlier);
        poll
    }
}

impl Drop for TaskTrackerWaitFuture<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            waker::discard_each(self.tracker.with(|state| state.waiters.remove(&waiter)).flatten());
        }
    }
}

impl fmt::Debug for TaskTrackerWaitFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTrackerWaitFuture").field("tracker", self.tracker).finish()
    }
}
