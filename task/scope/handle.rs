//! The place where a child of a scope leaves its output, and the handle that awaits it.

use crate::runtime::unwind;
use crate::runtime::waker::WakerCell;
use crate::task::coop;
use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A handle to the output of a child of a [`scope`](crate::task::scope). Dropping it does not end the child.
///
/// It resolves to `None` if the child was dropped before it was ready, or returned an error.
///
/// # Panics
///
/// Polling the handle panics after it has returned the output.
///
/// # Cancel safety
///
/// Awaiting a `&mut ScopedHandle` is cancel safe.
pub struct ScopedHandle<T> {
    place: Option<Rc<Place<T>>>,
}

pub(super) struct Place<T> {
    output: Cell<Option<T>>,
    has_ended: Cell<bool>,
    waker: WakerCell,
}

/// The side of the child, which ends when it is dropped.
pub(super) struct Fill<T>(Rc<Place<T>>);

impl<T> Fill<T> {
    pub(super) fn fill(&self, output: T) {
        self.0.output.set(Some(output));
    }
}

/// Makes the two sides of a place for an output.
pub(super) fn place<T>() -> (ScopedHandle<T>, Fill<T>) {
    let place =
        Rc::new(Place { output: Cell::new(None), has_ended: Cell::new(false), waker: WakerCell::default() });
    (ScopedHandle { place: Some(place.clone()) }, Fill(place))
}

impl<T> Drop for Place<T> {
    // Nobody has awaited the handle.
    fn drop(&mut self) {
        unwind::drop_each(self.output.take());
    }
}

impl<T> Drop for Fill<T> {
    fn drop(&mut self) {
        self.0.has_ended.set(true);
        self.0.waker.wake();
    }
}

impl<T> Future for ScopedHandle<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        ready!(coop::poll_budget(cx));
        let place = self.place.as_ref().expect("a scoped handle was polled after it had given its output");
        if !place.has_ended.get() {
            place.waker.leave(cx.waker());
            // The clone of a foreign waker is user code, in which the child may end.
            if !place.has_ended.get() {
                return Poll::Pending;
            }
        }
        let output = place.output.take();
        self.place = None;
        coop::spend();
        Poll::Ready(output)
    }
}

impl<T> fmt::Debug for ScopedHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_ended = self.place.as_ref().is_none_or(|place| place.has_ended.get());
        f.debug_struct("ScopedHandle").field("has_ended", &has_ended).finish()
    }
}
