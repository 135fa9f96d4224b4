//! Panics in user code that the loop runs on nobody's behalf: the drop of an output that nobody
//! joins, a foreign waker, a panic's payload. The panic hook has reported them; they end there.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`, and goes on if it panics.
pub(crate) fn contain(f: impl FnOnce()) {
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
