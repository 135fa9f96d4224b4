//! The reactor: turns readiness reported by the kernel into wakers to wake.
//!
//! Once per turn the executor calls [`Reactor::turn`], which waits in the selector and moves the
//! wakers of every ready source into the caller's list. It wakes nobody itself: order is the
//! executor's business. It knows nothing of tasks and nothing of timers.
//!
//! A *source* is a registered descriptor with two sides, one per direction. A side is believed
//! ready until an operation finds that it is not; then whoever waits leaves a waker, in one of two
//! seats: the `poll_*` functions share one, where the latest caller sits; each `async` call has its
//! own. An event makes the side ready again and empties all its seats.

use super::crowd::Crowd;
use super::id::Id;
use super::selector::{Event, Selector};
use crate::io::Interest;
use slab::Slab;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::task::Waker;
use std::time::Duration;

/// Which way the data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// Where a caller's waker sits.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Seat {
    /// The one that `poll_*` functions share: the latest caller is woken.
    Shared,
    /// A seat of the caller's own. Zero until it first has to wait.
    Own(u64),
}

/// Clones a waker if that runs no user code. Such a waker keeps its seat when it is woken, and need
/// not be left again.
pub(crate) type Copy = fn(&Waker) -> Option<Waker>;

/// What a caller learns who asks whether a side is ready.
pub(crate) enum Readiness {
    /// Believed ready, as of so many events.
    Ready(u8),
    /// Not ready, and the waker already sits there.
    Seated,
    /// Not ready; the waker has yet to be left, by [`Reactor::sit`].
    LeaveWaker,
    /// There is no such source any more.
    Gone,
}

pub(crate) struct Reactor {
    runtime: u16,
    copy: Copy,
    selector: Selector,
    sources: Slab<Source>,
    crowd: Crowd,
    last_generation: u16,
    /// Begins with the runtime's number: a seat taken in another runtime is nobody's here.
    last_seat: u64,
}

/// A registered descriptor. Its owner deregisters it before the descriptor is closed.
pub(crate) struct Source {
    generation: u16,
    fd: RawFd,
    read: Side,
    write: Side,
}

#[derive(Default)]
struct Side {
    ready: bool,
    /// A short transfer does not mean that nothing is left: see [`Event::is_read_closed`].
    closed: bool,
    /// Counts events, and wraps: readiness is only cleared by who has seen the latest one.
    events: u8,
    /// Whether who sits in the shared seat is to be woken.
    waits: bool,
    shared: Option<Waker>,
    // Boxed, since most sources never have any: a word instead of three.
    #[expect(clippy::box_collection)]
    own: Option<Box<Vec<(u64, Waker)>>>,
}

impl Reactor {
    pub(crate) fn new(runtime: u16, selector: Selector, copy: Copy) -> Reactor {
        Reactor {
            runtime,
            copy,
            selector,
            sources: Slab::new(),
            crowd: Crowd::new(),
            last_generation: 0,
            last_seat: u64::from(runtime) << 48,
        }
    }

    /// Waits in the selector, and collects the wakers of all that is ready.
    pub(crate) fn turn(&mut self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) -> io::Result<()> {
        let (sources, copy) = (&mut self.sources, self.copy);
        self.selector.wait_for_each(timeout, |event| {
            // An event for a source that has gone, whoever has the slot now, is dropped.
            if let Some(source) = find(sources, Id::from_bits(event.key())) {
                source.apply(event, copy, wakers);
            }
        })
    }

    /// Watches a descriptor. Both sides are believed ready until somebody finds otherwise.
    pub(crate) fn register(&mut self, fd: BorrowedFd<'_>) -> io::Result<Id> {
        self.last_generation = self.last_generation.wrapping_add(1);
        let entry = self.sources.vacant_entry();
        let slot = u32::try_from(entry.key()).map_err(io::Error::other)?;
        let id = Id::new(self.runtime, self.last_generation, slot);
        self.selector.register_for(fd, id.bits(), Some(Interest::READABLE | Interest::WRITABLE))?;
        entry.insert(Source {
            generation: self.last_generation,
            fd: fd.as_raw_fd(),
            read: Side { ready: true, ..Side::default() },
            write: Side { ready: true, ..Side::default() },
        });
        Ok(id)
    }

    /// Stops watching a descriptor, which is still open. The caller wakes or drops what comes back.
    pub(crate) fn deregister(&mut self, id: Id) -> Option<Source> {
        let source = self.forget(id)?;
        // Fails if somebody closed the descriptor behind its owner's back; then it is gone anyway.
        let _ = self.selector.deregister(source.fd);
        Some(source)
    }

    /// Frees the slot of a source whose descriptor is not watched any more.
    pub(crate) fn forget(&mut self, id: Id) -> Option<Source> {
        find(&mut self.sources, id)?;
        self.sources.try_remove(id.slot() as usize)
    }

    /// Whether a side is believed ready; if not, whether the waker is in its seat.
    #[inline]
    pub(crate) fn check(&mut self, id: Id, direction: Direction, seat: &Seat, waker: &Waker) -> Readiness {
        let Some(source) = find(&mut self.sources, id) else {
            return Readiness::Gone;
        };
        let side = source.side(direction);
        if side.ready {
            return Readiness::Ready(side.events);
        }
        match side.seated(seat) {
            Some(earlier) if earlier.will_wake(waker) => {
                side.waits |= *seat == Seat::Shared;
                Readiness::Seated
            }
            _ => Readiness::LeaveWaker,
        }
    }

    /// Whether the peer has closed a direction, or an error is there to collect.
    pub(crate) fn is_closed(&mut self, id: Id, direction: Direction) -> bool {
        find(&mut self.sources, id).is_some_and(|source| source.side(direction).closed)
    }

    /// Leaves a waker, and gives back the one to drop: the earlier one, as a rule. `Own(0)` gets a
    /// seat of its own.
    pub(crate) fn sit(
        &mut self,
        id: Id,
        direction: Direction,
        seat: &mut Seat,
        waker: Waker,
    ) -> Option<Waker> {
        let Some(source) = find(&mut self.sources, id) else {
            return Some(waker);
        };
        let side = source.side(direction);
        side.waits |= *seat == Seat::Shared;
        if let Some(earlier) = side.seated(seat) {
            return Some(std::mem::replace(earlier, waker));
        }
        match seat {
            Seat::Shared => side.shared = Some(waker),
            Seat::Own(key) => {
                self.last_seat += 1;
                *key = self.last_seat;
                side.own.get_or_insert_default().push((*key, waker));
            }
        }
        None
    }

    /// Gives up a seat of one's own. The caller drops the waker that was there.
    pub(crate) fn stand_up(&mut self, id: Id, direction: Direction, key: u64) -> Option<Waker> {
        let own = find(&mut self.sources, id)?.side(direction).own.as_mut()?;
        let index = own.iter().position(|(seat, _)| *seat == key)?;
        Some(own.swap_remove(index).1)
    }

    /// An operation found that a side is not ready. It stays ready if an event has come since.
    #[inline]
    pub(crate) fn not_ready(&mut self, id: Id, direction: Direction, events: u8) {
        if let Some(source) = find(&mut self.sources, id) {
            let side = source.side(direction);
            side.ready &= side.events != events;
        }
    }

    /// A transfer was short: nothing is left, unless the side is closed.
    #[inline]
    pub(crate) fn drained(&mut self, id: Id, direction: Direction, events: u8) {
        if let Some(source) = find(&mut self.sources, id) {
            let side = source.side(direction);
            side.ready &= side.closed || side.events != events;
        }
    }

    /// The loop goes to sleep: gives back what is not needed now.
    pub(crate) fn rest(&mut self) {
        self.crowd.disperse(&mut self.sources);
    }

    /// Whether nothing is registered, so that looking for events would be in vain.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many descriptors are registered.
    pub(crate) fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether somebody waits for a descriptor.
    pub(crate) fn has_waiters(&self) -> bool {
        let waits =
            |side: &Side| side.shared.is_some() || side.own.as_ref().is_some_and(|own| !own.is_empty());
        self.sources.iter().any(|(_, source)| waits(&source.read) || waits(&source.write))
    }

    /// The runtime is going: hands out every waker that is left.
    pub(crate) fn clear(&mut self, wakers: &mut Vec<Waker>) {
        for (_, source) in &mut self.sources {
            source.take_wakers(wakers);
        }
    }
}

/// The source that an id means, if its slot has no other tenant by now.
#[inline]
fn find(sources: &mut Slab<Source>, id: Id) -> Option<&mut Source> {
    sources.get_mut(id.slot() as usize).filter(|source| source.generation == id.generation())
}

impl Source {
    /// Empties all seats.
    pub(crate) fn take_wakers(&mut self, wakers: &mut Vec<Waker>) {
        self.read.take_wakers(wakers);
        self.write.take_wakers(wakers);
    }

    #[inline]
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    #[inline]
    fn apply(&mut self, event: Event, copy: Copy, wakers: &mut Vec<Waker>) {
        if event.is_readable() {
            self.read.apply(event.is_read_closed(), copy, wakers);
        }
        if event.is_writable() {
            self.write.apply(event.is_write_closed(), copy, wakers);
        }
    }
}

impl Side {
    #[inline]
    fn apply(&mut self, closed: bool, copy: Copy, wakers: &mut Vec<Waker>) {
        self.ready = true;
        self.closed |= closed;
        // Zero is for "none yet".
        self.events = self.events.checked_add(1).unwrap_or(1);
        if self.waits {
            self.waits = false;
            let waker = self.shared.as_ref().and_then(copy).or_else(|| self.shared.take());
            wakers.extend(waker);
        }
        self.take_own(wakers);
    }

    /// Empties all seats.
    fn take_wakers(&mut self, wakers: &mut Vec<Waker>) {
        self.waits = false;
        wakers.extend(self.shared.take());
        self.take_own(wakers);
    }

    #[inline]
    fn take_own(&mut self, wakers: &mut Vec<Waker>) {
        if let Some(own) = &mut self.own {
            wakers.extend(own.drain(..).map(|(_, waker)| waker));
        }
    }

    #[inline]
    fn seated(&mut self, seat: &Seat) -> Option<&mut Waker> {
        match seat {
            Seat::Shared => self.shared.as_mut(),
            Seat::Own(key) => {
                let own = self.own.as_mut()?;
                own.iter_mut().find(|(seat, _)| seat == key).map(|(_, waker)| waker)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::selector::Kind;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_slots_earlier_tenant_is_not_taken_for_the_present_one() {
        let mut reactor = Reactor::new(1, Selector::with_room(Kind::Epoll, 8).unwrap(), |_| None);
        let (one, _other) = UnixStream::pair().unwrap();
        let earlier = reactor.register(one.as_fd()).unwrap();
        assert!(reactor.deregister(earlier).is_some());
        let present = reactor.register(one.as_fd()).unwrap();
        assert_eq!(earlier.slot(), present.slot());
        // What an event, or a handle, that comes late would do.
        assert!(find(&mut reactor.sources, earlier).is_none());
        assert!(reactor.deregister(earlier).is_none());
        assert!(find(&mut reactor.sources, present).is_some());
    }
}
