//! A source: a registered descriptor, its two directions, and their waiters.
//!
//! A reported event stays in the flags until the owner looks for it. A waker that was woken without being
//! taken out stays in its waiter. The bits of `waits` tell which wakers still have to be woken.

use super::waiters::{WaiterKey, WaiterList};
use crate::runtime::selector::{Event, READ_END, READ_MORE, READABLE, WRITABLE, WRITE_CLOSED};
use crate::runtime::slots::Entry;
use crate::runtime::unwind;
use std::os::fd::RawFd;
use std::task::Waker;

/// The direction of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// The place where a caller leaves its waker.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    /// The waiter that the `poll_*` functions share. It holds the waker of the latest caller.
    Shared,
    /// A waiter that belongs to the caller. It is `None` until the caller first has to wait.
    Own(Option<WaiterKey>),
}

/// A registered descriptor. Its owner deregisters it before the descriptor is closed.
pub(crate) struct Source {
    /// The generation, which has 16 bits. A number of more than 16 bits means that the slot is vacant.
    pub(super) generation: u32,
    /// The reported flags of [`Event`]. Those of readiness are cleared when the owner takes the event. Above
    /// them, at [`ARMED`], are the readiness flags of the directions that the selector watches. An
    /// edge-triggered selector always watches both.
    pub(super) flags: u8,
    /// The waiters that may have to be woken: two bits for the shared waiters of reads and writes, and then
    /// two bits for the waiters of `async` calls.
    pub(super) waits: u8,
    pub(super) fd: RawFd,
    pub(super) read: Waiters,
    pub(super) write: Waiters,
}

/// The waiters of one direction.
#[derive(Default)]
pub(crate) struct Waiters {
    shared: Option<Waker>,
    // This list is boxed, since most sources never have such waiters.
    own: Option<Box<WaiterList>>,
}

// Dropping a source drops several wakers, and each of these drops may panic.
impl Drop for Waiters {
    fn drop(&mut self) {
        self.drain(unwind::drop);
    }
}

/// The shift of the bits for waiters of `async` calls in `waits`.
pub(super) const OWN: u32 = 2;
/// The shift from the flags of readiness to those of closure in an event.
pub(super) const CLOSURE: u32 = 2;
const _: () = assert!(READ_MORE >> CLOSURE == READABLE && WRITE_CLOSED >> CLOSURE == WRITABLE);
/// The shift of the flags of armed directions in `flags`.
pub(super) const ARMED: u32 = 4;
pub(super) const READINESS: u8 = READABLE | WRITABLE;

impl Direction {
    pub(crate) fn other(self) -> Direction {
        match self {
            Direction::Read => Direction::Write,
            Direction::Write => Direction::Read,
        }
    }

    /// Returns the flag of [`Event`] which tells that an operation may make progress.
    #[inline]
    pub(super) fn readiness(self) -> u8 {
        match self {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        }
    }

    /// Returns the flag which tells that the direction is closed or that there is an error.
    #[inline]
    pub(super) fn closure(self) -> u8 {
        match self {
            Direction::Read => READ_END,
            Direction::Write => WRITE_CLOSED,
        }
    }

    /// Returns the flag which tells that data may be left after a short transfer.
    #[inline]
    pub(super) fn more(self) -> u8 {
        match self {
            Direction::Read => READ_MORE,
            Direction::Write => WRITE_CLOSED,
        }
    }
}

impl Waiter {
    /// Returns the bit of `waits` for waiters of this kind.
    #[inline]
    pub(super) fn flag(&self, direction: Direction) -> u8 {
        match self {
            Waiter::Shared => direction.readiness(),
            Waiter::Own(_) => direction.readiness() << OWN,
        }
    }
}

impl Entry for Source {
    const VACANT: Source = Source {
        generation: u32::MAX,
        flags: 0,
        waits: 0,
        fd: -1,
        read: Waiters { shared: None, own: None },
        write: Waiters { shared: None, own: None },
    };

    fn is_vacant(&self) -> bool {
        self.generation == u32::MAX
    }
}

impl Source {
    #[inline]
    pub(super) fn is_armed(&self, direction: Direction) -> bool {
        self.flags >> ARMED & direction.readiness() != 0
    }

    /// Returns the directions for which a task may wait, as flags of readiness.
    pub(super) fn awaited(&self) -> u8 {
        (self.waits | self.waits >> OWN) & READINESS
    }

    /// Returns true if a task may wait for one of the directions.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waits != 0
    }

    /// Empties all waiters. `f` is called with each waker, and must not panic.
    pub(crate) fn drain(&mut self, mut f: impl FnMut(Waker)) {
        self.waits = 0;
        self.read.drain(&mut f);
        self.write.drain(&mut f);
    }

    /// Empties all waiters into a list.
    pub(crate) fn take_wakers(&mut self, wakers: &mut Vec<Waker>) {
        self.waits = 0;
        for waiters in [&mut self.read, &mut self.write] {
            waiters.take_all(wakers);
        }
    }

    #[inline]
    pub(super) fn take_event(&mut self, direction: Direction) -> Option<bool> {
        if self.flags & direction.readiness() == 0 {
            return None;
        }
        self.flags &= !direction.readiness();
        Some(self.flags & direction.more() != 0)
    }

    #[inline]
    pub(super) fn waiters(&mut self, direction: Direction) -> &mut Waiters {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    #[inline]
    pub(super) fn apply(
        &mut self,
        event: Event,
        wake: &mut impl FnMut(&Waker) -> bool,
        wakers: &mut Vec<Waker>,
    ) {
        self.flags |= event.flags();
        let ready = event.flags() & READINESS;
        let woken = self.waits & (ready | ready << OWN);
        self.waits &= !woken;
        if woken & READABLE != 0 {
            self.read.wake_shared(wake, wakers);
        }
        if woken & WRITABLE != 0 {
            self.write.wake_shared(wake, wakers);
        }
        if woken >> OWN != 0 {
            self.take_own(woken >> OWN, wakers);
        }
    }

    #[cold]
    pub(super) fn take_own(&mut self, sides: u8, wakers: &mut Vec<Waker>) {
        if sides & READABLE != 0 {
            self.read.take_own(wakers);
        }
        if sides & WRITABLE != 0 {
            self.write.take_own(wakers);
        }
    }
}

impl Waiters {
    fn drain(&mut self, mut f: impl FnMut(Waker)) {
        if let Some(waker) = self.shared.take() {
            f(waker);
        }
        if let Some(own) = self.own.take() {
            own.drain(f);
        }
    }

    /// Empties all waiters of this direction into a list.
    pub(crate) fn take_all(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.shared.take());
        self.take_own(wakers);
    }

    /// Removes the waiter of an `async` call. Returns its waker, and whether it was the last such waiter.
    pub(crate) fn remove_waker(&mut self, key: WaiterKey) -> Option<(Waker, bool)> {
        let own = self.own.as_mut()?;
        let waker = own.remove(key)?;
        Some((waker, own.is_empty()))
    }

    /// Leaves a waker in a waiter, and returns the earlier one. `number` is called if a new waiter is created.
    pub(crate) fn set_waker(
        &mut self,
        waiter: &mut Waiter,
        waker: Waker,
        number: impl FnOnce() -> u64,
    ) -> Option<Waker> {
        if let Some(earlier) = self.waker_of(waiter) {
            return Some(std::mem::replace(earlier, waker));
        }
        match waiter {
            Waiter::Shared => self.shared = Some(waker),
            Waiter::Own(key) => *key = Some(self.own.get_or_insert_default().insert(number(), waker)),
        }
        None
    }

    #[inline]
    pub(super) fn wake_shared(&mut self, wake: &mut impl FnMut(&Waker) -> bool, wakers: &mut Vec<Waker>) {
        if let Some(waker) = &self.shared
            && !wake(waker)
        {
            wakers.extend(self.shared.take());
        }
    }

    pub(super) fn take_own(&mut self, wakers: &mut Vec<Waker>) {
        if let Some(own) = &mut self.own {
            own.take_all(wakers);
        }
    }

    #[inline]
    pub(super) fn waker_of(&mut self, waiter: &Waiter) -> Option<&mut Waker> {
        match waiter {
            Waiter::Shared => self.shared.as_mut(),
            Waiter::Own(key) => self.own.as_mut()?.get_mut((*key)?),
        }
    }
}
