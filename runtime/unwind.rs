//! User code that the runtime runs on behalf of no task: the drop of a future, an output or a closure, a foreign
//! waker, the payload of a panic. A panic in it has been reported by the panic hook, and ends here; what was to
//! follow the user's code follows. No budget applies to it, since there is no task that could yield.
//!
//! Without that a second panic of this kind would end the process: in drop glue, which goes on with the next
//! field or element while it unwinds, and in every drop that happens while another panic unwinds.

use crate::task::coop;
use pin_project_lite::pin_project;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs `f` without a budget, and goes on if it panics.
pub(crate) fn contain(f: impl FnOnce()) {
    let _budget = coop::unlimited();
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
#[inline(never)]
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

pin_project! {
    /// Holds a value, whose drop may panic: the panic then ends there.
    pub(crate) struct Contained<T> {
        // There until it is dropped.
        #[pin]
        value: Option<T>,
    }

    impl<T> PinnedDrop for Contained<T> {
        fn drop(this: Pin<&mut Self>) {
            this.clear();
        }
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.pinned().poll(cx)
    }
}

impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Contained<T> {
        Contained { value: Some(value) }
    }

    pub(crate) fn get(&self) -> &T {
        self.value.as_ref().expect("a contained value is there until it is dropped")
    }

    pub(crate) fn pinned(self: Pin<&mut Self>) -> Pin<&mut T> {
        self.project().value.as_pin_mut().expect("a contained value is there until it is dropped")
    }

    /// Drops the value. It cannot be had any more.
    pub(crate) fn clear(self: Pin<&mut Self>) {
        let mut value = self.project().value;
        contain(|| value.set(None));
    }
}
