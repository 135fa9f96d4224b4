//! A future that is not interrupted.

use super::{UNLIMITED, left, present_poll, set_left};
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project_lite::pin_project! {
    /// A future to which the budget of its task does not apply. From [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

/// Lifts the budget for a future: as long as what it awaits is ready, it goes on.
///
/// While it does, nothing else runs on this thread. It is for futures that do little at a time, and
/// must not be put off.
///
/// # Cancel safety
///
/// As cancel safe as the future is.
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
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
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

/// Puts back what was left of the budget, also during a panic, unless the poll that had it is over: guards on the
/// stack of a coroutine are dropped late.
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
