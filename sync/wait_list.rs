//! The wait list: the futures that wait for a permit, a lock or a message, served first in, first out. Every type of
//! `sync` that many futures can wait for has one.
//!
//! ```text
//!             push_back            grant_*               wake_granted
//!  a future ────────────► queued ───────────► granted ────────────────► granted, and woken
//!                            │                   │                         │
//!                            └───────────────────┴────────── remove ───────┴──► its slot is vacant
//! ```
//!
//! A future that has to wait pushes a waiter and holds its [`Key`]; only that future removes it. A waiter that is
//! granted is off the queue, and keeps its slot until its future takes the grant or is dropped. [`remove`] tells
//! which of the two it was: a future that is dropped with a grant passes the grant on.
//!
//! The waiters are in the slots of one vector, linked by numbers, so a wait allocates nothing unless the vector grows.
//! The list knows neither permits nor values: the payload `T` belongs to the type that uses it.
//!
//! User code (a foreign waker) never runs while the list is borrowed: every method releases its borrow before it
//! clones, wakes or drops such a waker. The closures that the methods take are given a payload, and must not run user code.
//! Such a waker may call the list again, and finds it consistent. Its panics are caught, except for a panic of a clone,
//! which changes nothing.
//!
//! [`remove`]: WaitList::remove

use crate::runtime::waker;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::Waker;

/// The number of slots that are kept when a burst of waiters is over: some kilobytes.
const KEPT: usize = 128;

/// The end of a list, instead of the number of a slot.
const NONE: u32 = u32::MAX;

/// The marker makes all types of `sync` neither `Send` nor `Sync`.
pub(super) struct WaitList<T>(RefCell<Slots<T>>, PhantomData<*const ()>);

/// The name of a waiter. The future that waits holds it, and gives it back to [`WaitList::remove`].
#[derive(PartialEq, Eq, Debug)]
#[must_use = "a waiter stays in its list until it is removed"]
pub(super) struct Key(NonZeroU32);

/// The payload of a waiter that was removed, and its state.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Removed<T> {
    pub(super) payload: T,
    /// `true` if the waiter had been granted. If its future is dropped, the grant is passed on.
    pub(super) is_granted: bool,
}

impl<T> WaitList<T> {
    pub(super) const fn new() -> WaitList<T> {
        let slots = Slots {
            slots: Vec::new(),
            occupied: 0,
            queue: List::EMPTY,
            unwoken: List::EMPTY,
            vacant: List::EMPTY,
        };
        WaitList(RefCell::new(slots), PhantomData)
    }

    /// Returns whether no waiter is queued. There may be waiters that have been granted.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().queue.first == NONE
    }

    /// Appends a waiter to the queue. It may do without a waker until it is polled.
    ///
    /// The caller clones the waker for it. The clone may run user code, so the caller looks after it, and before this
    /// call, whether there is still something to wait for.
    pub(super) fn push_back(&self, payload: T, waker: impl Into<Option<Waker>>) -> Key {
        self.0.borrow_mut().push_back(payload, waker.into())
    }

    /// Returns whether a waiter has been granted.
    #[inline]
    pub(super) fn is_granted(&self, key: &Key) -> bool {
        self.0.borrow().get(key).state != State::Queued
    }

    /// Polls a waiter: returns true if it has been granted. Otherwise the waker is stored, unless it wakes the same
    /// task as the one that is stored already.
    pub(super) fn poll_granted(&self, key: &Key, waker: &Waker) -> bool {
        {
            let slots = self.0.borrow();
            let slot = slots.get(key);
            if slot.state != State::Queued {
                return true;
            }
            if slot.waker.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
                return false;
            }
        }
        let waker = waker.clone();
        let (is_granted, unused) = {
            let mut slots = self.0.borrow_mut();
            let slot = slots.get_mut(key);
            // The clone may have granted it.
            match slot.state {
                State::Queued => (false, slot.waker.replace(waker)),
                _ => (true, Some(waker)),
            }
        };
        waker::discard_each(unused);
        is_granted
    }

    /// Grants the waiters from the front of the queue for which `f` returns true, up to the first for which it returns
    /// false. The caller then calls [`wake_granted`](Self::wake_granted).
    pub(super) fn grant_while(&self, mut f: impl FnMut(&mut T) -> bool) {
        let mut slots = self.0.borrow_mut();
        loop {
            let first = slots.queue.first;
            let Some(slot) = slots.slots.get_mut(first as usize) else { return };
            if !f(slot.payload_mut()) {
                return;
            }
            slots.grant(first);
        }
    }

    /// Grants the first waiter of the queue after `f` has been called with its payload. Returns false if there is none.
    /// The caller then calls [`wake_granted`](Self::wake_granted).
    pub(super) fn grant_first(&self, f: impl FnOnce(&mut T)) -> bool {
        let mut slots = self.0.borrow_mut();
        let first = slots.queue.first;
        slots.grant_one(first, f)
    }

    /// Grants the last waiter of the queue after `f` has been called with its payload. Returns false if there is none.
    /// The caller then calls [`wake_granted`](Self::wake_granted).
    pub(super) fn grant_last(&self, f: impl FnOnce(&mut T)) -> bool {
        let mut slots = self.0.borrow_mut();
        let last = slots.queue.last;
        slots.grant_one(last, f)
    }

    /// Wakes all waiters that have been granted and not been woken yet, in the order of their grants. Those are the ones
    /// with foreign wakers.
    ///
    /// A waker may grant further waiters. These are woken by the call within the waker, or by this one.
    #[inline]
    pub(super) fn wake_granted(&self) {
        while let Some(waker) = self.next_unwoken() {
            waker::wake(waker);
        }
    }

    fn next_unwoken(&self) -> Option<Waker> {
        let mut slots = self.0.borrow_mut();
        loop {
            let slot = slots.unwoken.first;
            if slot == NONE {
                return None;
            }
            slots.unlink(slot);
            let slot = &mut slots.slots[slot as usize];
            slot.state = State::Woken;
            if slot.waker.is_some() {
                return slot.waker.take();
            }
        }
    }

    /// Removes a waiter.
    pub(super) fn remove(&self, key: Key) -> Removed<T> {
        let (removed, waker) = self.0.borrow_mut().remove(key);
        waker::discard_each(waker);
        removed
    }
}

impl<T> Drop for WaitList<T> {
    // Futures that were forgotten leave their waiters behind.
    fn drop(&mut self) {
        let slots = self.0.get_mut();
        waker::discard_each(slots.slots.iter_mut().filter_map(|slot| slot.waker.take()));
    }
}

// A panic of user code leaves the list consistent.
impl<T> UnwindSafe for WaitList<T> {}
impl<T> RefUnwindSafe for WaitList<T> {}

impl<T> fmt::Debug for WaitList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitList").finish_non_exhaustive()
    }
}

/// The slots of all waiters, and the lists that they are in.
struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// The number of slots that are not vacant.
    occupied: usize,
    /// The waiters that have not been granted.
    queue: List,
    /// The waiters that have been granted and are still to be woken.
    unwoken: List,
    vacant: List,
}

struct Slot<T> {
    payload: Option<T>,
    waker: Option<Waker>,
    state: State,
    previous: u32,
    next: u32,
}

/// The state of a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In `queue`.
    Queued,
    /// Granted, and in `unwoken`: its waker is a foreign one.
    Unwoken,
    /// Granted, and in no list.
    Woken,
    /// In `vacant`.
    Vacant,
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

impl List {
    const EMPTY: List = List { first: NONE, last: NONE };
}

impl<T> Slot<T> {
    const VACANT: Slot<T> =
        Slot { payload: None, waker: None, state: State::Vacant, previous: NONE, next: NONE };

    #[inline]
    fn payload_mut(&mut self) -> &mut T {
        self.payload.as_mut().expect("the slot of a waiter is not vacant")
    }
}

impl<T> Slots<T> {
    #[inline]
    fn get(&self, key: &Key) -> &Slot<T> {
        &self.slots[key.slot() as usize]
    }

    #[inline]
    fn get_mut(&mut self, key: &Key) -> &mut Slot<T> {
        &mut self.slots[key.slot() as usize]
    }

    fn list(&mut self, state: State) -> &mut List {
        match state {
            State::Queued => &mut self.queue,
            State::Unwoken => &mut self.unwoken,
            State::Vacant => &mut self.vacant,
            State::Woken => unreachable!("a waiter that has been woken is in no list"),
        }
    }

    fn push_back(&mut self, payload: T, waker: Option<Waker>) -> Key {
        let slot = match self.vacant.first {
            NONE => {
                let slot = self.slots.len();
                assert!(slot < NONE as usize, "fewer than 2^32 - 1 waiters at a time");
                self.slots.push(Slot::VACANT);
                slot as u32
            }
            vacant => {
                self.unlink(vacant);
                vacant
            }
        };
        let waiter = &mut self.slots[slot as usize];
        (waiter.payload, waiter.waker) = (Some(payload), waker);
        self.link_back(slot, State::Queued);
        self.occupied += 1;
        Key::new(slot)
    }

    #[inline]
    fn link_back(&mut self, slot: u32, state: State) {
        let list = self.list(state);
        let last = std::mem::replace(&mut list.last, slot);
        match last {
            NONE => list.first = slot,
            last => self.slots[last as usize].next = slot,
        }
        let linked = &mut self.slots[slot as usize];
        (linked.state, linked.previous, linked.next) = (state, last, NONE);
    }

    /// Takes a waiter off the list that it is in.
    #[inline]
    fn unlink(&mut self, slot: u32) {
        let Slot { state, previous, next, .. } = self.slots[slot as usize];
        match self.slots.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => self.list(state).first = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(next) => next.previous = previous,
            None => self.list(state).last = previous,
        }
    }

    /// Grants a waiter of the queue. A waker of this library is woken at once, which runs no user code. A foreign one is
    /// woken when nothing is borrowed.
    #[inline]
    fn grant(&mut self, slot: u32) {
        self.unlink(slot);
        let waiter = &mut self.slots[slot as usize];
        match waiter.waker.take_if(|waker| waker::id(waker).is_some()) {
            Some(waker) => {
                waiter.state = State::Woken;
                waker::wake(waker);
            }
            None => self.link_back(slot, State::Unwoken),
        }
    }

    fn grant_one(&mut self, slot: u32, f: impl FnOnce(&mut T)) -> bool {
        let Some(waiter) = self.slots.get_mut(slot as usize) else { return false };
        f(waiter.payload_mut());
        self.grant(slot);
        true
    }

    fn remove(&mut self, key: Key) -> (Removed<T>, Option<Waker>) {
        let slot = key.slot();
        let state = self.get(&key).state;
        if state != State::Woken {
            self.unlink(slot);
        }
        let waiter = &mut self.slots[slot as usize];
        let payload = waiter.payload.take().expect("the slot of a waiter is not vacant");
        let waker = waiter.waker.take();
        self.link_back(slot, State::Vacant);
        self.occupied -= 1;
        if self.slots.len() > KEPT && self.occupied < self.slots.len() / 4 {
            self.shrink();
        }
        (Removed { payload, is_granted: state != State::Queued }, waker)
    }

    /// Gives memory back if few waiters are left of many: removes vacant slots from the end of the vector.
    #[cold]
    fn shrink(&mut self) {
        while self.slots.len() > KEPT && self.slots.last().is_some_and(|slot| slot.state == State::Vacant) {
            self.unlink(self.slots.len() as u32 - 1);
            self.slots.pop();
        }
        if self.slots.len() <= KEPT {
            self.slots.shrink_to(KEPT);
        } else if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
        }
    }
}

impl Key {
    fn new(slot: u32) -> Key {
        Key(NonZeroU32::MIN.saturating_add(slot))
    }

    fn slot(&self) -> u32 {
        self.0.get() - 1
    }
}

#[cfg(test)]
#[path = "wait_list_tests.rs"]
mod tests;
