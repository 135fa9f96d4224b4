//! A descriptor, and how operations on it wait.
//!
//! Every operation goes the same way: try, unless the side is known to be drained; then ask the
//! reactor for an event, and leave a waker if there is none. Where the descriptor is registered,
//! since when, and what is known of it there, is the business of its [`Binding`]. What is done with it
//! stands in `operations.rs`, how one waits in `waiting.rs`, and for how long in `limits.rs`.
//!
//! The usual path of a transfer looks at the whole registration alone. All else asks for the registration of its
//! direction, which is another if the descriptor is split: see `registration.rs`.

mod limits;
mod operations;
mod outside;
mod waiting;

#[cfg(feature = "net")]
pub(crate) use waiting::Waiting;

use crate::runtime::context;
use crate::runtime::id::SourceId;
use crate::runtime::io::io_timeouts::Deadlines;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::readiness::Readiness;
use crate::runtime::io::registration::Binding;
use crate::runtime::io::source_cell::{Registration, Sides};
use crate::task::origin::NamedOrigin;
use outside::Aim;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

/// A descriptor that can be waited for.
pub(crate) struct Registered<T: AsFd> {
    // Before `io`: a descriptor is deregistered before it is closed.
    binding: Binding,
    // Before it, too.
    rare: OnceLock<Box<Rare>>,
    origin: NamedOrigin,
    io: T,
}

/// What few descriptors have: those that ever had a limit, or have been split.
struct Rare {
    deadlines: Deadlines,
    sides: OnceLock<Box<Sides>>,
}

/// What stands behind the event that an operation is worth a try: what was known, and of which
/// registration.
#[derive(Clone, Copy)]
pub(crate) struct ReadyEvent {
    id: SourceId,
    readiness: Readiness,
}

impl<T: AsFd> Registered<T> {
    pub(crate) fn new(io: T) -> Registered<T> {
        let binding = Binding::new(io.as_fd().as_raw_fd());
        Registered { binding, rare: OnceLock::new(), origin: NamedOrigin::UNKNOWN, io }
    }

    /// Notes where it was made. An `async` function that makes one does not know its caller.
    pub(crate) fn set_origin(&mut self, origin: NamedOrigin) {
        self.origin = origin;
    }

    pub(crate) fn get(&self) -> &T {
        &self.io
    }

    /// Deregisters the descriptor before it is given out, since it may be exchanged for another. It
    /// is bound anew by who next has to wait.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        let sides = self.rare.get_mut().and_then(|rare| rare.sides.get_mut());
        self.binding.unbind(sides.map(|sides| &mut **sides));
        &mut self.io
    }

    /// Deregisters the descriptor, and gives it back.
    pub(crate) fn into_inner(self) -> T {
        let Registered { binding, rare, origin: _, io } = self;
        drop((binding, rare));
        io
    }

    /// Binds to this thread's runtime, so that a descriptor it cannot watch is refused early.
    pub(crate) fn bind_now(&self) -> io::Result<()> {
        if !self.ready_event().id.is_none() {
            return Ok(());
        }
        self.bind(SourceId::NONE, None).map(drop)
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
        let registration = self.registration(direction);
        let now = registration.readiness(event.id);
        let is_registered =
            self.binding.id(registration) == event.id && context::is_current(event.id.runtime);
        if is_registered && now.is_same(event.readiness, direction) {
            registration.store(now.not_ready(direction));
        }
    }

    /// What is believed of the whole. If the descriptor is split, that is that both directions are drained.
    #[inline]
    fn ready_event(&self) -> ReadyEvent {
        let id = self.binding.id(self.binding.whole());
        ReadyEvent { id, readiness: self.binding.whole().readiness(id) }
    }

    /// What is believed where a direction is registered.
    #[inline]
    fn ready_event_of(&self, direction: Direction) -> ReadyEvent {
        let event = self.ready_event();
        if event.id.is_split() { self.ready_event_of_side(direction) } else { event }
    }

    #[cold]
    fn ready_event_of_side(&self, direction: Direction) -> ReadyEvent {
        let registration = self.registration(direction);
        let id = self.binding.id(registration);
        ReadyEvent { id, readiness: registration.readiness(id) }
    }

    /// The registration of a direction. By the time it is used the descriptor may have been registered elsewhere, and
    /// what is learned then is void.
    #[inline]
    fn registration(&self, direction: Direction) -> &Registration {
        let whole = self.binding.whole();
        if whole.is_split() { self.sides().of(direction) } else { whole }
    }

    #[cold]
    fn sides(&self) -> &Sides {
        self.rare().sides.get_or_init(|| Box::new(Sides::none()))
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(|| Box::new(Rare { deadlines: Deadlines::new(), sides: OnceLock::new() }))
    }

    #[inline]
    fn deadlines(&self) -> Option<&Deadlines> {
        self.rare.get().map(|rare| &rare.deadlines)
    }

    #[inline]
    fn store(&self, direction: Direction, readiness: Readiness) {
        self.registration(direction).store(readiness);
    }

    fn bind(&self, earlier: SourceId, direction: Option<Direction>) -> io::Result<Option<SourceId>> {
        if earlier.is_none() {
            return self.binding.bind_first(self.io.as_fd(), direction, || {
                if let Some(deadlines) = self.deadlines() {
                    deadlines.disarm();
                }
            });
        }
        // Alarms that are armed belong to the earlier registration.
        let disarm = |moves_both: bool| match (self.deadlines(), direction) {
            (Some(deadlines), Some(direction)) if !moves_both => deadlines.disarm_side(direction),
            (Some(deadlines), _) => deadlines.disarm(),
            (None, _) => {}
        };
        self.binding.bind(self.io.as_fd(), earlier, direction, || self.sides(), disarm)
    }

    /// Binds to this thread's runtime, to wait for an event there. Returns `None` if another thread has changed the
    /// registration first.
    fn bind_drained(&self, direction: Direction, earlier: SourceId) -> io::Result<Option<ReadyEvent>> {
        self.assert_inside(direction, Aim::Operation);
        let Some(id) = self.bind(earlier, Some(direction))? else { return Ok(None) };
        let registration = self.registration(direction);
        let readiness = registration.readiness(id).not_ready(direction);
        registration.store(readiness);
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
    /// asks for it again. So something has succeeded since the event, whose report was not futile.
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
        registration: Option<&Registration>,
        id: SourceId,
        direction: Direction,
        end: fn(Readiness, Direction) -> Readiness,
    ) {
        let registration = registration.unwrap_or(self.binding.whole());
        let readiness = registration.readiness(id);
        match self.take_event(id, direction) {
            Some(Some(closed)) => registration.store(end(readiness.event(direction, closed), direction)),
            Some(None) => registration.store(end(readiness, direction)),
            // Nobody watches it yet: the next operation is to bind first.
            None if id.is_none() => registration.store(end(readiness, direction)),
            None => {}
        }
    }
}
