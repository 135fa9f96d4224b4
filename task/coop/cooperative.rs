//! Participation in the budget, for leaf futures written outside of this crate.

use super::{poll_spend, refund};
use std::cell::Cell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A guard that gives back the unit taken by [`poll_proceed`], unless [`made_progress`](Self::made_progress)
/// was called.
#[derive(Debug)]
#[must_use = "dropped, it gives the unit back"]
pub struct RestoreOnPending {
    made_progress: Cell<bool>,
    /// The guard is not `Send`: the unit belongs to the budget of this thread.
    thread: PhantomData<*const ()>,
}

impl RestoreOnPending {
    /// Notes that the operation made progress. The unit stays spent.
    pub fn made_progress(&self) {
        self.made_progress.set(true);
    }
}

impl Drop for RestoreOnPending {
    fn drop(&mut self) {
        if !self.made_progress.get() {
            refund();
        }
    }
}

/// Takes a unit of the task's budget. If no unit is left, wakes the task for its next turn and returns
/// `Pending`.
///
/// This function is meant for leaf futures written by hand, as in the example. A task that awaits such a
/// future in a loop then yields to other tasks now and then, as it does with the sockets and timers of this
/// crate.
///
/// # Examples
///
/// ```
/// use runtime::task::coop;
/// use std::task::{Context, Poll, ready};
///
/// fn poll_next(queue: &mut Vec<u32>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
///     let proceed = ready!(coop::poll_proceed(cx));
///     let next = queue.pop();
///     proceed.made_progress();
///     Poll::Ready(next)
/// }
///
/// # runtime::block_on(async {
/// let mut queue = vec![1, 2, 3];
/// let mut sum = 0;
/// while let Some(next) = std::future::poll_fn(|cx| poll_next(&mut queue, cx)).await {
///     sum += next;
/// }
/// assert_eq!(sum, 6);
/// # });
/// ```
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    ready!(poll_spend(cx));
    Poll::Ready(RestoreOnPending { made_progress: Cell::new(false), thread: PhantomData })
}

pin_project_lite::pin_project! {
    /// A future that takes part in the budget of its task. It is returned by [`cooperative`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Coop<F> {
        #[pin]
        future: F,
    }
}

/// Makes a future take part in the budget. The future spends one unit when it is ready.
///
/// This function is meant for leaf futures of other libraries, such as channels.
///
/// # Cancel safety
///
/// The returned future is cancel safe if `future` is.
///
/// # Examples
///
/// ```
/// use runtime::task::coop::cooperative;
///
/// # runtime::block_on(async {
/// let busy = runtime::spawn(async {
///     loop {
///         cooperative(std::future::ready(())).await;
///     }
/// });
/// runtime::task::yield_now().await; // Other tasks get their turn all the same.
/// busy.abort();
/// # });
/// ```
pub fn cooperative<F: Future>(future: F) -> Coop<F> {
    Coop { future }
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let proceed = ready!(poll_proceed(cx));
        let output = ready!(self.project().future.poll(cx));
        proceed.made_progress();
        Poll::Ready(output)
    }
}
