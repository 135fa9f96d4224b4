//! A descriptor, and how operations on it wait.
//!
//! Every operation goes the same way: try, unless the side is known to be drained; then ask the
//! reactor for an event, and leave a waker if there is none. Where the descriptor is registered,
//! since when, and what is known of it there, is the business of its [`Binding`].

use super::binding::Binding;
use super::context;
use super::deadlines::{Deadlines, Until};
use super::id::Id;
use super::known::Known;
use super::reactor::{Direction, Look, Seat};
use crate::task::coop;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

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
    id: Id,
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

    /// Sets how long an operation may wait; see `deadlines.rs`. It counts from now for those that wait.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if that is no time at all.
    pub(crate) fn set_limit(&self, direction: Direction, limit: Option<Duration>) -> io::Result<()> {
        if limit.is_some_and(|limit| limit.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a timeout of zero: give None for no limit, or use a `try_` function",
            ));
        }
        if limit.is_some() || self.deadlines.get().is_some() {
            self.deadlines.get_or_init(|| Box::new(Deadlines::new())).set(direction, limit);
            // They find out, and begin to count.
            super::deadlines::stir(self.binding.id(), direction);
        }
        Ok(())
    }

    /// How long an operation may wait.
    pub(crate) fn limit(&self, direction: Direction) -> Option<Duration> {
        self.deadlines.get()?.get(direction)
    }

    /// Tries an operation until it is ready, on behalf of the latest caller.
    #[inline]
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_operation(cx, direction, &mut Place::shared(), operation)
    }

    /// As [`poll_io`](Self::poll_io), for a transfer into or out of a stream of bytes. `is_all` tells of
    /// a count of them whether that has found the end, which saves the next call that would say so.
    #[inline]
    pub(crate) fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        is_all: impl Fn(&T, usize) -> bool,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        // The usual cases are in line: the waker is in its seat already, or the operation succeeds.
        let mut belief = self.belief();
        let mut has_looked = false;
        if belief.known.is_drained(direction) {
            let look = context::at_home(belief.id.runtime(), |context| {
                context.reactor.borrow_mut().look(belief.id, direction, &Seat::Shared, cx.waker())
            });
            match look {
                Some(Look::Event { closed }) => {
                    belief = self.hear(belief, direction, closed);
                    has_looked = true;
                }
                Some(Look::Seated) => return self.poll_overdue(direction, belief),
                _ => return self.poll_transfer_apart(cx, direction, is_all, operation),
            }
        }
        ready!(coop::poll_spend(cx));
        match operation(&self.io) {
            Ok(count) => {
                if 0 < count && is_all(&self.io, count) {
                    if has_looked {
                        self.binding.learn(belief.known.short(direction));
                    } else {
                        self.drained(belief.id, direction, Known::short);
                    }
                }
                Poll::Ready(Ok(count))
            }
            Err(error) => {
                self.failed(belief, direction, error)?;
                self.poll_transfer_apart(cx, direction, is_all, operation)
            }
        }
    }

    /// The rest of it. Given by value, so that buffers are in registers up to here.
    #[cold]
    #[inline(never)]
    fn poll_transfer_apart(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        is_all: impl Fn(&T, usize) -> bool,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_transfer_at_length(cx, direction, &is_all, &mut operation)
    }

    fn poll_transfer_at_length(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        is_all: &dyn Fn(&T, usize) -> bool,
        operation: &mut dyn FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let belief = ready!(self.poll_belief(cx, direction, &mut Place::shared()))?;
            ready!(coop::poll_spend(cx));
            match operation(&self.io) {
                Ok(count) => {
                    if 0 < count && is_all(&self.io, count) {
                        self.drained(belief.id, direction, Known::short);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) => self.failed(belief, direction, error)?,
            }
        }
    }

    /// Tries an operation until it is ready, in a seat of its own.
    ///
    /// Cancel safe: dropped, it has not done the operation.
    pub(crate) async fn async_io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waiting = self.waiting(direction);
        poll_fn(|cx| waiting.poll_io(cx, &mut operation)).await
    }

    /// A seat of one's own, not taken yet.
    pub(crate) fn waiting(&self, direction: Direction) -> Waiting<'_, T> {
        Waiting { registered: self, direction, place: Place { seat: Seat::Own(0), until: Until::default() } }
    }

    /// Tries an operation once, unless the side is known not to be ready.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let belief = self.belief();
        if belief.known.is_drained(direction) {
            match self.take_event(belief.id, direction) {
                Some(Some(closed)) => drop(self.hear(belief, direction, closed)),
                Some(None) if self.is_armed(belief.id, direction) => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                // By level nobody watches a side that nobody waits for: only a try can tell.
                _ => {}
            }
        }
        let result = operation(&self.io);
        match &result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.drained(belief.id, direction, Known::not_ready);
            }
            // Without an event: it was tried although it was not watched.
            Ok(_) if belief.known.is_waited(direction) => self.end_wait(direction),
            _ => {}
        }
        result
    }

    /// Waits until a side is believed ready, in the seat of the latest caller.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<Belief>> {
        ready!(coop::poll_budget(cx));
        let belief = ready!(self.poll_event(cx, direction, &mut Place::shared()))?;
        coop::spend();
        Poll::Ready(Ok(belief))
    }

    /// Waits until a side is believed ready, in a seat of its own. Cancel safe.
    pub(crate) async fn ready(&self, direction: Direction) -> io::Result<Belief> {
        let mut waiting = self.waiting(direction);
        poll_fn(|cx| {
            ready!(coop::poll_budget(cx));
            let belief = ready!(self.poll_event(cx, direction, &mut waiting.place))?;
            coop::spend();
            Poll::Ready(Ok(belief))
        })
        .await
    }

    /// Waits until any of the given sides is believed ready; tells which are, and why. Cancel safe.
    pub(crate) async fn ready_any(
        &self,
        wants_read: bool,
        wants_write: bool,
    ) -> io::Result<(Option<Belief>, Option<Belief>)> {
        let mut read = self.waiting(Direction::Read);
        let mut write = self.waiting(Direction::Write);
        poll_fn(|cx| {
            ready!(coop::poll_budget(cx));
            let mut beliefs = [None, None];
            for ((belief, waiting), wanted) in
                beliefs.iter_mut().zip([&mut read, &mut write]).zip([wants_read, wants_write])
            {
                if wanted
                    && let Poll::Ready(found) = self.poll_event(cx, waiting.direction, &mut waiting.place)?
                {
                    *belief = Some(found);
                }
            }
            let [read, write] = beliefs;
            if read.is_none() && write.is_none() && (wants_read || wants_write) {
                return Poll::Pending;
            }
            coop::spend();
            Poll::Ready(Ok((read, write)))
        })
        .await
    }

    /// Binds to this thread's runtime, so that a descriptor it cannot watch is refused early.
    pub(crate) fn bind_now(&self) -> io::Result<()> {
        match self.binding.id().bits() {
            0 => self.binding.bind(self.io.as_fd(), 0, None).map(drop),
            _ => Ok(()),
        }
    }

    /// Whether the peer has closed a direction, as far as the reactor has heard.
    pub(crate) fn is_closed(&self, direction: Direction) -> bool {
        let id = self.binding.id();
        let closed =
            context::at_home(id.runtime(), |context| context.reactor.borrow_mut().is_closed(id, direction));
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
        if context::is_home(belief.id.runtime()) && now.is_same(belief.known, direction) {
            self.binding.learn(now.not_ready(direction));
        }
    }

    /// An operation that was just tried took all there was. It has seen what was reported until now.
    #[inline(never)]
    fn drained(&self, id: Id, direction: Direction, end: fn(Known, Direction) -> Known) {
        let known = self.binding.known(id);
        match self.take_event(id, direction) {
            Some(Some(closed)) => self.binding.learn(end(known.event(direction, closed), direction)),
            Some(None) => self.binding.learn(end(known, direction)),
            // Nobody watches it yet: the next operation is to bind first.
            None if id.bits() == 0 => self.binding.learn(end(known, direction)),
            None => {}
        }
    }

    #[inline]
    fn poll_operation<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: &mut Place,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let belief = ready!(self.poll_belief(cx, direction, place))?;
            ready!(coop::poll_spend(cx));
            match operation(&self.io) {
                Ok(result) => return Poll::Ready(Ok(result)),
                Err(error) => self.failed(belief, direction, error)?,
            }
        }
    }

    /// What to do about an error: wait, try again, or hand it out.
    #[cold]
    fn failed(&self, belief: Belief, direction: Direction, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock if context::is_home(belief.id.runtime()) => {
                self.drained(belief.id, direction, Known::not_ready);
            }
            io::ErrorKind::WouldBlock => {
                self.bind_drained(direction, belief.id)?;
            }
            io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
        coop::refund();
        Ok(())
    }

    #[inline]
    fn belief(&self) -> Belief {
        let id = self.binding.id();
        Belief { id, known: self.binding.known(id) }
    }

    /// Ready if an operation is worth a try.
    #[inline]
    fn poll_belief(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: &mut Place,
    ) -> Poll<io::Result<Belief>> {
        let belief = self.belief();
        if !belief.known.is_drained(direction) {
            return Poll::Ready(Ok(belief));
        }
        self.poll_drained(cx, direction, place)
    }

    /// Ready if there has been an event; else the waker is left, where the descriptor is to be registered.
    fn poll_drained(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: &mut Place,
    ) -> Poll<io::Result<Belief>> {
        let mut belief = self.belief();
        loop {
            let id = belief.id;
            let look = context::at_home(id.runtime(), |context| {
                context.reactor.borrow_mut().look(id, direction, &place.seat, cx.waker())
            });
            match look {
                Some(Look::Event { closed }) => {
                    return Poll::Ready(Ok(self.hear(belief, direction, closed)));
                }
                Some(Look::Seated) => return self.poll_overdue_in(cx, direction, place),
                Some(Look::LeaveWaker) => {
                    match self.sit(belief.id, direction, &mut place.seat, cx) {
                        Ok(()) => return self.poll_overdue_in(cx, direction, place),
                        Err(error) if self.binding.id() == belief.id => return Poll::Ready(Err(error)),
                        // Another thread has just taken it away.
                        Err(_) => belief = self.belief(),
                    }
                }
                // Registration reports what is ready already, so that this does not wait in vain.
                Some(Look::Gone) | None => belief = self.bind_drained(direction, belief.id)?,
            }
        }
    }

    /// Ready if there has been an event: binds first if need be.
    fn poll_event(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: &mut Place,
    ) -> Poll<io::Result<Belief>> {
        let belief = self.belief();
        if belief.known.is_ready(direction) {
            match self.take_event(belief.id, direction) {
                Some(Some(closed)) => return Poll::Ready(Ok(self.hear(belief, direction, closed))),
                Some(None) => return Poll::Ready(Ok(belief)),
                None => {}
            }
        }
        self.not_ready(direction, belief);
        self.poll_drained(cx, direction, place)
    }

    /// Binds to this thread's runtime, to wait for an event there.
    fn bind_drained(&self, direction: Direction, earlier: Id) -> io::Result<Belief> {
        let id = self.binding.bind(self.io.as_fd(), earlier.bits(), Some(direction))?;
        let known = self.binding.known(id).not_ready(direction);
        self.binding.learn(known);
        Ok(Belief { id, known })
    }

    /// Whether an event of a side would be reported here.
    fn is_armed(&self, id: Id, direction: Direction) -> bool {
        context::at_home(id.runtime(), |context| context.reactor.borrow_mut().is_armed(id, direction))
            .unwrap_or(false)
    }

    /// None if the descriptor is not watched here.
    fn take_event(&self, id: Id, direction: Direction) -> Option<Option<bool>> {
        context::at_home(id.runtime(), |context| context.reactor.borrow_mut().take_event(id, direction))
    }

    /// The reactor has told of an event, and will not tell again.
    #[inline]
    fn hear(&self, belief: Belief, direction: Direction, closed: bool) -> Belief {
        let known = belief.known.event(direction, closed);
        self.binding.learn(known);
        if direction == Direction::Read {
            self.binding.settle();
        }
        Belief { known, ..belief }
    }

    /// Pending, unless one who shares the seat of a side has waited there for too long.
    #[inline]
    fn poll_overdue<R>(&self, direction: Direction, belief: Belief) -> Poll<io::Result<R>> {
        let Some(deadlines) = self.deadlines.get() else { return Poll::Pending };
        if !deadlines.is_armed(direction, belief.id) {
            return self.poll_unarmed(deadlines, direction, belief).map(Err);
        }
        // The usual case: the alarm stays as it is, whatever comes.
        if !belief.known.is_waited(direction) {
            self.binding.learn(belief.known.waited(direction));
            deadlines.note(direction);
        }
        Poll::Pending
    }

    /// Pending, unless a caller has waited for too long, wherever it sits.
    fn poll_overdue_in<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: &mut Place,
    ) -> Poll<io::Result<R>> {
        if place.seat == Seat::Shared {
            // Careful: a waker that was just cloned may have done anything, so this is to be seen anew.
            return self.poll_overdue(direction, self.belief());
        }
        match self.deadlines.get() {
            None => Poll::Pending,
            Some(deadlines) => place.until.poll(deadlines, direction, cx).map(Err),
        }
    }

    #[cold]
    fn poll_unarmed(&self, deadlines: &Deadlines, direction: Direction, belief: Belief) -> Poll<io::Error> {
        if deadlines.get(direction).is_none() {
            return Poll::Pending;
        }
        let is_new = !belief.known.is_waited(direction);
        self.binding.learn(belief.known.waited(direction));
        let polled = deadlines.poll_unarmed(direction, belief.id, is_new);
        if polled.is_ready() {
            self.end_wait(direction);
        }
        polled
    }

    /// Who waits next begins anew.
    #[cold]
    fn end_wait(&self, direction: Direction) {
        let Belief { id, known } = self.belief();
        if context::is_home(id.runtime()) {
            self.binding.learn(known.unwaited(direction));
        }
    }

    /// The waker is cloned, and an earlier one dropped, under no borrow: either may be user code.
    fn sit(&self, id: Id, direction: Direction, seat: &mut Seat, cx: &Context<'_>) -> io::Result<()> {
        let waker = cx.waker().clone();
        let (earlier, armed) =
            context::with(|context| context.reactor.borrow_mut().sit(id, direction, seat, waker));
        drop(earlier);
        armed
    }
}

/// A seat of one's own, given up on drop.
pub(crate) struct Waiting<'a, T: AsFd> {
    registered: &'a Registered<T>,
    direction: Direction,
    place: Place,
}

/// Where a caller waits, and until when.
struct Place {
    seat: Seat,
    /// Of one with a seat of its own; whoever shares a seat shares the deadline too.
    until: Until,
}

impl Place {
    #[inline]
    fn shared() -> Place {
        Place { seat: Seat::Shared, until: Until::default() }
    }
}

impl<T: AsFd> Waiting<'_, T> {
    /// Tries an operation until it is ready.
    pub(crate) fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registered.poll_operation(cx, self.direction, &mut self.place, operation)
    }
}

impl<T: AsFd> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let Seat::Own(key @ 1..) = self.place.seat else { return };
        let id = self.registered.binding.id();
        // Elsewhere the waker stays until the next event, and then wakes in vain.
        let waker = context::at_home(id.runtime(), |context| {
            context.reactor.borrow_mut().stand_up(id, self.direction, key)
        });
        drop(waker);
    }
}
