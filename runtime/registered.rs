//! A descriptor, and how operations on it wait.
//!
//! Every operation goes the same way: ask the reactor whether the side is believed ready, try, and
//! on `EAGAIN` say so to the reactor and leave a waker. Where the descriptor is registered, and since
//! when, is the business of its [`Binding`].

use super::binding::Binding;
use super::context;
use super::id::Id;
use super::reactor::{Direction, Readiness, Seat};
use crate::task::coop;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::task::{Context, Poll, ready};

/// A descriptor that can be waited for.
pub(crate) struct Registered<T: AsFd> {
    // Before `io`: a descriptor is deregistered before it is closed.
    binding: Binding,
    io: T,
}

/// What stands behind the belief that a side is ready.
#[derive(Clone, Copy)]
pub(crate) enum Belief {
    /// Nothing: the descriptor is not bound to this thread's runtime. The bits of its present id.
    Hope(u64),
    /// The reactor says so, as of so many events.
    Events(Id, u8),
}

impl<T: AsFd> Registered<T> {
    pub(crate) fn new(io: T) -> Registered<T> {
        Registered { binding: Binding::new(io.as_fd().as_raw_fd()), io }
    }

    pub(crate) fn get(&self) -> &T {
        &self.io
    }

    /// Deregisters the descriptor, and gives it back.
    pub(crate) fn into_inner(self) -> T {
        let Registered { binding, io } = self;
        drop(binding);
        io
    }

    /// Tries an operation until it is ready, on behalf of the latest caller.
    #[inline]
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let result = ready!(self.poll_operation(cx, direction, &mut Seat::Shared, operation));
        Poll::Ready(result.map(|(result, _)| result))
    }

    /// As [`poll_io`](Self::poll_io), for a transfer into or out of a stream of at most `room`
    /// bytes: one that is short has found the end, and saves the next call that would say so.
    #[inline]
    pub(crate) fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        room: usize,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(coop::poll_budget(cx));
        // The two usual cases are in line: bound here, and either ready or waited for already.
        let id = self.binding.id();
        let checked = context::at_home(id.runtime(), |context| {
            context.reactor.borrow_mut().check(id, direction, &Seat::Shared, cx.waker())
        });
        match checked {
            Some(Readiness::Ready(events)) => {
                let belief = Belief::Events(id, events);
                self.binding.settle(direction, events);
                match operation(&self.io) {
                    Ok(count) => {
                        coop::spend();
                        if 0 < count && count < room {
                            self.drained(direction, belief);
                        }
                        return Poll::Ready(Ok(count));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.not_ready(direction, belief)?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        coop::spend();
                        return Poll::Ready(Err(error));
                    }
                }
            }
            Some(Readiness::Seated) => return Poll::Pending,
            _ => {}
        }
        self.poll_transfer_at_length(cx, direction, room, &mut operation)
    }

    #[inline(never)]
    fn poll_transfer_at_length(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        room: usize,
        operation: &mut dyn FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let (count, belief) = ready!(self.poll_operation(cx, direction, &mut Seat::Shared, operation))?;
        if 0 < count && count < room {
            self.drained(direction, belief);
        }
        Poll::Ready(Ok(count))
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
        Waiting { registered: self, direction, seat: Seat::Own(0) }
    }

    /// Tries an operation once, unless the side is known not to be ready.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let id = self.binding.id();
        let belief = context::at_home(id.runtime(), |context| {
            let mut reactor = context.reactor.borrow_mut();
            match reactor.check(id, direction, &Seat::Shared, std::task::Waker::noop()) {
                Readiness::Ready(events) => Ok(Belief::Events(id, events)),
                Readiness::Gone => Ok(Belief::Hope(id.bits())),
                Readiness::Seated | Readiness::LeaveWaker => Err(io::ErrorKind::WouldBlock),
            }
        });
        let belief = belief.unwrap_or(Ok(Belief::Hope(id.bits())))?;
        let result = operation(&self.io);
        if let (Belief::Events(id, events), Err(error)) = (belief, &result)
            && error.kind() == io::ErrorKind::WouldBlock
        {
            context::at_home(id.runtime(), |context| {
                context.reactor.borrow_mut().not_ready(id, direction, events);
            });
        }
        result
    }

    /// Waits until a side is believed ready, in the seat of the latest caller.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<Belief>> {
        ready!(coop::poll_budget(cx));
        let belief = ready!(self.poll_event(cx, direction, &mut Seat::Shared))?;
        coop::spend();
        Poll::Ready(Ok(belief))
    }

    /// Waits until a side is believed ready, in a seat of its own. Cancel safe.
    pub(crate) async fn ready(&self, direction: Direction) -> io::Result<Belief> {
        let mut waiting = self.waiting(direction);
        poll_fn(|cx| {
            ready!(coop::poll_budget(cx));
            let belief = ready!(self.poll_event(cx, direction, &mut waiting.seat))?;
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
                    && let Poll::Ready(found) = self.poll_event(cx, waiting.direction, &mut waiting.seat)?
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
            0 => self.binding.bind(self.io.as_fd(), 0).map(drop),
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
        let id = self.binding.id();
        context::at_home(id.runtime(), |context| context.reactor.borrow_mut().not_ready(id, direction, 0));
    }

    /// An operation said `EAGAIN`.
    pub(crate) fn not_ready(&self, direction: Direction, belief: Belief) -> io::Result<()> {
        match belief {
            Belief::Events(id, events) => {
                // Away from home there is nothing to clear: whoever waits there binds anew.
                context::at_home(id.runtime(), |context| {
                    context.reactor.borrow_mut().not_ready(id, direction, events);
                });
            }
            Belief::Hope(bits) => {
                let id = self.binding.bind(self.io.as_fd(), bits)?;
                context::with(|context| context.reactor.borrow_mut().not_ready(id, direction, 0));
            }
        }
        Ok(())
    }

    #[inline]
    fn drained(&self, direction: Direction, belief: Belief) {
        match belief {
            Belief::Events(id, events) => {
                context::at_home(id.runtime(), |context| {
                    context.reactor.borrow_mut().drained(id, direction, events)
                });
            }
            Belief::Hope(_) if direction == Direction::Read => self.binding.set_drained(),
            Belief::Hope(_) => {}
        }
    }

    #[inline]
    fn poll_operation<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        seat: &mut Seat,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<(R, Belief)>> {
        ready!(coop::poll_budget(cx));
        loop {
            let belief = ready!(self.poll_belief(cx, direction, seat))?;
            match operation(&self.io) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.not_ready(direction, belief)?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    coop::spend();
                    return Poll::Ready(result.map(|result| (result, belief)));
                }
            }
        }
    }

    /// Ready if an operation is worth a try: the reactor says so, or nobody knows.
    #[inline]
    fn poll_belief(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        seat: &mut Seat,
    ) -> Poll<io::Result<Belief>> {
        let id = self.binding.id();
        let checked = context::at_home(id.runtime(), |context| {
            context.reactor.borrow_mut().check(id, direction, seat, cx.waker())
        });
        match checked {
            Some(Readiness::Ready(events)) => {
                self.binding.settle(direction, events);
                Poll::Ready(Ok(Belief::Events(id, events)))
            }
            Some(Readiness::Seated) => Poll::Pending,
            Some(Readiness::LeaveWaker) => {
                self.sit(id, direction, seat, cx);
                Poll::Pending
            }
            Some(Readiness::Gone) | None => {
                if direction == Direction::Read && self.binding.take_drained() {
                    return self.poll_event(cx, direction, seat);
                }
                Poll::Ready(Ok(Belief::Hope(id.bits())))
            }
        }
    }

    /// Ready if the reactor has heard of it: binds first if need be.
    fn poll_event(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        seat: &mut Seat,
    ) -> Poll<io::Result<Belief>> {
        loop {
            match ready!(self.poll_belief(cx, direction, seat))? {
                belief @ Belief::Events(_, 1..) => return Poll::Ready(Ok(belief)),
                // Registration reports what is ready already, so that this does not wait in vain.
                hope => self.not_ready(direction, hope)?,
            }
        }
    }

    /// The waker is cloned, and an earlier one dropped, under no borrow: either may be user code.
    fn sit(&self, id: Id, direction: Direction, seat: &mut Seat, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let earlier = context::with(|context| context.reactor.borrow_mut().sit(id, direction, seat, waker));
        drop(earlier);
    }
}

/// A seat of one's own, given up on drop.
pub(crate) struct Waiting<'a, T: AsFd> {
    registered: &'a Registered<T>,
    direction: Direction,
    seat: Seat,
}

impl<T: AsFd> Waiting<'_, T> {
    /// Tries an operation until it is ready.
    pub(crate) fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let result = ready!(self.registered.poll_operation(cx, self.direction, &mut self.seat, operation));
        Poll::Ready(result.map(|(result, _)| result))
    }
}

impl<T: AsFd> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let Seat::Own(key @ 1..) = self.seat else { return };
        let id = self.registered.binding.id();
        // Elsewhere the waker stays until the next event, and then wakes in vain.
        let waker = context::at_home(id.runtime(), |context| {
            context.reactor.borrow_mut().stand_up(id, self.direction, key)
        });
        drop(waker);
    }
}
