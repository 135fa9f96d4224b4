//! The reactor: turns readiness reported by the kernel into wakers to wake.
//!
//! Once per turn the executor calls [`Reactor::turn`], which waits in the selector and shows the
//! caller the wakers of every ready source; those that may run user code go into the caller's list. It
//! wakes nobody itself: order is the executor's business. It knows nothing of tasks and nothing of
//! timers.
//!
//! A *source* is a registered descriptor with two sides, one per direction. What the kernel reports
//! for a side is kept until its owner looks, who from then on [knows](crate::runtime::io::readiness) that the side is
//! ready, and asks again only after an operation found that it is not. Whoever then has to wait leaves
//! a waker, in one of two waiters: the `poll_*` functions share one, where the latest caller sits; each
//! `async` call has its own. An event empties all of a side's waiters.
//!
//! An edge-triggered selector watches both sides for the life of the source. A level-triggered one
//! would report a hang-up that nobody reads with every turn, so it is *armed* for a side when somebody
//! first waits for it, and disarmed when it reports what nobody waits for: to wait again for what has
//! just been read costs nothing.

mod source;
mod waiters;

pub(crate) use source::{Direction, Source, Waiter};
pub(crate) use waiters::WaiterKey;

use crate::runtime::id::{Id, RuntimeId};
use crate::runtime::io::interest::Interest;
use crate::runtime::io::throttle::Throttle;
use crate::runtime::selector::{Event, READABLE, Selector, WRITABLE};
use crate::runtime::slots::{Entry, Slots};
use source::{ARMED, CLOSURE, OWN, READINESS};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::Waker;
use std::time::{Duration, Instant};

/// What a caller learns who looks at a side.
pub(crate) enum Look {
    /// There has been an event since the last look. If `closed`, a short transfer does not mean that
    /// nothing is left: see [`Event::is_read_closed`].
    Event { closed: bool },
    /// There has been none, and the waker already sits there.
    WakerSet,
    /// There has been none; the waker has yet to be left, by [`Reactor::set_waker`].
    NeedsWaker,
    /// There is no such source any more.
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

/// What concerns level-triggered selectors alone.
#[derive(Default)]
struct LevelTriggered {
    /// The ids of sources to be disarmed after the present wait.
    unwanted: Vec<Id>,
    throttle: Throttle,
}

impl LevelTriggered {
    /// Returns whether the waiters are told of an event, which they are not if its source is to be muted.
    #[inline(never)]
    fn tells(&mut self, id: Id, source: &Source, event: Event) -> bool {
        let awaited = source.awaited();
        if awaited & event.flags() >> CLOSURE != 0 && self.throttle.is_too_much(id, Instant::now()) {
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

    /// Waits in the selector, and wakes whoever waits for what is ready: by `wake`, or by way of
    /// `wakers` if that declines, as it has to where user code would run. A waker that it takes keeps
    /// its waiter, and need not be left again.
    pub(crate) fn turn(
        &mut self,
        timeout: Option<Duration>,
        mut wake: impl FnMut(&Waker) -> bool,
        wakers: &mut Vec<Waker>,
    ) -> io::Result<()> {
        let sources = &mut self.sources;
        // By edge both sides are watched whether somebody waits or not.
        let is_edge = self.selector.kind().is_edge();
        let timeout = if is_edge { timeout } else { self.level.throttle.limit(timeout) };
        let level = &mut self.level;
        self.selector.wait_for_each(timeout, |event| {
            // An event for a source that has gone, whoever has the slot now, is dropped.
            let id = Id::from_bits(event.key());
            if let Some(source) = find(sources, id)
                && (is_edge || level.tells(id, source, event))
            {
                source.apply(event, &mut wake, wakers);
            }
        })?;
        if is_edge { Ok(()) } else { self.settle_level(wakers) }
    }

    /// Stops watching what nobody waits for, and what is to be muted. The waiters of a source that has been muted
    /// for long enough try again, which has it watched again.
    #[inline(never)]
    fn settle_level(&mut self, wakers: &mut Vec<Waker>) -> io::Result<()> {
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
        while let Some(id) = self.level.throttle.next_over(now) {
            if let Some(source) = find(&mut self.sources, id) {
                source.flags |= source.awaited();
                source.take_wakers(wakers);
            }
        }
        Ok(())
    }

    /// Watches a descriptor, on behalf of one who is about to wait for `direction`, if any. What is
    /// ready already is reported as an event.
    pub(crate) fn register(&mut self, fd: BorrowedFd<'_>, direction: Option<Direction>) -> io::Result<Id> {
        let armed = match direction {
            _ if self.selector.kind().is_edge() => READINESS,
            Some(direction) => direction.readiness(),
            None => 0,
        };
        self.register_armed(fd, armed)
    }

    /// Watches one direction of a descriptor whose other direction is watched by another runtime.
    pub(crate) fn register_side(&mut self, fd: BorrowedFd<'_>, direction: Direction) -> io::Result<Id> {
        self.register_armed(fd, direction.readiness())
    }

    fn register_armed(&mut self, fd: BorrowedFd<'_>, armed: u8) -> io::Result<Id> {
        self.last_generation = self.last_generation.wrapping_add(1);
        let (slot, source) = self.sources.claim();
        let id = Id::new(self.runtime.number(), self.last_generation, slot);
        if let Err(error) = self.selector.register_for(fd, id.bits(), interest(armed)) {
            self.sources.release(slot);
            return Err(error);
        }
        source.generation = self.last_generation.into();
        source.flags = armed << ARMED;
        source.fd = fd.as_raw_fd();
        Ok(id)
    }

    /// Has the selector watch a side too: by level, or by edge after another runtime has watched it.
    #[cold]
    fn arm(&mut self, id: Id, direction: Direction) -> io::Result<()> {
        let Some(source) = find(&mut self.sources, id) else { return Ok(()) };
        let flags = source.flags | direction.readiness() << ARMED;
        self.selector.modify_for(source.fd, id.bits(), interest(flags >> ARMED))?;
        source.flags = flags;
        Ok(())
    }

    /// Has it watch no other sides than these, by level.
    #[cold]
    fn disarm(&mut self, id: Id, but: fn(&Source) -> u8) -> io::Result<()> {
        let Some(source) = find(&mut self.sources, id) else { return Ok(()) };
        source.flags &= !(READINESS << ARMED) | but(source) << ARMED;
        match self.selector.modify_for(source.fd, id.bits(), interest(source.flags >> ARMED)) {
            // Closed behind its owner's back: nothing more will be reported.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EBADF)) => Ok(()),
            result => result,
        }
    }

    /// Stops watching a descriptor, which is still open. The caller wakes or drops what comes back.
    pub(crate) fn deregister(&mut self, id: Id) -> Option<Source> {
        let source = self.forget(id)?;
        // Fails if somebody closed the descriptor behind its owner's back; then it is gone anyway.
        let _ = self.selector.deregister_fd(source.fd);
        Some(source)
    }

    /// Frees the slot of a source whose descriptor is not watched any more.
    pub(crate) fn forget(&mut self, id: Id) -> Option<Source> {
        let source = std::mem::replace(find(&mut self.sources, id)?, Source::VACANT);
        self.sources.release(id.slot());
        self.level.throttle.forget(id);
        Some(source)
    }

    /// Notes that an operation on a source has succeeded, so that the source is not muted.
    pub(crate) fn succeeded(&mut self, id: Id) {
        self.level.throttle.succeeded(id);
    }

    /// Takes note of the event that has come for a side since the last look; if there is none, tells
    /// whether the waker is in its waiter.
    #[inline(always)]
    pub(crate) fn look(&mut self, id: Id, direction: Direction, waiter: &Waiter, waker: &Waker) -> Look {
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

    /// Takes note of the event that has come for a side since the last look: if there is one, tells
    /// whether the side is closed.
    pub(crate) fn take_event(&mut self, id: Id, direction: Direction) -> Option<bool> {
        find(&mut self.sources, id)?.take_event(direction)
    }

    /// Whether the selector watches a side: by edge, always.
    pub(crate) fn is_armed(&mut self, id: Id, direction: Direction) -> bool {
        find(&mut self.sources, id).is_some_and(|source| source.is_armed(direction))
    }

    /// Whether the peer has closed a direction, or an error is there to collect.
    pub(crate) fn is_closed(&mut self, id: Id, direction: Direction) -> bool {
        find(&mut self.sources, id).is_some_and(|source| source.flags & direction.closure() != 0)
    }

    /// Leaves a waker, and gives back the one to drop: the earlier one, as a rule. `Own(None)` gets a
    /// waiter of its own.
    ///
    /// # Errors
    ///
    /// If a level-triggered selector cannot watch the side. The waker may then be left all the same.
    pub(crate) fn set_waker(
        &mut self,
        id: Id,
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

    /// Empties all waiters of a side: they are to look again, though there has been no event.
    pub(crate) fn wake_all(&mut self, id: Id, direction: Direction, wakers: &mut Vec<Waker>) {
        let Some(source) = find(&mut self.sources, id) else { return };
        source.waits &= !(direction.readiness() | direction.readiness() << OWN);
        source.waiters(direction).take_all(wakers);
    }

    /// Another runtime watches a side from now on: here its waiters are emptied, to look again, and the selector does not
    /// watch it any more. Returns whether somebody has waited.
    pub(crate) fn give_up(&mut self, id: Id, direction: Direction, wakers: &mut Vec<Waker>) -> bool {
        let Some(source) = find(&mut self.sources, id) else { return false };
        let is_awaited = source.awaited() & direction.readiness() != 0;
        source.flags &= !(direction.readiness() << ARMED);
        let (fd, interest) = (source.fd, interest(source.flags >> ARMED));
        // Fails if it has been taken out meanwhile, or closed: then nothing is reported anyway.
        let _ = self.selector.modify_for(fd, id.bits(), interest);
        self.wake_all(id, direction, wakers);
        is_awaited
    }

    /// Gives up a waiter of one's own. The caller drops the waker that was there.
    pub(crate) fn remove_waker(&mut self, id: Id, direction: Direction, key: WaiterKey) -> Option<Waker> {
        let source = find(&mut self.sources, id)?;
        let (waker, is_last) = source.waiters(direction).remove_waker(key)?;
        if is_last {
            source.waits &= !Waiter::Own(Some(key)).flag(direction);
        }
        Some(waker)
    }

    /// The loop goes to sleep: gives back what is not needed now.
    pub(crate) fn shrink(&mut self) {
        self.sources.shrink();
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
        self.sources.iter().any(|source| source.waits != 0)
    }

    /// The runtime is going: hands out every waker that is left.
    pub(crate) fn clear(&mut self, wakers: &mut Vec<Waker>) {
        self.sources.iter_mut().for_each(|source| source.take_wakers(wakers));
    }
}

/// The source that an id means, if its slot has no other entry by now.
#[inline]
fn find(sources: &mut Slots<Source>, id: Id) -> Option<&mut Source> {
    sources.get_mut(id.slot()).filter(|source| source.generation == u32::from(id.generation()))
}

/// Which sides the selector is to watch.
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
    fn a_slots_earlier_tenant_is_not_taken_for_the_present_one() {
        let mut reactor = Reactor::new(RuntimeId::new(1, 0), Selector::new().unwrap());
        let (one, _other) = UnixStream::pair().unwrap();
        let earlier = reactor.register(one.as_fd(), None).unwrap();
        assert!(reactor.deregister(earlier).is_some());
        let present = reactor.register(one.as_fd(), None).unwrap();
        assert_eq!(earlier.slot(), present.slot());
        // What an event, or a handle, that comes late would do.
        assert!(find(&mut reactor.sources, earlier).is_none());
        assert!(reactor.deregister(earlier).is_none());
        assert!(find(&mut reactor.sources, present).is_some());
    }
}
