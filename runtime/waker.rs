//! Wakers that are ids.
//!
//! The data word of a waker is an [`Id`], not a pointer: clone is a copy, drop does nothing, and
//! `will_wake` compares two integers. There is no count to get wrong and nothing to free. A wake
//! looks up what the id names, and finds nothing once that has gone; a stale generation at worst
//! makes for one spurious poll, which [`Future::poll`] allows. So the functions of the table are
//! sound from any thread at any time, whatever the word says.
#![expect(unsafe_code, reason = "the vtable of the waker")]

use super::id::Id;
use super::{context, unwind};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake_id, wake_id, |_| {});

/// The waker for an id. It needs no drop.
#[inline]
pub(crate) fn waker(id: Id) -> ManuallyDrop<Waker> {
    // SAFETY: the functions of the table meet the contract of `RawWaker` for every data word, on
    // every thread: they never use it as a pointer.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw(id)) })
}

#[inline]
fn raw(id: Id) -> RawWaker {
    RawWaker::new(ptr::without_provenance(id.bits() as usize), &VTABLE)
}

#[inline]
fn id_of(data: *const ()) -> Id {
    Id::from_bits(data.addr() as u64)
}

fn clone(data: *const ()) -> RawWaker {
    raw(id_of(data))
}

fn wake_id(data: *const ()) {
    context::wake(id_of(data));
}

/// The id that a waker of ours is; `None` for a foreign one.
#[inline]
pub(crate) fn id(waker: &Waker) -> Option<Id> {
    ptr::eq(waker.vtable(), &VTABLE).then(|| id_of(waker.data()))
}

/// A clone of a waker of ours. A foreign one has to be cloned under no borrow.
#[inline]
pub(crate) fn copy(waker: &Waker) -> Option<Waker> {
    id(waker).map(|id| ManuallyDrop::into_inner(self::waker(id)))
}

/// Wakes, and goes on if a foreign waker panics.
#[inline]
pub(crate) fn wake(waker: Waker) {
    match id(&waker) {
        Some(id) => context::wake(id),
        None => unwind::contain(|| waker.wake()),
    }
}

/// Drops a waker, and goes on if a foreign one panics.
#[inline]
pub(crate) fn discard(waker: Waker) {
    match id(&waker) {
        // Ours needs no drop.
        Some(_) => std::mem::forget(waker),
        None => unwind::drop(waker),
    }
}

/// The same for several, or for one that may be there.
#[inline]
pub(crate) fn discard_each(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(discard);
}

/// The place of the one who waits for something: the latest to poll is woken.
#[derive(Default)]
pub(crate) struct WakerCell(Cell<Option<Waker>>);

impl WakerCell {
    /// Leaves a waker, which is cloned only if it is another than the last time. The clone is user code, so
    /// the caller looks once more afterwards whether there is still something to wait for.
    pub(crate) fn leave(&self, waker: &Waker) {
        let left = self.0.take();
        let is_there = left.as_ref().is_some_and(|left| left.will_wake(waker));
        // Before the clone, which may panic: then the earlier one is still woken.
        self.0.set(left);
        if !is_there {
            let waker = waker.clone();
            discard_each(self.0.replace(Some(waker)));
        }
    }

    /// Wakes the one who waits, if there is one.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            wake(waker);
        }
    }
}

impl Drop for WakerCell {
    fn drop(&mut self) {
        discard_each(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_the_same_and_others_are_not() {
        let one = waker(Id::new(7, 1, 3));
        assert!(one.will_wake(&one.clone()));
        assert!(one.will_wake(&waker(Id::new(7, 1, 3))));
        assert!(!one.will_wake(&waker(Id::new(7, 2, 3))));
    }

    #[test]
    fn whatever_the_word_waking_it_is_sound() {
        for bits in [0, 1, u64::MAX, 1 << 48, u64::MAX >> 1, 0xffff_0000_0000_0000] {
            let stray = waker(Id::from_bits(bits));
            stray.wake_by_ref();
            std::thread::scope(|scope| {
                scope.spawn(|| stray.wake_by_ref());
            });
        }
    }
}
