//! A descriptor, and the way in which operations on it wait.
//!
//! Every operation follows the same steps. It is tried, unless the direction is recorded as drained. If it
//! fails with `EAGAIN`, the reactor is asked for an event, and if there is none, a waker is left. The
//! [`Registration`] knows where the descriptor is registered, and the readiness recorded for that source. The
//! operations are in `operations.rs`, the waits in `waiting.rs`, and the timeouts in `timeouts.rs`.
//!
//! The usual path of a transfer looks only at the cell for both directions. All other code asks for the cell
//! of its direction, which is another one if the descriptor is split: see `registration.rs`.

mod operations;
mod outside;
mod owner;
mod timeouts;
mod waiting;

pub(crate) use owner::Owner;
#[cfg(feature = "net")]
pub(crate) use waiting::Waiting;

use crate::runtime::context;
use crate::runtime::id::{RuntimeId, SourceId};
use crate::runtime::io::io_timeouts::IoTimeouts;
use crate::runtime::io::outside::Outside;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::readiness::Readiness;
use crate::runtime::io::registration::Registration;
use crate::runtime::io::source_cell::{Sides, SourceCell};
use crate::task::origin::Origin;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

/// A descriptor that tasks can wait for.
pub(crate) struct Registered<T: AsFd> {
    // This field comes before `io`, because a descriptor is deregistered before it is closed.
    registration: Registration,
    // This one comes before `io` for the same reason.
    rare: OnceLock<Box<Rare>>,
    origin: Origin,
    io: T,
    owner: Owner,
    /// The runtime that the descriptor is bound to while it is not registered.
    home: RuntimeId,
}

/// The state that few descriptors have: those that ever had a timeout, have been split, or were waited for on a thread
/// without a runtime.
struct Rare {
    timeouts: IoTimeouts,
    sides: OnceLock<Box<Sides>>,
    outside: OnceLock<Outside>,
}

/// The reason to try an operation: the recorded readiness, and the source that it belongs to.
#[derive(Clone, Copy)]
pub(crate) struct ReadyEvent {
    id: SourceId,
    readiness: Readiness,
}

impl<T: AsFd> Registered<T> {
    /// Wraps a descriptor, and binds it to the runtime that is entered on this thread, if there is one.
    pub(crate) fn new(io: T, owner: Owner) -> Registered<T> {
        let registration = Registration::new(io.as_fd().as_raw_fd());
        // Careful: `outside/` relies on it that a descriptor with a home stays the same. The type of an `AsyncFd` is the
        // user's, and may return another descriptor each time. It is registered at once instead.
        let home = if owner == Owner::AsyncFd { RuntimeId::NONE } else { context::entered_id() };
        Registered { registration, rare: OnceLock::new(), origin: Origin::UNKNOWN, io, owner, home }
    }

    /// Binds the descriptor to the runtime of another one.
    #[cfg(feature = "net")]
    pub(crate) fn bind_like<U: AsFd>(&mut self, other: &Registered<U>) {
        self.home = other.home_of(other.ready_event_of(Direction::Read).id);
    }

    /// Returns the runtime that the descriptor, whose source is given, is bound to.
    fn home_of(&self, source: SourceId) -> RuntimeId {
        if source.is_none() { self.home } else { source.runtime }
    }

    /// Records where the object was created. An `async` function that creates one does not know its caller.
    pub(crate) fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    pub(crate) fn get(&self) -> &T {
        &self.io
    }

    /// Deregisters the descriptor and returns a mutable reference, through which the caller may replace it.
    /// The next operation that has to wait registers it again.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        let sides = self.rare.get_mut().and_then(|rare| rare.sides.get_mut());
        self.registration.deregister(sides.map(|sides| &mut **sides));
        drop(self.rare.get_mut().and_then(|rare| rare.outside.take()));
        self.home = RuntimeId::NONE;
        &mut self.io
    }

    /// Deregisters and returns the descriptor.
    pub(crate) fn into_inner(self) -> T {
        let Registered { registration, rare, origin: _, io, owner: _, home: _ } = self;
        drop((registration, rare));
        io
    }

    /// Registers the descriptor with this thread's runtime, so that a descriptor which the selector cannot
    /// watch is refused early.
    pub(crate) fn register_now(&self) -> io::Result<()> {
        if !self.ready_event().id.is_none() {
            return Ok(());
        }
        self.register(SourceId::NONE, None).map(drop)
    }

    /// Returns true if the peer has closed a direction, as far as the kernel has reported it.
    pub(crate) fn is_closed(&self, direction: Direction) -> bool {
        let id = self.ready_event_of(direction).id;
        let closed = context::with_entered(id.runtime, |context| {
            context.reactor.borrow_mut().is_closed(id.id, direction)
        });
        closed.unwrap_or_else(|| !context::is_entered() && self.is_closed_now(direction))
    }

    /// Records that a direction is not ready before any event, so that the first operation waits for an event
    /// instead of being tried in vain.
    pub(crate) fn assume_not_ready(&self, direction: Direction) {
        self.store(direction, self.ready_event_of(direction).readiness.not_ready(direction));
    }

    /// Clears the recorded readiness, because it turned out to be wrong. If an event has arrived since
    /// `event`, the readiness is kept.
    pub(crate) fn clear_readiness(&self, direction: Direction, event: ReadyEvent) {
        let cell = self.cell(direction);
        let now = cell.readiness(event.id);
        let is_registered = self.registration.id(cell) == event.id && context::is_current(event.id.runtime);
        if is_registered && now.is_same(event.readiness, direction) {
            cell.store(now.not_ready(direction));
        }
    }

    /// Returns the source and the readiness from the cell for both directions. If the descriptor is split,
    /// both directions count as drained there.
    #[inline]
    fn ready_event(&self) -> ReadyEvent {
        let id = self.registration.id(self.registration.whole());
        ReadyEvent { id, readiness: self.registration.whole().readiness(id) }
    }

    /// Returns the source and the readiness of a direction.
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

    /// Returns the cell of a direction. By the time the caller uses the cell, the descriptor may have been
    /// registered with another runtime. Readiness that the caller then records in it is void.
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
        self.rare.get_or_init(|| {
            let (sides, outside) = (OnceLock::new(), OnceLock::new());
            Box::new(Rare { timeouts: IoTimeouts::new(), sides, outside })
        })
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
        // Careful: the selector refuses a descriptor that it watches already. If another runtime has the descriptor, the
        // one on this thread may have registered it for a thread without a runtime all the same.
        self.adopt();
        if earlier.is_none() {
            return self.registration.register_first(self.io.as_fd(), direction, || {
                if let Some(timeouts) = self.timeouts() {
                    timeouts.disarm();
                }
            });
        }
        // Alarms that are armed belong to the earlier source.
        let disarm = |moves_both: bool| match (self.timeouts(), direction) {
            (Some(timeouts), Some(direction)) if !moves_both => timeouts.disarm_side(direction),
            (Some(timeouts), _) => timeouts.disarm(),
            (None, _) => {}
        };
        self.registration.register(self.io.as_fd(), earlier, direction, || self.sides(), disarm)
    }

    /// Registers the descriptor with this thread's runtime, to wait for an event there. Returns `None` if
    /// another thread has changed the registration first.
    fn register_drained(&self, direction: Direction, earlier: SourceId) -> io::Result<Option<ReadyEvent>> {
        let Some(id) = self.register(earlier, Some(direction))? else { return Ok(None) };
        let cell = self.cell(direction);
        let readiness = cell.readiness(id).not_ready(direction);
        cell.store(readiness);
        Ok(Some(ReadyEvent { id, readiness }))
    }

    /// Returns true if the selector watches a direction of the source on this thread.
    fn is_armed(&self, id: SourceId, direction: Direction) -> bool {
        context::with_entered(id.runtime, |context| context.reactor.borrow_mut().is_armed(id.id, direction))
            .unwrap_or(false)
    }

    /// Takes the event of a direction. The outer `Option` is `None` if the descriptor is not registered with
    /// this thread's runtime.
    fn take_event(&self, id: SourceId, direction: Direction) -> Option<Option<bool>> {
        context::with_entered(id.runtime, |context| context.reactor.borrow_mut().take_event(id.id, direction))
    }

    /// Records an event that was taken from the reactor, which does not report it again.
    #[inline]
    fn record_event(&self, event: ReadyEvent, direction: Direction, closed: bool) -> ReadyEvent {
        let readiness = event.readiness.event(direction, closed);
        self.store(direction, readiness);
        ReadyEvent { readiness, ..event }
    }

    /// Notes that an operation has succeeded since the event. Call this if an earlier call recorded the
    /// direction as ready, and now either an operation has found nothing to do or a caller asks for readiness
    /// again. This shows that the report of the event has led to progress, which the throttle has to know.
    #[inline]
    fn note_earlier_success(&self, event: ReadyEvent) {
        if event.readiness.is_closed() {
            self.succeeded(event.id);
        }
    }

    /// Makes a level-triggered selector watch a source again whose reports had led to no progress.
    #[cold]
    fn succeeded(&self, id: SourceId) {
        context::with_entered(id.runtime, |context| context.reactor.borrow_mut().succeeded(id.id));
    }

    /// Records that an operation which was just tried has drained a direction. The operation has seen
    /// everything that was reported until now. `cell` and `id` are the cell and the source from which the
    /// readiness was read. `None` stands for the cell for both directions, so that the usual path need not
    /// look it up.
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
            // The descriptor is not registered yet: the next operation registers it first.
            None if id.is_none() => cell.store(end(readiness, direction)),
            None => {}
        }
    }
}
