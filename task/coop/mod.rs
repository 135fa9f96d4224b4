//! The cooperative budget. It keeps a task from running forever on operations that are always ready.
//!
//! The executor refills the budget before each poll of a task. Every leaf future that completes spends one
//! unit. When no unit is left, leaf futures return [`Poll::Pending`] and wake their task, so that the loop
//! gets its turn. An operation that has to wait spends nothing, so a task that polls a thousand sockets that
//! are not ready still reaches the last one.
//!
//! A future may be polled with a waker other than the task's own. There are two such cases. A group of
//! futures polls each future that was woken, and must return to its task now and then. A `block_on` inside of
//! a poll waits for one future alone, and would wait forever if that future were pending until the task's
//! next turn. So when the budget is spent, a poll with another waker is made pending only once per full
//! budget, and proceeds when it is repeated.

// This module is at the lowest layer: it knows neither tasks nor timers nor sockets.

mod cooperative;
mod unconstrained;

pub use cooperative::{Coop, RestoreOnPending, cooperative, poll_proceed};
pub(crate) use unconstrained::unlimited;
pub use unconstrained::{Unconstrained, unconstrained};

use std::cell::Cell;
use std::future::poll_fn;
use std::ptr;
use std::task::{Context, Poll, RawWakerVTable, Waker, ready};

/// The number of leaf operations that may complete in one poll of a task. It is large enough to make the cost
/// of counting negligible, and small enough that a loop with a hundred busy tasks still answers within about
/// a millisecond.
const FULL: i64 = 128;

/// The budget outside of a task. There is no task that could yield, hence there is no limit, and this is
/// never used up. It leaves room for units that were taken from a task's budget and are given back here.
const UNLIMITED: i64 = i64::MAX / 2;

struct Budget {
    /// The remaining units. Below zero, it counts the units that polls with other wakers have taken since the
    /// budget was spent. Each unit that they give back was one of those.
    left: Cell<i64>,
    /// The two parts of the waker that the executor polls with. The first is null between polls.
    waker_data: Cell<*const ()>,
    waker_vtable: Cell<*const RawWakerVTable>,
}

thread_local! {
    static BUDGET: Budget = const {
        Budget { left: Cell::new(UNLIMITED), waker_data: Cell::new(ptr::null()), waker_vtable: Cell::new(ptr::null()) }
    };
}

/// Tells the budget that an executor starts to poll tasks with wakers that share the vtable of this one.
pub(crate) fn begin(waker: &Waker) {
    BUDGET.with(|budget| budget.waker_vtable.set(waker.vtable()));
}

/// Gives the full budget to the task that is about to be polled with this waker.
#[inline]
pub(crate) fn refill(waker: &Waker) {
    BUDGET.with(|budget| {
        budget.left.set(FULL);
        budget.waker_data.set(waker.data());
    });
}

/// Lifts the limit for code that runs outside of any task, and for the caller that `block_on` returns to.
#[inline]
pub(crate) fn lift() {
    BUDGET.with(|budget| {
        budget.left.set(UNLIMITED);
        budget.waker_data.set(ptr::null());
    });
}

/// Returns a value that identifies the present poll of a task: the data of its waker, or null if no task is
/// being polled.
fn present_poll() -> *const () {
    BUDGET.with(|budget| budget.waker_data.get())
}

#[inline]
fn left() -> i64 {
    BUDGET.with(|budget| budget.left.get())
}

#[inline]
fn set_left(left: i64) {
    BUDGET.with(|budget| budget.left.set(left));
}

/// Wakes the task for its next turn after the budget is spent. A poll with a waker other than the task's own
/// is made pending only once per [`FULL`] units.
#[cold]
fn poll_spent(cx: &mut Context<'_>) -> Poll<()> {
    let waker = cx.waker();
    let is_own = BUDGET.with(|budget| {
        budget.waker_data.get() == waker.data() && ptr::eq(budget.waker_vtable.get(), waker.vtable())
    });
    if !is_own {
        if left() > -FULL {
            return Poll::Ready(());
        }
        set_left(0);
    }
    waker.wake_by_ref();
    Poll::Pending
}

/// Returns `Ready` while there is budget. Otherwise wakes the task for its next turn and returns `Pending`.
///
/// Leaf futures call this before they try to complete, and call [`spend`] once they have completed.
#[inline]
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    if left() > 0 { Poll::Ready(()) } else { poll_spent(cx) }
}

/// Takes one unit, because a leaf future has completed.
#[inline]
pub(crate) fn spend() {
    set_left(left() - 1);
}

/// Combines [`poll_budget`] and [`spend`], for an operation that is expected to succeed. If it does not, the
/// caller calls [`refund`].
#[inline]
pub(crate) fn poll_spend(cx: &mut Context<'_>) -> Poll<()> {
    ready!(poll_budget(cx));
    spend();
    Poll::Ready(())
}

/// Gives back the unit of an operation that has to wait after all.
pub(crate) fn refund() {
    set_left(left() + 1);
}

/// Returns true while the task has budget left. Outside of a task it always returns true.
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
    left() > 0
}

/// Spends one unit of the task's budget, and yields to the loop if no unit is left.
///
/// This function is meant for long computations and for streams that are always ready. If a task calls it
/// once per step, other tasks, timers and sockets get their turn now and then, at the cost of a counter.
/// Outside of a task it completes at once.
///
/// The budget applies to futures that are polled with the waker of the task. A future that is polled with
/// another waker, for example by a `block_on` inside of a poll or by `FuturesUnordered`, is made pending more
/// rarely: once per 128 units after the budget is spent. It then proceeds when it is polled again.
///
/// # Cancel safety
///
/// This function is cancel safe: a dropped call has spent at most one unit.
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
    poll_fn(poll_spend).await
}
