//! Handles that abort their task when they are dropped.

use super::{AbortHandle, JoinError, JoinHandle};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A [`JoinHandle`] that aborts its task when it is dropped.
///
/// It corresponds to the type of this name in tokio-util.
///
/// # Cancel safety
///
/// Awaiting a `&mut AbortOnDropHandle` is cancel safe. A handle that is awaited by value is dropped with the future
/// that awaits it, which aborts the task.
///
/// # Panics
///
/// Panics in the same cases as the [`JoinHandle`].
///
/// # Examples
///
/// ```
/// use runtime::task::{AbortOnDropHandle, yield_now};
///
/// # runtime::block_on(async {
/// let task = AbortOnDropHandle::new(runtime::spawn(std::future::pending::<()>()));
/// let abort = task.abort_handle();
/// drop(task);
/// yield_now().await;
/// assert!(abort.is_finished());
/// # });
/// ```
#[must_use = "dropping the handle aborts the task"]
pub struct AbortOnDropHandle<T>(JoinHandle<T>);

impl<T> AbortOnDropHandle<T> {
    /// Wraps the handle of a task.
    pub fn new(handle: JoinHandle<T>) -> AbortOnDropHandle<T> {
        AbortOnDropHandle(handle)
    }

    /// Aborts the task, in the same way as [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Returns `true` if the task has ended, in the same cases as [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Returns a handle that can only abort the task.
    pub fn abort_handle(&self) -> AbortHandle {
        self.0.abort_handle()
    }

    /// Returns the handle of the task, which does not abort it when it is dropped.
    pub fn detach(mut self) -> JoinHandle<T> {
        // The remaining handle refers to a task that has ended, so its drop aborts nothing.
        self.0.take()
    }
}

impl<T> Drop for AbortOnDropHandle<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDropHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> AsRef<JoinHandle<T>> for AbortOnDropHandle<T> {
    fn as_ref(&self) -> &JoinHandle<T> {
        &self.0
    }
}

impl<T> fmt::Debug for AbortOnDropHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortOnDropHandle").field("id", &self.0.id()).finish()
    }
}

/// An [`AbortHandle`] that aborts its task when it is dropped.
///
/// It corresponds to the type of this name in tokio-util.
#[must_use = "dropping the handle aborts the task"]
pub struct AbortOnDrop {
    handle: AbortHandle,
    is_detached: bool,
}

impl AbortOnDrop {
    /// Wraps the abort handle of a task.
    pub fn new(handle: AbortHandle) -> AbortOnDrop {
        AbortOnDrop { handle, is_detached: false }
    }

    /// Aborts the task, in the same way as [`AbortHandle::abort`].
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Returns `true` if the task has ended, in the same cases as [`AbortHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Returns the abort handle of the task, which does not abort it when it is dropped.
    pub fn detach(mut self) -> AbortHandle {
        self.is_detached = true;
        self.handle.clone()
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if !self.is_detached {
            self.handle.abort();
        }
    }
}

impl fmt::Debug for AbortOnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortOnDrop").field("id", &self.handle.id()).finish()
    }
}
