//! The cancellation token: a request to stop, for any number of tasks of one thread, and for those that they start.

mod future;
mod guard;
mod tree;

use super::wait_list::Key;
use future::RunUntilCancelled;
pub use future::{WaitForCancellationFuture, WaitForCancellationFutureOwned};
pub use guard::{DropGuard, DropGuardRef};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::task::{Context, Poll};
use tree::Node;

/// A token by which tasks are asked to stop. In tokio it is `tokio_util::sync::CancellationToken`.
///
/// Each task that is to stop holds a clone of the token, or a token that [`child_token`](Self::child_token) returned, and waits
/// for [`cancelled`](Self::cancelled) besides its work. A token is cancelled with all its clones, and with its children and
/// theirs, and stays so. If a child is cancelled, its parent is not. If all tokens are dropped, nothing is cancelled.
///
/// # Examples
///
/// ```
/// use runtime::sync::CancellationToken;
///
/// # runtime::block_on(async {
/// let shutdown = CancellationToken::new();
/// let connection = shutdown.child_token();
/// let serving = runtime::spawn(async move {
///     let serve = std::future::pending::<()>();
///     connection.run_until_cancelled(serve).await
/// });
/// shutdown.cancel();
/// assert_eq!(serving.await.unwrap(), None);
/// # });
/// ```
pub struct CancellationToken {
    node: Rc<Node>,
}

// A panic in user code leaves the state consistent.
impl UnwindSafe for CancellationToken {}
impl RefUnwindSafe for CancellationToken {}

impl CancellationToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> CancellationToken {
        CancellationToken { node: Node::new() }
    }

    /// Creates a token that is cancelled when this one is. If this one is cancelled already, so is the child.
    pub fn child_token(&self) -> CancellationToken {
        CancellationToken { node: self.node.child() }
    }

    /// Cancels this token, its clones, and all children of it and theirs, and wakes the tasks that wait for any of them.
    pub fn cancel(&self) {
        self.node.cancel();
    }

    /// Returns true if the token is cancelled.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Returns a future that is ready when the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// The future is cancel safe.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        WaitForCancellationFuture::new(self)
    }

    /// Returns a future that holds the token and is ready when the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// The future is cancel safe. Dropped, it drops the token.
    pub fn cancelled_owned(self) -> WaitForCancellationFutureOwned {
        WaitForCancellationFutureOwned::new(self)
    }

    /// Returns a guard that cancels the token when it is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let token = runtime::sync::CancellationToken::new();
    /// let helper = token.clone();
    /// let helping = runtime::spawn(async move { helper.cancelled().await });
    /// {
    ///     // The helper stops when this block is left, by whatever way.
    ///     let _guard = token.drop_guard();
    /// }
    /// helping.await.unwrap();
    /// # });
    /// ```
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }

    /// Returns a guard that borrows the token, and cancels it when it is dropped.
    pub fn drop_guard_ref(&self) -> DropGuardRef<'_> {
        DropGuardRef { token: Some(self) }
    }

    /// Runs a future until the token is cancelled. Returns the output of the future, or `None` if the token was cancelled
    /// first.
    ///
    /// If the token is cancelled already, the future is not polled. If both are ready in the same poll, the output is
    /// returned.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe if the future is.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_cancelled() {
            return None;
        }
        RunUntilCancelled { future, cancelled: self.cancelled() }.await
    }

    /// Runs a future until the token is cancelled, as [`run_until_cancelled`](Self::run_until_cancelled) does, and holds the
    /// token meanwhile.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe if the future is.
    pub async fn run_until_cancelled_owned<F: Future>(self, future: F) -> Option<F::Output> {
        self.run_until_cancelled(future).await
    }

    #[inline]
    fn poll_cancelled(&self, key: &mut Option<Key>, cx: &mut Context<'_>) -> Poll<()> {
        self.node.cancelled.poll_until(key, cx, || self.is_cancelled().then_some(()))
    }

    #[inline]
    fn leave(&self, key: &mut Option<Key>) {
        self.node.cancelled.leave(key);
    }
}

impl Clone for CancellationToken {
    fn clone(&self) -> Self {
        self.node.add_token();
        CancellationToken { node: self.node.clone() }
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        CancellationToken::new()
    }
}

impl Drop for CancellationToken {
    fn drop(&mut self) {
        self.node.remove_token();
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken").field("is_cancelled", &self.is_cancelled()).finish()
    }
}
