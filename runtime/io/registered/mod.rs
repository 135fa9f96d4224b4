//! A descriptor, and how operations on it wait.
//!
//! Every operation goes the same way: try, unless the side is known to be drained; then ask the
//! reactor for an event, and leave a waker if there is none. Where the descriptor is registered,
//! since when, and what is known of it there, is the business of its [`Registration`]. What is done with it
//! stands in `operations.rs`, how one waits in `waiting.rs`, and for how long in `timeouts.rs`.
//!
//! The usual path of a transfer looks at the whole registration alone. All else asks for the registration of its
//! direction, which is another if the descriptor is split: see `registration.rs`.

mod operations;
mod outside;
mod timeouts;
mod waiting;

pub(crate) use outside::Owner;
#[cfg(feature = "net")]
pub(crate) use waiting::Waiting;

use crate::runtime::context;
use crate::runtime::id::SourceId;
use crate::runtime::io::io_timeouts::IoTimeouts;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::readiness::Readiness;
use crate::runtime::io::registration::Registration;
use crate::runtime::io::source_cell::{Sides, SourceCell};
use crate::task::origin::Origin;
use outside::Aim;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

/// A descriptor that can be waited for.
pub(crate) struct Registered<T: AsFd> {
    // Before `io`: a descriptor is deregistered before it is closed.
    registration: Registration,
    // Before it, too.
    rare: OnceLock<Box<Rare>>,
    origin: Origin,
    io: T,
    owner: Owner,
}

/// What few descriptors have: those that ever had a timeout, or have been split.
struct Rare {
    timeouts: IoTimeouts,
    sides: OnceLock<Box<Sides>>,
}

/// What stands behind the event that an operation is worth a try: what was known, and of which
/// cell.
#[derive(Clone, Copy)]
pub(crate) struct ReadyEvent {
    id: SourceId,
    readiness: Readiness,
}

impl<T: AsFd> Registered<T> {
    pub(crate) fn new(io: T, owner: Owner) -> Registered<T> {
        let registration = Registration::new(io.as_fd().as_raw_fd());
        Registered { registration, rare: OnceLock::new(), origin: Origin::UNKNOWN, io, owner }
    }

    /// Notes where it was made. An `async` function that makes one does not know its caller.
    pub(crate) fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    pub(crate) fn get(&self) -> &T {
        &self.io
    }

    /// Deregisters the descriptor before it is given out, since it may be exchanged for another. It
    /// is registered anew by who next has to wait.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        let sides = self.rare.get_mut().and_then(|rare| rare.sides.get_mut());
        self.registration.deregister(sides.map(|sides| &mut **sides));
        &mut self.io
    }

    /// Deregisters the descriptor, and gives it back.
    pub(crate) fn into_inner(self) -> T {
        let Registered { registration, rare, origin: _, io, owner: _ } = self;
        drop((registration, rare));
        io
    }

    /// Binds to this thread's runtime, so that a descriptor it cannot watch is refused early.
    pub(crate) fn register_now(&self) -> io::Result<()> {
        if !self.ready_event().id.is_none() {
            return Ok(());
        }
        self.register(SourceId::NONE, None).map(drop)
    }

    /// Whether the peer has closed a direction, as far as the reactor has heard.
    pub(crate) fn is_closed(&self, direction: Direction) -> bool {
        let id = self.ready_event_of(direction).id;
        let closed = context::with_entered(id.runtime, |context| {
            context.reactor.borrow_mut().is_closed(id.id, direction)
        });
        closed.unwrap_or(false)
    }

    /// No event has come yet for a side that cannot be ready: the first operation on it is to wait
    /// for one, instead of being tried in vain.
    pub(crate) fn assume_not_ready(&self, direction: Direction) {
        self.store(direction, self.ready_event_of(direction).readiness.not_ready(direction));
    }

    /// What was believed turned out to be wrong: to be waited for, unless there has been an event since.
    pub(crate) fn clear_readiness(&self, direction: Direction, event: ReadyEvent) {
        let cell = self.cell(direction);
        let now = cell.readiness(event.id);
        let is_registered = self.registration.id(cell) == event.id && context::is_current(event.id.runtime);
        if is_registered && now.is_same(event.readiness, direction) {
            cell.store(now.not_ready(direction));
        }
    }

    /// What is believed of the whole. If the descriptor is split, that is that both directions are drained.
    #[inline]
    fn ready_event(&self) -> ReadyEvent {
        let id = self.registration.id(self.registration.whole());
        ReadyEvent { id, readiness: self.registration.whole().readiness(id) }
    }

    /// What is believed where a direction is registered.
    #[inline]
    fn ready_event_of(&self, direction: Direction) -> ReadyEvent {
        let event = self.ready_event();
        if event.id.is_split() { self.ready_event_of_side(direction) } else { event }
    }

    #[cold]
    fn ready_event_of_side(&self, direction: Direction) -> ReadyEvent {
        let cell = self.cell(direction);
        let id = self.registration.id(cell);
        ReadyEvent { id, readiness: cell.readiness(id) }
    }

    /// The registration of a direction. By the time it is used the descriptor may have been registered elsewhere, and
    /// what is learned then is void.
    #[inline]
    fn cell(&self, direction: Direction) -> &SourceCell {
        let whole = self.registration.whole();
        if whole.is_split() { self.sides().of(direction) } else { whole }
    }

    #[cold]
    fn sides(&self) -> &Sides {
        self.rare().sides.get_or_init(|| Box::new(Sides::none()))
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(|| Box::new(Rare { timeouts: IoTimeouts::new(), sides: OnceLock::new() }))
    }

    #[inline]
    fn timeouts(&self) -> Option<&IoTimeouts> {
        self.rare.get().map(|rare| &rare.timeouts)
    }

    #[inline]
    fn store(&self, direction: Direction, readiness: Readiness) {
        self.cell(direction).store(readiness);
    }

    fn register(&self, earlier: SourceId, direction: Option<Direction>) -> io::Result<Option<SourceId>> {
        if earlier.is_none() {
            return self.registration.register_first(self.io.as_fd(), direction, || {
                if let Some(timeouts) = self.timeouts() {
                    timeouts.disarm();
                }
            });
        }
        // Alarms that are armed belong to the earlier cell.
        let disarm = |moves_both: bool| match (self.timeouts(), direction) {
            (Some(timeouts), Some(direction)) if !moves_both => timeouts.disarm_side(direction),
            (Some(timeouts), _) => timeouts.disarm(),
            (None, _) => {}
        };
        self.registration.register(self.io.as_fd(), earlier, direction, || self.sides(), disarm)
    }

    /// Binds to this thread's runtime, to wait for an event there. Returns `None` if another thread has changed the
    /// registration first.
    fn register_drained(&self, direction: Direction, earlier: SourceId) -> io::Result<Option<ReadyEvent>> {
        self.assert_inside(direction, Aim::Operation);
        let Some(id) = self.register(earlier, Some(direction))? else { return Ok(None) };
        let cell = self.cell(direction);
        let readiness = cell.readiness(id).not_ready(direction);
        cell.store(readiness);
        Ok(Some(ReadyEvent { id, readiness }))
    }

    /// Whether an event of a side would be reported here.
    fn is_armed(&self, id: SourceId, direction: Direction) -> bool {
        context::with_entered(id.runtime, |context| context.reactor.borrow_mut().is_armed(id.id, direction))
            .unwrap_or(false)
    }

    /// None if the descriptor is not watched here.
    fn take_event(&self, id: SourceId, direction: Direction) -> Option<Option<bool>> {
        context::with_entered(id.runtime, |context| context.reactor.borrow_mut().take_event(id.id, direction))
    }

    /// The reactor has told of an event, and will not tell again.
    #[inline]
    fn record_event(&self, event: ReadyEvent, direction: Direction, closed: bool) -> ReadyEvent {
        let readiness = event.readiness.event(direction, closed);
        self.store(direction, readiness);
        ReadyEvent { readiness, ..event }
    }

    /// A side was believed ready since an earlier call, and an operation has now found nothing to do, or a caller
    /// asks for it again. So something has succeeded since the event, whose report was not throttle.
    #[inline]
    fn note_earlier_success(&self, event: ReadyEvent) {
        if event.readiness.is_closed() {
            self.succeeded(event.id);
        }
    }

    /// Has a level-triggered selector watch what it has reported in vain.
    #[cold]
    fn succeeded(&self, id: SourceId) {
        context::with_entered(id.runtime, |context| context.reactor.borrow_mut().succeeded(id.id));
    }

    /// An operation that was just tried took all there was. It has seen what was reported until now. `registration` is
    /// where it was believed to be worth a try, as source `id`; `None` is the whole, so that the usual path need not
    /// find that.
    #[inline(never)]
    fn drained(
        &self,
        cell: Option<&SourceCell>,
        id: SourceId,
        direction: Direction,
        end: fn(Readiness, Direction) -> Readiness,
    ) {
        let cell = cell.unwrap_or(self.registration.whole());
        let readiness = cell.readiness(id);
        match self.take_event(id, direction) {
            Some(Some(closed)) => cell.store(end(readiness.event(direction, closed), direction)),
            Some(None) => cell.store(end(readiness, direction)),
            // Nobody watches it yet: the next operation is to bind first.
            None if id.is_none() => cell.store(end(readiness, direction)),
            None => {}
        }
    }
}
