//! Panics in user code that the library runs for nobody in particular: the drop of a future, an output or a
//! closure, a foreign waker, the payload of a panic. The panic hook has reported them; they end here, and
//! what was to follow the user's code follows.
//!
//! Without that a second panic of this kind would end the process: in drop glue, which goes on with the next
//! field or element while it unwinds, and in every drop that happens while another panic unwinds.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`, and goes on if it panics.
pub(crate) fn contain(f: impl FnOnce()) {
    if let Some(payload) = catch(f) {
        discard(payload);
    }
}

/// Runs `f`, and returns the payload if it panics.
pub(crate) fn catch(f: impl FnOnce()) -> Option<Box<dyn Any + Send>> {
    // The state behind `f` is the user's, and what a panic may leave of it is for the user to see.
    catch_unwind(AssertUnwindSafe(f)).err()
}

/// Drops a value, and goes on if that panics.
#[inline]
pub(crate) fn drop<T>(value: T) {
    if std::mem::needs_drop::<T>() {
        contain(|| std::mem::drop(value));
    }
}

/// Drops each of several values.
#[inline]
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(drop);
}

/// Drops a panic's payload, whose drop may panic in turn: that payload is then leaked.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Some(payload) = catch(|| std::mem::drop(payload)) {
        std::mem::forget(payload);
    }
}
