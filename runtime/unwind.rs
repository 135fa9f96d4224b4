//! User code that the runtime runs on behalf of no task: the drop of an output that nobody joins, a foreign
//! waker, a panic's payload. A panic in it has been reported by the panic hook, and ends here. No budget applies
//! to it, since there is no task that could yield.

use crate::task::coop;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f` without a budget, and goes on if it panics.
pub(crate) fn contain(f: impl FnOnce()) {
    let _budget = coop::unlimited();
    // The state behind `f` is the user's, and what a panic may leave of it is for the user to see.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// Drops a panic's payload, whose drop may panic in turn: that payload is then leaked.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(payload);
    }
}
