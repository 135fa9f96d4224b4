//! Wakers whose data word is an id.
//!
//! The data word of a waker is a [`SlotId`], not a pointer: cloning copies it, dropping does nothing, and `will_wake`
//! compares two integers. There is no reference count to get wrong, and nothing to free. A wake looks up the task that
//! the id refers to, and has no effect if that has ended. A stale generation causes at worst one spurious poll, which
//! [`Future::poll`] allows. So the functions of the vtable are sound on any thread at any time, whatever the data word
//! is.
#![expect(unsafe_code, reason = "the vtable of the waker")]

use super::id::SlotId;
use super::{context, unwind};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake_id, wake_id, |_| {});

/// Returns a waker for an id. It need not be dropped.
#[inline]
pub(crate) fn waker(id: SlotId) -> ManuallyDrop<Waker> {
    // SAFETY: the functions of the vtable meet the contract of `RawWaker` for every data word, on every thread: they
    // never use it as a pointer.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw(id)) })
}

#[inline]
fn raw(id: SlotId) -> RawWaker {
    RawWaker::new(ptr::without_provenance(id.bits() as usize), &VTABLE)
}

#[inline]
fn id_of(data: *const ()) -> SlotId {
    SlotId::from_bits(data.addr() as u64)
}

fn clone(data: *const ()) -> RawWaker {
    raw(id_of(data))
}

fn wake_id(data: *const ()) {
    context::wake(id_of(data));
}

/// Returns the id in a waker of this library, or `None` for a foreign waker.
#[inline]
pub(crate) fn id(waker: &Waker) -> Option<SlotId> {
    ptr::eq(waker.vtable(), &VTABLE).then(|| id_of(waker.data()))
}

/// Clones a waker of this library. Returns `None` for a foreign waker, which must not be cloned while anything is
/// borrowed.
#[inline]
pub(crate) fn copy(waker: &Waker) -> Option<Waker> {
    id(waker).map(|id| ManuallyDrop::into_inner(self::waker(id)))
}

/// Wakes a waker. If a foreign waker panics, the panic is caught.
#[inline]
pub(crate) fn wake(waker: Waker) {
    match id(&waker) {
        Some(id) => context::wake(id),
        None => unwind::contain(|| waker.wake()),
    }
}

/// Drops a waker. If a foreign waker panics, the panic is caught.
#[inline]
pub(crate) fn discard(waker: Waker) {
    match id(&waker) {
        // A waker of this library need not be dropped.
        Some(_) => std::mem::forget(waker),
        None => unwind::drop(waker),
    }
}

/// Drops each of several wakers, or the waker in an `Option`.
#[inline]
pub(crate) fn discard_each(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(discard);
}

/// A cell for the waker of the task that waits for something. The latest waker replaces the earlier one.
#[derive(Default)]
pub(crate) struct WakerCell(Cell<Option<Waker>>);

impl WakerCell {
    /// Stores a waker, which is cloned only if it differs from the stored one. The clone may run user code, so the
    /// caller has to check again afterwards whether there is still something to wait for.
    #[inline]
    pub(crate) fn leave(&self, waker: &Waker) {
        let left = self.0.take();
        let is_there = left.as_ref().is_some_and(|left| left.will_wake(waker));
        // Put back before the clone, which may panic: then the earlier waker is still woken.
        self.0.set(left);
        if !is_there {
            let waker = waker.clone();
            discard_each(self.0.replace(Some(waker)));
        }
    }

    /// Takes the stored waker, if there is one, and wakes it.
    #[inline]
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            wake(waker);
        }
    }

    /// Takes the stored waker, if there is one, and drops it.
    #[inline]
    pub(crate) fn clear(&self) {
        discard_each(self.0.take());
    }
}

impl Drop for WakerCell {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_the_same_and_others_are_not() {
        let one = waker(SlotId::new(7, 1, 3));
        assert!(one.will_wake(&one.clone()));
        assert!(one.will_wake(&waker(SlotId::new(7, 1, 3))));
        assert!(!one.will_wake(&waker(SlotId::new(7, 2, 3))));
    }

    #[test]
    fn whatever_the_word_waking_it_is_sound() {
        for bits in [0, 1, u64::MAX, 1 << 48, u64::MAX >> 1, 0xffff_0000_0000_0000] {
            let stray = waker(SlotId::from_bits(bits));
            stray.wake_by_ref();
            std::thread::scope(|scope| {
                scope.spawn(|| stray.wake_by_ref());
            });
        }
    }
}
