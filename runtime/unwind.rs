//! Runs user code that belongs to no task: the drop of a future, an output or a closure, a foreign waker, the payload
//! of a panic. A panic in such code is caught here, after the panic hook has reported it, and the runtime goes on. No
//! budget applies to the code, since there is no task that could yield.
//!
//! Without this, a second panic of this kind would end the process: in drop glue, which continues with the next field
//! or element while it unwinds, and in every drop that runs while another panic unwinds.

use crate::task::coop;
use pin_project_lite::pin_project;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs `f` without a budget. If `f` panics, the panic is caught.
pub(crate) fn contain(f: impl FnOnce()) {
    let _budget = coop::unlimited();
    if let Some(payload) = catch(f) {
        discard(payload);
    }
}

/// Runs `f`, and returns the payload of the panic if it panics.
pub(crate) fn catch(f: impl FnOnce()) -> Option<Box<dyn Any + Send>> {
    // The state that a panic in `f` may leave inconsistent belongs to the user.
    catch_unwind(AssertUnwindSafe(f)).err()
}

/// Drops a value. If that panics, the panic is caught.
#[inline(never)]
pub(crate) fn drop<T>(value: T) {
    if std::mem::needs_drop::<T>() {
        contain(|| std::mem::drop(value));
    }
}

/// Drops each of several values, even if one of the drops panics.
#[inline]
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(drop);
}

/// Drops the payload of a panic. If that panics in turn, the second payload is leaked.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Some(payload) = catch(|| std::mem::drop(payload)) {
        std::mem::forget(payload);
    }
}

pin_project! {
    /// A value whose drop may panic: the panic is caught.
    pub(crate) struct Contained<T> {
        // `Some` until it is dropped.
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

impl<T: fmt::Debug> fmt::Debug for Contained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Contained<T> {
        Contained { value: Some(value) }
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        self.value.as_ref().expect("a contained value exists until it is dropped")
    }

    #[cfg(feature = "sync")]
    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a contained value exists until it is dropped")
    }

    pub(crate) fn pinned(self: Pin<&mut Self>) -> Pin<&mut T> {
        self.project().value.as_pin_mut().expect("a contained value exists until it is dropped")
    }

    /// Drops the value, which cannot be accessed after that.
    pub(crate) fn clear(self: Pin<&mut Self>) {
        let mut value = self.project().value;
        contain(|| value.set(None));
    }
}
