//! `JoinSet`: tasks whose outputs are collected in the order in which they end.

use super::members::{Ended, Member, Members, member_call};
use crate::runtime::Handle;
use crate::runtime::join::error::JoinError;
use crate::runtime::join::spawn::{spawn_blocking_for, spawn_for};
use crate::runtime::unwind;
use crate::task::{AbortHandle, Id, LocalSet, spawn_local};
use std::fmt;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::task::{Context, Poll};

/// A set of tasks whose outputs are collected in the order in which the tasks end.
///
/// All tasks have the same type of output `T`. Their futures need not be `Send`. The tasks run on their own: awaiting
/// the set collects their outputs, but does not drive them. Dropping the set aborts all tasks in it.
///
/// Collecting an output takes the same time in a set of any size. If many tasks end before the task that awaits the
/// set runs, it is woken only once.
///
/// # Examples
///
/// ```
/// use runtime::task::JoinSet;
///
/// # runtime::block_on(async {
/// let mut set = JoinSet::new();
/// for n in 1..=3 {
///     set.spawn(async move { n * n });
/// }
/// let mut sum = 0;
/// while let Some(square) = set.join_next().await {
///     sum += square.unwrap();
/// }
/// assert_eq!(sum, 14);
/// # });
/// ```
#[must_use = "dropping the set aborts its tasks"]
pub struct JoinSet<T> {
    members: Members<T, ()>,
}

impl<T> JoinSet<T> {
    /// Creates an empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet { members: Members::new() }
    }

    /// Returns the number of tasks in the set, including those that have ended and whose outputs have not been
    /// collected.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns `true` if the set has no tasks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: 'static> JoinSet<T> {
    /// Spawns a task into the set, in the same way as [`spawn`](crate::spawn). Returns a handle that can abort it.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    #[track_caller]
    pub fn spawn<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let key = self.members.insert((), |notice| spawn_for("JoinSet::spawn", Member::new(task, notice)));
        self.members.abort_handle(key)
    }

    /// Spawns a task into the set that runs in another runtime, in the same way as [`Handle::spawn`].
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::{Handle, task::JoinSet};
    ///
    /// # runtime::block_on(async {
    /// let handle = Handle::current();
    /// let mut set = JoinSet::new();
    /// set.spawn_on(async { 42 }, &handle);
    /// assert_eq!(set.join_next().await.unwrap().unwrap(), 42);
    /// # });
    /// ```
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_on<F>(&mut self, task: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let key = self.members.insert((), |notice| handle.spawn(Member::new(task, notice)));
        self.members.abort_handle(key)
    }

    /// Spawns a task into the set, in the same way as [`spawn_local`](crate::task::spawn_local).
    ///
    /// # Panics
    ///
    /// Panics if neither a runtime nor a [`LocalSet`] is entered on this thread.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let key = self.members.insert((), |notice| spawn_local(Member::new(task, notice)));
        self.members.abort_handle(key)
    }

    /// Spawns a task into this set that also belongs to `local_set`, in the same way as [`LocalSet::spawn_local`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_local_on<F>(&mut self, task: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let key = self.members.insert((), |notice| local_set.spawn_local(Member::new(task, notice)));
        self.members.abort_handle(key)
    }

    /// Runs a blocking call as a task of the set, in the same way as [`spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::task::JoinSet;
    ///
    /// # runtime::block_on(async {
    /// let mut set = JoinSet::new();
    /// for n in 0..3 {
    ///     set.spawn_blocking(move || n);
    /// }
    /// let mut all = set.join_all().await;
    /// all.sort();
    /// assert_eq!(all, [0, 1, 2]);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, call: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let spawn = |notice| spawn_blocking_for("JoinSet::spawn_blocking", member_call(call, notice));
        let key = self.members.insert((), spawn);
        self.members.abort_handle(key)
    }

    /// Runs a blocking call as a task of the set on the pool of another runtime, in the same way as
    /// [`Handle::spawn_blocking`].
    pub fn spawn_blocking_on<F>(&mut self, call: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let key = self.members.insert((), |notice| handle.spawn_blocking(member_call(call, notice)));
        self.members.abort_handle(key)
    }
}

impl<T> JoinSet<T> {
    /// Waits until a task in the set ends, and returns its output, or the error of a task that panicked or was
    /// aborted. Returns `None` if the set is empty.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a task stays in the set until its output is returned.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as awaiting the [`JoinHandle`](crate::task::JoinHandle) of a task in the set.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// Waits until a task in the set ends, like [`join_next`](JoinSet::join_next), and also returns the id of the task.
    /// The id of a task that has failed is that of the error.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a task stays in the set until its output is returned.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as awaiting the [`JoinHandle`](crate::task::JoinHandle) of a task in the set.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// Returns the output of a task that has ended. Returns `None` if no task in the set has ended, or if the set is
    /// empty.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.members.try_next().map(|ended| ended.result)
    }

    /// Returns the output of a task that has ended, like [`try_join_next`](JoinSet::try_join_next), and also the id of
    /// the task.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        self.members.try_next().map(with_id)
    }

    /// Aborts all tasks, and waits until they have ended. Panics of the tasks are ignored. After that, the set is
    /// empty.
    ///
    /// # Cancel safety
    ///
    /// If the returned future is dropped, all tasks have been aborted, and some may still be in the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while let Some(result) = self.join_next().await {
            unwind::drop(result);
        }
    }

    /// Waits until all tasks have ended, and returns their outputs in the order in which they ended.
    ///
    /// # Cancel safety
    ///
    /// If the returned future is dropped, the remaining tasks are aborted, and the outputs are lost.
    ///
    /// # Panics
    ///
    /// Panics if a task panicked, with the same payload, or was aborted. The remaining tasks are then aborted.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result.map_err(JoinError::try_into_panic) {
                Ok(output) => outputs.push(output),
                Err(Ok(payload)) => resume_unwind(payload),
                Err(Err(error)) => panic!("{error}"),
            }
        }
        outputs
    }

    /// Aborts all tasks in the set. They stay in it until their errors have been collected.
    pub fn abort_all(&mut self) {
        self.members.abort_all();
    }

    /// Removes all tasks from the set. They continue to run, also after the set has been dropped.
    pub fn detach_all(&mut self) {
        self.members.detach_all();
    }

    /// Polls for the output of a task that has ended, like [`join_next`](JoinSet::join_next). Only the waker of the
    /// latest call is woken.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`join_next`](JoinSet::join_next).
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.members.poll_next(cx).map(|ended| ended.map(|ended| ended.result))
    }

    /// Polls for the output of a task that has ended, and its id, like
    /// [`join_next_with_id`](JoinSet::join_next_with_id). Only the waker of the latest call is woken.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`join_next`](JoinSet::join_next).
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        self.members.poll_next(cx).map(|ended| ended.map(with_id))
    }
}

fn with_id<T, X>(ended: Ended<T, X>) -> Result<(Id, T), JoinError> {
    ended.result.map(|output| (ended.id, output))
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

/// Spawns each future, in the same way as [`JoinSet::spawn`].
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + 'static,
    T: 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        set.extend(futures);
        set
    }
}

/// Spawns each future, in the same way as [`JoinSet::spawn`].
impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + 'static,
    T: 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}
