//! Waits for an event of a direction, in a waiter that the reactor keeps.

use super::{ReadyEvent, Registered};
use crate::runtime::id::SourceId;
use crate::runtime::io::io_timeouts::CallTimeout;
use crate::runtime::io::reactor::{Direction, Look, Waiter};
use crate::runtime::{context, waker};
use crate::task::coop;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

impl<T: AsFd> Registered<T> {
    /// Creates a waiter that belongs to the caller. It is entered when the caller first has to wait.
    pub(crate) fn waiting(&self, direction: Direction) -> Waiting<'_, T> {
        Waiting { registered: self, direction, wait: WaitState::own() }
    }

    /// Waits until a direction is recorded as ready, in the shared waiter: only the waker of the latest call is woken.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<ReadyEvent>> {
        ready!(coop::poll_budget(cx));
        let event = ready!(self.poll_event(cx, direction, &mut WaitState::shared()))?;
        coop::spend();
        Poll::Ready(Ok(event))
    }

    /// Waits until a direction is recorded as ready, in a waiter of its own. This method is cancel safe.
    pub(crate) async fn ready(&self, direction: Direction) -> io::Result<ReadyEvent> {
        let mut waiting = self.waiting(direction);
        poll_fn(|cx| {
            ready!(coop::poll_budget(cx));
            let event = ready!(self.poll_event(cx, direction, &mut waiting.wait))?;
            coop::spend();
            Poll::Ready(Ok(event))
        })
        .await
    }

    /// Waits until any of the given directions is recorded as ready, and returns their events. This method is cancel
    /// safe.
    pub(crate) async fn ready_any(
        &self,
        wants_read: bool,
        wants_write: bool,
    ) -> io::Result<(Option<ReadyEvent>, Option<ReadyEvent>)> {
        let mut read = self.waiting(Direction::Read);
        let mut write = self.waiting(Direction::Write);
        poll_fn(|cx| {
            ready!(coop::poll_budget(cx));
            let mut events = [None, None];
            for ((event, waiting), wanted) in
                events.iter_mut().zip([&mut read, &mut write]).zip([wants_read, wants_write])
            {
                if wanted
                    && let Poll::Ready(found) = self.poll_event(cx, waiting.direction, &mut waiting.wait)?
                {
                    *event = Some(found);
                }
            }
            let [read, write] = events;
            if read.is_none() && write.is_none() && (wants_read || wants_write) {
                return Poll::Pending;
            }
            coop::spend();
            Poll::Ready(Ok((read, write)))
        })
        .await
    }

    /// Returns `Ready` if there has been an event. Otherwise leaves the waker in the runtime on this thread,
    /// and registers the descriptor there first if needed.
    ///
    /// If the caller has just registered the descriptor and `event` belongs to that registration, this method waits for
    /// that source, even if another runtime has taken the descriptor in the meantime. The loop is about to learn of the
    /// loss, and then wakes the caller.
    ///
    /// On a thread without a runtime, returns the event unchanged, so that the operation is tried.
    pub(super) fn poll_drained(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
        mut event: ReadyEvent,
    ) -> Poll<io::Result<ReadyEvent>> {
        loop {
            let id = event.id;
            wait.move_to(id, self, direction);
            let look = context::with_entered(id.runtime, |context| {
                context.reactor.borrow_mut().look(id.id, direction, &wait.waiter, cx.waker())
            });
            match look {
                Some(Look::Event { closed }) => {
                    return Poll::Ready(Ok(self.record_event(event, direction, closed)));
                }
                Some(Look::WakerSet) => return self.poll_overdue_in(cx, direction, wait),
                Some(Look::NeedsWaker) => {
                    match self.set_waker(id, direction, &mut wait.waiter, cx) {
                        Ok(()) => return self.poll_overdue_in(cx, direction, wait),
                        Err(error) if self.ready_event_of(direction).id == id => {
                            return Poll::Ready(Err(error));
                        }
                        // Another thread has just taken the descriptor.
                        Err(_) => event = self.ready_event_of(direction),
                    }
                }
                // The new registration reports readiness that exists already, so no event is missed.
                None if !context::is_entered() => return Poll::Ready(Ok(event)),
                Some(Look::Gone) | None => {
                    let registered = self.register_drained(direction, event.id)?;
                    event = registered.unwrap_or_else(|| self.ready_event_of(direction));
                }
            }
        }
    }

    /// Returns `Ready` if there has been an event. Registers the descriptor first if needed.
    pub(super) fn poll_event(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
    ) -> Poll<io::Result<ReadyEvent>> {
        if !context::is_entered() {
            return self.poll_event_outside(cx, direction, wait);
        }
        let event = self.ready_event_of(direction);
        if event.readiness.is_ready(direction) {
            match self.take_event(event.id, direction) {
                Some(Some(closed)) => {
                    let event = self.record_event(event, direction, closed);
                    return Poll::Ready(Ok(self.mark_fresh(event, direction)));
                }
                Some(None) => {
                    self.note_earlier_success(event);
                    return Poll::Ready(Ok(event));
                }
                None => {}
            }
        }
        self.clear_readiness(direction, event);
        let event = ready!(self.poll_drained(cx, direction, wait, self.ready_event_of(direction)))?;
        Poll::Ready(Ok(self.mark_fresh(event, direction)))
    }

    /// Marks an event as returned to a caller that will try an operation of its own. The mark is read only if an error
    /// or a closed direction has been reported.
    fn mark_fresh(&self, event: ReadyEvent, direction: Direction) -> ReadyEvent {
        if !event.readiness.is_closed() {
            return event;
        }
        let readiness = event.readiness.fresh(direction);
        self.store(direction, readiness);
        ReadyEvent { readiness, ..event }
    }

    /// Leaves a waker. Cloning the waker and dropping an earlier one may run user code, so both are done under no
    /// borrow.
    pub(super) fn set_waker(
        &self,
        id: SourceId,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &Context<'_>,
    ) -> io::Result<()> {
        let waker = cx.waker().clone();
        let (earlier, armed) =
            context::with(|context| context.reactor.borrow_mut().set_waker(id.id, direction, waiter, waker));
        waker::discard_each(earlier);
        armed
    }
}

/// A waiter that belongs to the caller. It is removed on drop.
pub(crate) struct Waiting<'a, T: AsFd> {
    registered: &'a Registered<T>,
    direction: Direction,
    wait: WaitState,
}

/// The waiter of a caller, and its deadline.
pub(super) struct WaitState {
    pub(super) waiter: Waiter,
    /// The source that has the waiter, if the waiter belongs to the caller.
    source: SourceId,
    /// The deadline of a caller with a waiter of its own. Callers in the shared waiter also share its deadline.
    pub(super) until: CallTimeout,
}

impl WaitState {
    #[inline]
    pub(super) fn shared() -> WaitState {
        WaitState { waiter: Waiter::Shared, source: SourceId::NONE, until: CallTimeout::default() }
    }

    fn own() -> WaitState {
        WaitState { waiter: Waiter::Own(None), ..WaitState::shared() }
    }

    /// Notes that the descriptor is registered as `source` now. If there was a waiter in an earlier source, it was
    /// removed with that source. A waiter of a thread without a runtime stays while the caller is on such a thread.
    #[inline(always)]
    fn move_to<T: AsFd>(&mut self, source: SourceId, registered: &Registered<T>, direction: Direction) {
        if let Waiter::Own(key) = &mut self.waiter
            && self.source != source
            && (!self.source.is_outside() || context::is_entered())
        {
            let earlier = key.take().filter(|_| self.source.is_outside());
            self.source = source;
            if let Some(key) = earlier {
                registered.leave_outside(direction, key);
            }
        }
    }

    /// Notes that the caller waits on a thread without a runtime now.
    pub(super) fn move_outside<T: AsFd>(&mut self, registered: &Registered<T>, direction: Direction) {
        if !self.source.is_outside() && matches!(self.waiter, Waiter::Own(_)) {
            self.leave(registered, direction);
            self.source = SourceId::OUTSIDE;
        }
    }

    /// Removes the caller's own waiter, wherever it is.
    #[inline(always)]
    fn leave<T: AsFd>(&mut self, registered: &Registered<T>, direction: Direction) {
        let (&Waiter::Own(Some(key)), source) = (&self.waiter, self.source) else { return };
        self.waiter = Waiter::Own(None);
        if source.is_outside() {
            return registered.leave_outside(direction, key);
        }
        context::call_on(source.runtime, move |context| {
            let waker = context.reactor.borrow_mut().remove_waker(source.id, direction, key);
            waker::discard_each(waker);
        });
    }
}

impl<T: AsFd> Waiting<'_, T> {
    /// Tries an operation, and waits until it succeeds or fails with another error than `EAGAIN`.
    pub(crate) fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registered.poll_operation(cx, self.direction, &mut self.wait, operation)
    }
}

impl<T: AsFd> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.wait.leave(self.registered, self.direction);
    }
}
