//! A descriptor, and how operations on it wait.
//!
//! Every operation goes the same way: try, unless the side is known to be drained; then ask the
//! reactor for an event, and leave a waker if there is none. Where the descriptor is registered,
//! since when, and what is known of it there, is the business of its [`Binding`]. What is done with it
//! stands in `operations.rs`, how one waits in `waiting.rs`, and for how long in `limits.rs`.

mod limits;
mod operations;
mod waiting;

#[cfg(feature = "net")]
pub(crate) use waiting::Waiting;

use super::binding::Binding;
use super::context;
use super::deadlines::Deadlines;
use super::id::SourceId;
use super::known::Known;
use super::reactor::Direction;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

/// A descriptor that can be waited for.
pub(crate) struct Registered<T: AsFd> {
    // Before `io`: a descriptor is deregistered before it is closed.
    binding: Binding,
    /// Only of those that ever had one.
    deadlines: OnceLock<Box<Deadlines>>,
    io: T,
}

/// What stands behind the belief that an operation is worth a try: what was known, and of which
/// registration.
#[derive(Clone, Copy)]
pub(crate) struct Belief {
    id: SourceId,
    known: Known,
}

impl<T: AsFd> Registered<T> {
    pub(crate) fn new(io: T) -> Registered<T> {
        Registered { binding: Binding::new(io.as_fd().as_raw_fd()), deadlines: OnceLock::new(), io }
    }

    pub(crate) fn get(&self) -> &T {
        &self.io
    }

    /// Deregisters the descriptor before it is given out, since it may be exchanged for another. It
    /// is bound anew by who next has to wait.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.binding.unbind();
        &mut self.io
    }

    /// Deregisters the descriptor, and gives it back.
    pub(crate) fn into_inner(self) -> T {
        let Registered { binding, io, .. } = self;
        drop(binding);
        io
    }

    /// Binds to this thread's runtime, so that a descriptor it cannot watch is refused early.
    pub(crate) fn bind_now(&self) -> io::Result<()> {
        if !self.binding.id().is_none() {
            return Ok(());
        }
        self.binding.bind(self.io.as_fd(), SourceId::NONE, None).map(drop)
    }

    /// Whether the peer has closed a direction, as far as the reactor has heard.
    pub(crate) fn is_closed(&self, direction: Direction) -> bool {
        let id = self.binding.id();
        let closed = context::with_entered(id.runtime, |context| {
            context.reactor.borrow_mut().is_closed(id.id, direction)
        });
        closed.unwrap_or(false)
    }

    /// No event has come yet for a side that cannot be ready: the first operation on it is to wait
    /// for one, instead of being tried in vain.
    pub(crate) fn unheard(&self, direction: Direction) {
        self.binding.learn(self.belief().known.not_ready(direction));
    }

    /// What was believed turned out to be wrong: to be waited for, unless there has been an event since.
    pub(crate) fn not_ready(&self, direction: Direction, belief: Belief) {
        let now = self.binding.known(belief.id);
        let is_registered = self.binding.id() == belief.id && context::is_current(belief.id.runtime);
        if is_registered && now.is_same(belief.known, direction) {
            self.binding.learn(now.not_ready(direction));
        }
    }

    #[inline]
    fn belief(&self) -> Belief {
        let id = self.binding.id();
        Belief { id, known: self.binding.known(id) }
    }

    /// Binds to this thread's runtime, to wait for an event there.
    fn bind_drained(&self, direction: Direction, earlier: SourceId) -> io::Result<Belief> {
        let id = self.binding.bind(self.io.as_fd(), earlier, Some(direction))?;
        if let Some(deadlines) = self.deadlines.get() {
            // Those that are armed belong to the earlier registration.
            deadlines.disarm();
        }
        let known = self.binding.known(id).not_ready(direction);
        self.binding.learn(known);
        Ok(Belief { id, known })
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
    fn hear(&self, belief: Belief, direction: Direction, closed: bool) -> Belief {
        let known = belief.known.event(direction, closed);
        self.binding.learn(known);
        Belief { known, ..belief }
    }

    /// A side was believed ready since an earlier call, and an operation has now found nothing to do, or a caller
    /// asks for it again. So something has succeeded since the event, whose report was not futile.
    #[inline]
    fn acquit(&self, belief: Belief) {
        if belief.known.is_closed() {
            self.succeeded(belief.id);
        }
    }

    /// Has a level-triggered selector watch what it has reported in vain.
    #[cold]
    fn succeeded(&self, id: SourceId) {
        context::with_entered(id.runtime, |context| context.reactor.borrow_mut().succeeded(id.id));
    }

    /// An operation that was just tried took all there was. It has seen what was reported until now.
    #[inline(never)]
    fn drained(&self, id: SourceId, direction: Direction, end: fn(Known, Direction) -> Known) {
        let known = self.binding.known(id);
        match self.take_event(id, direction) {
            Some(Some(closed)) => self.binding.learn(end(known.event(direction, closed), direction)),
            Some(None) => self.binding.learn(end(known, direction)),
            // Nobody watches it yet: the next operation is to bind first.
            None if id.is_none() => self.binding.learn(end(known, direction)),
            None => {}
        }
    }
}
