//! The cooperative budget: what keeps one task from running for ever on operations that are always ready.
//!
//! The executor refills the budget before each poll of a task. Every leaf future that completes
//! spends one unit; when none is left, leaf futures report [`Poll::Pending`] and wake their task,
//! so that the loop gets its turn. An operation that has to wait spends nothing: a task that polls
//! a thousand quiet sockets reaches the last one as surely as the first.
//!
//! This is the ground floor: it knows neither tasks nor timers nor sockets.

mod cooperative;
mod unconstrained;

pub use cooperative::{Coop, RestoreOnPending, cooperative, poll_proceed};
pub use unconstrained::{Unconstrained, unconstrained};

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// How many leaf operations may complete in one poll of a task: enough to make the bookkeeping
/// vanish, and few enough that a hundred busy tasks still answer within a millisecond or so.
const BUDGET: u64 = 128;

/// Outside of a task there is nobody to yield to, hence no limit: this is never used up.
const UNLIMITED: u64 = u64::MAX;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(UNLIMITED) };
}

/// Gives the task that is about to be polled its full budget.
#[inline]
pub(crate) fn refill() {
    LEFT.with(|left| left.set(BUDGET));
}

/// Lifts the limit for code that runs outside of any task, and for the caller that `block_on` returns to.
pub(crate) fn lift() {
    LEFT.set(UNLIMITED);
}

/// Ready while there is budget; else wakes the task for its next turn and is pending.
///
/// Leaf futures call this before they try to complete, and [`spend`] once they have.
#[inline]
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    if LEFT.get() == 0 {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    Poll::Ready(())
}

/// Takes one unit: a leaf future has completed.
#[inline]
pub(crate) fn spend() {
    LEFT.with(|left| left.set(left.get().saturating_sub(1)));
}

/// Both at once, for an operation that is as good as done; if it is not, [`refund`] is called.
#[inline]
pub(crate) fn poll_spend(cx: &mut Context<'_>) -> Poll<()> {
    LEFT.with(|left| match left.get().checked_sub(1) {
        Some(rest) => {
            left.set(rest);
            Poll::Ready(())
        }
        None => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
}

/// Gives back the unit of an operation that has to wait after all.
pub(crate) fn refund() {
    LEFT.with(|left| left.set(left.get().saturating_add(1)));
}

/// Whether the task may go on, as far as its budget is concerned. Outside of a task, always.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// use runtime::task::coop;
///
/// let mut steps = 0;
/// while coop::has_budget_remaining() {
///     coop::consume_budget().await;
///     steps += 1;
/// }
/// assert!(steps > 1);
/// # });
/// ```
#[inline]
pub fn has_budget_remaining() -> bool {
    LEFT.get() > 0
}

/// Spends one unit of the task's budget, and yields to the loop when there is none left.
///
/// For long computations and for streams that are always ready: called once per step, it lets
/// other tasks, timers and sockets have their turn now and then, at the price of a counter.
/// Outside of a task it completes at once.
///
/// # Cancel safety
///
/// Cancel safe: a dropped call has spent at most one unit.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let mut sum = 0u64;
/// for n in 0..100_000 {
///     sum += n;
///     runtime::task::coop::consume_budget().await;
/// }
/// assert_eq!(sum, 4_999_950_000);
/// # });
/// ```
pub async fn consume_budget() {
    poll_fn(|cx| {
        std::task::ready!(poll_budget(cx));
        spend();
        Poll::Ready(())
    })
    .await
}
