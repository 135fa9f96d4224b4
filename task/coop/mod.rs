//! The cooperative budget: what keeps one task from running for ever on operations that are always ready.
//!
//! The executor refills the budget before each poll of a task. Every leaf future that completes
//! spends one unit; when none is left, leaf futures report [`Poll::Pending`] and wake their task,
//! so that the loop gets its turn. An operation that has to wait spends nothing: a task that polls
//! a thousand quiet sockets reaches the last one as surely as the first.
//!
//! A future may be polled with another waker than the task's own. A group of futures does so, which polls each that
//! was woken, and is to get out to its task now and then. A `block_on` inside of a poll does so too, which waits for
//! that future alone, and would wait for ever if it were pending until the task's next turn. So when the budget is
//! spent, a poll with another waker is interrupted once in as many units, and goes on when it is made again.
//!
//! This is the ground floor: it knows neither tasks nor timers nor sockets.

mod cooperative;
mod unconstrained;

pub use cooperative::{Coop, RestoreOnPending, cooperative, poll_proceed};
pub(crate) use unconstrained::unlimited;
pub use unconstrained::{Unconstrained, unconstrained};

use std::cell::Cell;
use std::future::poll_fn;
use std::ptr;
use std::task::{Context, Poll, RawWakerVTable, Waker, ready};

/// How many leaf operations may complete in one poll of a task: enough to make the bookkeeping
/// vanish, and few enough that a hundred busy tasks still answer within a millisecond or so.
const FULL: i64 = 128;

/// Outside of a task there is nobody to yield to, hence no limit: this is never used up. Units may also be given
/// back that were taken from a task's budget.
const UNLIMITED: i64 = i64::MAX / 2;

struct Budget {
    /// Below zero is what others have taken since it was spent: each unit that they give back was one of those.
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

/// An executor begins to poll with wakers that have this one's table.
pub(crate) fn begin(waker: &Waker) {
    BUDGET.with(|budget| budget.waker_vtable.set(waker.vtable()));
}

/// Gives the task that is about to be polled with this waker its full budget.
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

/// Tells polls of tasks apart: the data of the waker that the latest one was made with, or null if that is over.
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

/// The budget is spent: wakes the task for its next turn. If it is somebody else who polls, that is so once in
/// [`FULL`] units.
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

/// Ready while there is budget; else wakes the task for its next turn and is pending.
///
/// Leaf futures call this before they try to complete, and [`spend`] once they have.
#[inline]
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    if left() > 0 { Poll::Ready(()) } else { poll_spent(cx) }
}

/// Takes one unit: a leaf future has completed.
#[inline]
pub(crate) fn spend() {
    set_left(left() - 1);
}

/// Both at once, for an operation that is as good as done; if it is not, [`refund`] is called.
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
    left() > 0
}

/// Spends one unit of the task's budget, and yields to the loop when there is none left.
///
/// The budget applies to what is polled with the waker of the task. A future that is polled with another one,
/// as by a `block_on` inside of a poll or by `FuturesUnordered`, is never made pending by it.
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
    poll_fn(poll_spend).await
}
