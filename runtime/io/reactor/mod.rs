//! The reactor, which turns the readiness that the kernel reports into wakers to wake.
//!
//! Once per turn the executor calls [`Reactor::turn`]. This method waits in the selector, and passes the
//! wakers of every ready source to the executor. Wakers that may run user code go into a list of the
//! executor. The reactor wakes no task itself, because the executor decides the order. It knows neither tasks
//! nor timers.
//!
//! A *source* is a registered descriptor. It has two directions, and the reactor keeps the event of a
//! direction until the owner looks for it. The owner then [records](crate::runtime::io::readiness) that the
//! direction is ready, and asks again only after an operation has found that it is not. A caller that has to
//! wait then leaves a waker in one of two kinds of waiters: the `poll_*` functions share one waiter per
//! direction, which holds the waker of the latest caller, and each `async` call has its own. An event empties
//! all waiters of its direction.
//!
//! An edge-triggered selector watches both directions for the life of the source. A level-triggered selector
//! that did so would report a hang-up that no task reads in every turn. So it is *armed* for a direction when
//! a task first waits for that direction, and disarmed when it reports a direction for which no task waits.
//! Waiting again for a direction that was just read therefore costs nothing.

mod source;
mod waiters;

pub(crate) use source::{Direction, Source, Waiter, Waiters};
pub(crate) use waiters::WaiterKey;

use crate::runtime::id::{RuntimeId, SlotId};
use crate::runtime::io::interest::Interest;
use crate::runtime::io::throttle::Throttle;
use crate::runtime::selector::{Deregistrar, Event, READABLE, Selector, WRITABLE};
use crate::runtime::slots::{Entry, Slots};
use source::{ARMED, CLOSURE, OWN, READINESS};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::Waker;
use std::time::{Duration, Instant};

/// The result of looking at a direction.
pub(crate) enum Look {
    /// There has been an event since the last look. If `closed` is true, data may be left after a short
    /// transfer: see [`Event::is_read_closed`].
    Event { closed: bool },
    /// There has been no event, and the waker is already in its waiter.
    WakerSet,
    /// There has been no event, and the caller still has to leave its waker with [`Reactor::set_waker`].
    NeedsWaker,
    /// The source does not exist any more.
    Gone,
}

pub(crate) struct Reactor {
    runtime: RuntimeId,
    selector: Selector,
    sources: Slots<Source>,
    level: LevelTriggered,
    last_generation: u16,
    last_waiter: u64,
}

/// The state that only level-triggered selectors need.
#[derive(Default)]
struct LevelTriggered {
    /// The ids of sources to disarm after the present wait.
    unwanted: Vec<SlotId>,
    throttle: Throttle,
    /// True if a direction has been armed since the latest wait.
    is_armed_anew: bool,
}

impl LevelTriggered {
    /// Returns true if the event is passed on to the waiters, and false if its source has to be muted.
    #[inline(never)]
    fn passes_on(&mut self, id: SlotId, source: &Source, event: Event) -> bool {
        let awaited = source.awaited();
        if awaited & event.flags() >> CLOSURE != 0 && self.throttle.needs_muting(id, Instant::now()) {
            return false;
        }
        if source.flags >> ARMED & event.flags() & READINESS & !awaited != 0 {
            self.unwanted.push(id);
        }
        true
    }
}

impl Reactor {
    pub(crate) fn new(runtime: RuntimeId, selector: Selector) -> Reactor {
        Reactor {
            runtime,
            selector,
            sources: Slots::new(),
            level: LevelTriggered::default(),
            last_generation: 0,
            last_waiter: 0,
        }
    }

    /// Waits in the selector, and wakes the waiters of every ready source. `wake` is called with each waker.
    /// If it returns false, because the wake would run user code, the waker is added to `wakers` instead. A
    /// waker that `wake` accepts stays in its waiter, and need not be left again.
    pub(crate) fn turn(
        &mut self,
        timeout: Option<Duration>,
        mut wake: impl FnMut(&Waker) -> bool,
        wakers: &mut Vec<Waker>,
    ) -> io::Result<()> {
        let sources = &mut self.sources;
        // An edge-triggered selector watches both directions, even if no task waits.
        let is_edge = self.selector.kind().is_edge();
        let timeout = if is_edge { timeout } else { self.level.throttle.limit(timeout) };
        let level = &mut self.level;
        self.selector.wait_for_each(timeout, |event| {
            // Ignore an event for a source that does not exist any more, even if its slot is in use again.
            let id = SlotId::from_bits(event.key());
            if let Some(source) = find(sources, id)
                && (is_edge || level.passes_on(id, source, event))
            {
                source.apply(event, &mut wake, wakers);
            }
        })?;
        if is_edge { Ok(()) } else { self.settle_level(wakers) }
    }

    /// Returns the time after which another [`turn`](Reactor::turn) has to follow although the descriptor of the
    /// selector has not become readable meanwhile, or `None` if none has to.
    #[inline]
    pub(crate) fn next_wait(&mut self) -> Option<Duration> {
        // Careful: if a level-triggered epoll has reported a descriptor, and its interest is changed before the next
        // wait, the kernel does not announce again that the descriptor is ready.
        if self.selector.has_more() || self.level.is_armed_anew {
            return Some(Duration::ZERO);
        }
        self.level.throttle.limit(None)
    }

    /// Returns the part of the selector that other threads may use.
    pub(crate) fn deregistrar(&self) -> &Deregistrar {
        self.selector.deregistrar()
    }

    /// Stops watching the directions for which no task waits, and the sources that have to be muted. The
    /// waiters of a source that has been muted for long enough try again, which makes the selector watch it
    /// again.
    #[inline(never)]
    fn settle_level(&mut self, wakers: &mut Vec<Waker>) -> io::Result<()> {
        self.level.is_armed_anew = false;
        while let Some(id) = self.level.unwanted.pop() {
            self.disarm(id, Source::awaited)?;
        }
        if self.level.throttle.is_idle() {
            return Ok(());
        }
        while let Some(id) = self.level.throttle.next_to_mute() {
            self.disarm(id, |_| 0)?;
        }
        let now = Instant::now();
        while let Some(id) = self.level.throttle.next_to_unmute(now) {
            if let Some(source) = find(&mut self.sources, id) {
                source.flags |= source.awaited();
                source.take_wakers(wakers);
            }
        }
        Ok(())
    }

    /// Registers a descriptor, for a caller that is about to wait for `direction`, if any. If the descriptor
    /// is ready already, that is reported as an event.
    pub(crate) fn register(
        &mut self,
        fd: BorrowedFd<'_>,
        direction: Option<Direction>,
    ) -> io::Result<SlotId> {
        let armed = match direction {
            _ if self.selector.kind().is_edge() => READINESS,
            Some(direction) => direction.readiness(),
            None => 0,
        };
        self.register_armed(fd, armed)
    }

    /// Registers one direction of a descriptor whose other direction another runtime watches.
    pub(crate) fn register_side(&mut self, fd: BorrowedFd<'_>, direction: Direction) -> io::Result<SlotId> {
        self.register_armed(fd, direction.readiness())
    }

    fn register_armed(&mut self, fd: BorrowedFd<'_>, armed: u8) -> io::Result<SlotId> {
        self.last_generation = self.last_generation.wrapping_add(1);
        let (slot, source) = self.sources.claim();
        let id = SlotId::new(self.runtime.number(), self.last_generation, slot);
        if let Err(error) = self.selector.register_for(fd, id.bits(), interest(armed)) {
            self.sources.release(slot);
            return Err(error);
        }
        source.generation = self.last_generation.into();
        source.flags = armed << ARMED;
        source.fd = fd.as_raw_fd();
        Ok(id)
    }

    /// Makes the selector watch one more direction. This is needed for level-triggered selectors, and for
    /// edge-triggered ones after another runtime has watched that direction.
    #[cold]
    fn arm(&mut self, id: SlotId, direction: Direction) -> io::Result<()> {
        let Some(source) = find(&mut self.sources, id) else { return Ok(()) };
        let flags = source.flags | direction.readiness() << ARMED;
        self.selector.modify_for(source.fd, id.bits(), interest(flags >> ARMED))?;
        source.flags = flags;
        self.level.is_armed_anew = !self.selector.kind().is_edge();
        Ok(())
    }

    /// Makes a level-triggered selector watch only the directions that `but` returns.
    #[cold]
    fn disarm(&mut self, id: SlotId, but: fn(&Source) -> u8) -> io::Result<()> {
        let Some(source) = find(&mut self.sources, id) else { return Ok(()) };
        source.flags &= !(READINESS << ARMED) | but(source) << ARMED;
        match self.selector.modify_for(source.fd, id.bits(), interest(source.flags >> ARMED)) {
            // The descriptor was closed without the owner's knowledge, so no further events are reported.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EBADF)) => Ok(()),
            result => result,
        }
    }

    /// Deregisters a descriptor, which is still open. The caller wakes or drops the wakers of the source that
    /// is returned.
    pub(crate) fn deregister(&mut self, id: SlotId) -> Option<Source> {
        let source = self.forget(id)?;
        // This fails if other code has closed the descriptor. Then it is not watched anyway.
        let _ = self.selector.deregister_fd(source.fd);
        Some(source)
    }

    /// Frees the slot of a source whose descriptor is not watched any more.
    pub(crate) fn forget(&mut self, id: SlotId) -> Option<Source> {
        let source = std::mem::replace(find(&mut self.sources, id)?, Source::VACANT);
        self.sources.release(id.slot());
        self.level.throttle.forget(id);
        Some(source)
    }

    /// Records that an operation on a source has succeeded, so that the source is not muted.
    pub(crate) fn succeeded(&mut self, id: SlotId) {
        self.level.throttle.succeeded(id);
    }

    /// Takes the event that has arrived for a direction since the last look. If there is none, tells whether
    /// the waker is in its waiter.
    #[inline(always)]
    pub(crate) fn look(&mut self, id: SlotId, direction: Direction, waiter: &Waiter, waker: &Waker) -> Look {
        let Some(source) = find(&mut self.sources, id) else {
            return Look::Gone;
        };
        if let Some(closed) = source.take_event(direction) {
            return Look::Event { closed };
        }
        let is_armed = source.is_armed(direction);
        match source.waiters(direction).waker_of(waiter) {
            Some(earlier) if is_armed && earlier.will_wake(waker) => {
                source.waits |= waiter.flag(direction);
                Look::WakerSet
            }
            _ => Look::NeedsWaker,
        }
    }

    /// Takes the event that has arrived for a direction since the last look. If there is one, returns whether
    /// data may be left after a short transfer.
    pub(crate) fn take_event(&mut self, id: SlotId, direction: Direction) -> Option<bool> {
        find(&mut self.sources, id)?.take_event(direction)
    }

    /// Returns true if the selector watches a direction. An edge-triggered selector always does.
    pub(crate) fn is_armed(&mut self, id: SlotId, direction: Direction) -> bool {
        find(&mut self.sources, id).is_some_and(|source| source.is_armed(direction))
    }

    /// Returns true if the peer has closed a direction, or if there is an error to collect.
    pub(crate) fn is_closed(&mut self, id: SlotId, direction: Direction) -> bool {
        find(&mut self.sources, id).is_some_and(|source| source.flags & direction.closure() != 0)
    }

    /// Leaves a waker in a waiter. Returns the waker that the caller has to drop, which is usually the
    /// earlier one. For `Own(None)` a new waiter is created.
    ///
    /// # Errors
    ///
    /// Returns an error if a level-triggered selector cannot watch the direction. The waker may be in the
    /// waiter even then.
    pub(crate) fn set_waker(
        &mut self,
        id: SlotId,
        direction: Direction,
        waiter: &mut Waiter,
        waker: Waker,
    ) -> (Option<Waker>, io::Result<()>) {
        let Some(source) = find(&mut self.sources, id) else {
            return (Some(waker), Ok(()));
        };
        source.waits |= waiter.flag(direction);
        let is_armed = source.is_armed(direction);
        let last_waiter = &mut self.last_waiter;
        let earlier = source.waiters(direction).set_waker(waiter, waker, || {
            *last_waiter += 1;
            *last_waiter
        });
        let armed = if is_armed { Ok(()) } else { self.arm(id, direction) };
        (earlier, armed)
    }

    /// Empties all waiters of a direction, so that their tasks look again, although there has been no event.
    pub(crate) fn wake_all(&mut self, id: SlotId, direction: Direction, wakers: &mut Vec<Waker>) {
        let Some(source) = find(&mut self.sources, id) else { return };
        source.waits &= !(direction.readiness() | direction.readiness() << OWN);
        source.waiters(direction).take_all(wakers);
    }

    /// Stops watching a direction that another runtime watches from now on, and empties its waiters, so that
    /// their tasks look again. Returns true if a task was waiting.
    pub(crate) fn give_up(&mut self, id: SlotId, direction: Direction, wakers: &mut Vec<Waker>) -> bool {
        let Some(source) = find(&mut self.sources, id) else { return false };
        let is_awaited = source.awaited() & direction.readiness() != 0;
        source.flags &= !(direction.readiness() << ARMED);
        let (fd, interest) = (source.fd, interest(source.flags >> ARMED));
        // This fails if the descriptor has been deregistered or closed in the meantime. Then no events are
        // reported anyway.
        let _ = self.selector.modify_for(fd, id.bits(), interest);
        self.wake_all(id, direction, wakers);
        is_awaited
    }

    /// Removes the waiter of an `async` call. The caller drops the waker that was in it.
    pub(crate) fn remove_waker(&mut self, id: SlotId, direction: Direction, key: WaiterKey) -> Option<Waker> {
        let source = find(&mut self.sources, id)?;
        let (waker, is_last) = source.waiters(direction).remove_waker(key)?;
        if is_last {
            source.waits &= !Waiter::Own(Some(key)).flag(direction);
        }
        Some(waker)
    }

    /// Frees memory that is not needed now. The loop calls this before it sleeps.
    pub(crate) fn shrink(&mut self) {
        self.sources.shrink();
    }

    /// Returns true if no descriptor is registered, so that there is no need to check for events.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Returns the number of registered descriptors.
    pub(crate) fn len(&self) -> usize {
        self.sources.len()
    }

    /// Returns true if a task waits for a descriptor.
    pub(crate) fn has_waiters(&self) -> bool {
        self.sources.iter().any(|source| source.waits != 0)
    }

    /// Hands out all wakers, because the runtime is being dropped.
    pub(crate) fn clear(&mut self, wakers: &mut Vec<Waker>) {
        self.sources.iter_mut().for_each(|source| source.take_wakers(wakers));
    }
}

/// Returns the source with this id, unless its slot is vacant or has another source by now.
#[inline]
fn find(sources: &mut Slots<Source>, id: SlotId) -> Option<&mut Source> {
    sources.get_mut(id.slot()).filter(|source| source.generation == u32::from(id.generation()))
}

/// Returns the interest for the armed directions.
fn interest(armed: u8) -> Option<Interest> {
    match (armed & READABLE != 0, armed & WRITABLE != 0) {
        (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
        (true, false) => Some(Interest::READABLE),
        (false, true) => Some(Interest::WRITABLE),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn an_id_of_an_earlier_source_does_not_find_the_one_in_its_slot() {
        let mut reactor = Reactor::new(RuntimeId::new(1, 0), Selector::new().unwrap());
        let (one, _other) = UnixStream::pair().unwrap();
        let earlier = reactor.register(one.as_fd(), None).unwrap();
        assert!(reactor.deregister(earlier).is_some());
        let present = reactor.register(one.as_fd(), None).unwrap();
        assert_eq!(earlier.slot(), present.slot());
        // An event or a handle that arrives late must not find the new source.
        assert!(find(&mut reactor.sources, earlier).is_none());
        assert!(reactor.deregister(earlier).is_none());
        assert!(find(&mut reactor.sources, present).is_some());
    }
}
