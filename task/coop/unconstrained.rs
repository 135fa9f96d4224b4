//! A wrapper that exempts a future from the budget.

use super::{UNLIMITED, left, present_poll, set_left};
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project_lite::pin_project! {
    /// A future to which the budget of its task does not apply. It is returned by [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

/// Exempts a future from the budget: the future proceeds as long as what it awaits is ready.
///
/// Meanwhile nothing else runs on this thread. Use this function for futures that do little work at a time
/// and must not be delayed.
///
/// # Cancel safety
///
/// The returned future is cancel safe if `future` is.
///
/// # Examples
///
/// ```
/// use runtime::task::{consume_budget, unconstrained};
///
/// # runtime::block_on(async {
/// let task = runtime::spawn(async { "another" });
/// unconstrained(async {
///     for _ in 0..10_000 {
///         consume_budget().await;
///     }
/// })
/// .await;
/// assert!(!task.is_finished(), "it has not had its turn");
/// # });
/// ```
pub fn unconstrained<F>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _budget = unlimited();
        self.project().future.poll(cx)
    }
}

/// Lifts the limit until the guard is dropped.
#[inline]
pub(crate) fn unlimited() -> Restore {
    let restore = Restore { left: left(), poll: present_poll() };
    set_left(UNLIMITED);
    restore
}

/// Restores the rest of the budget when it is dropped, also during a panic. It does nothing if the poll to
/// which that budget belonged is over, because guards on the stack of a coroutine are dropped late.
pub(crate) struct Restore {
    left: i64,
    poll: *const (),
}

impl Drop for Restore {
    fn drop(&mut self) {
        if self.poll == present_poll() {
            set_left(self.left);
        }
    }
}
