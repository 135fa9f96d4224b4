//! Operations, which are tried once, or in a loop with waits in between.

use super::outside::Aim;
use super::waiting::WaitState;
use super::{ReadyEvent, Registered};
use crate::runtime::context;
use crate::runtime::io::reactor::{Direction, Look, Waiter};
use crate::runtime::io::readiness::Readiness;
use crate::runtime::io::source_cell::SourceCell;
use crate::task::coop;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

/// The next step after an operation has failed with an error that is not returned.
pub(super) enum Failed {
    /// Wait if the direction is drained, and try again. If the descriptor has been registered here for the wait, this is
    /// its event.
    Again(Option<ReadyEvent>),
    /// This thread has no runtime: go on with [`poll_outside`](Registered::poll_outside).
    Outside,
}

impl Failed {
    fn event(self) -> Option<ReadyEvent> {
        match self {
            Failed::Again(event) => event,
            Failed::Outside => None,
        }
    }
}

impl<T: AsFd> Registered<T> {
    /// Tries an operation, and waits in the shared waiter while it fails with `EAGAIN`. Only the waker of the
    /// latest call is woken.
    #[inline]
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_operation(cx, direction, &mut WaitState::shared(), operation)
    }

    /// Does the same as [`poll_io`](Self::poll_io), for a transfer into or out of a stream of bytes. `is_all`
    /// gets the number of bytes and returns true if the transfer has reached the end of the data. That saves
    /// the next call, which would only return `EAGAIN`.
    #[inline]
    pub(crate) fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        is_all: impl Fn(&T, usize) -> bool,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        // The usual cases are inlined: the waker is in its waiter already, or the operation succeeds. If the
        // descriptor is split, both directions count as drained here, and the source is not found.
        let mut event = self.ready_event();
        let mut has_looked = false;
        if event.readiness.is_drained(direction) {
            let look = context::with_entered(event.id.runtime, |context| {
                context.reactor.borrow_mut().look(event.id.id, direction, &Waiter::Shared, cx.waker())
            });
            match look {
                Some(Look::Event { closed }) => {
                    event.readiness = event.readiness.event(direction, closed);
                    self.registration.whole().store(event.readiness);
                    has_looked = true;
                }
                Some(Look::WakerSet) => {
                    return self.poll_overdue(self.registration.whole(), direction, event);
                }
                _ => return self.poll_transfer_apart(cx, direction, None, is_all, operation),
            }
        }
        ready!(coop::poll_spend(cx));
        match operation(&self.io) {
            Ok(count) => {
                if 0 < count && is_all(&self.io, count) {
                    if has_looked {
                        self.registration.whole().store(event.readiness.short(direction));
                    } else {
                        self.drained(None, event.id, direction, Readiness::short);
                    }
                }
                Poll::Ready(Ok(count))
            }
            Err(error) => {
                let failed = self.failed(None, event, direction, error, has_looked)?;
                self.poll_transfer_apart(cx, direction, failed.event(), is_all, operation)
            }
        }
    }

    /// Does the rest of the transfer. The closures are passed by value, so that buffers can stay in registers
    /// until this call.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_transfer_apart(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        registered: Option<ReadyEvent>,
        is_all: impl Fn(&T, usize) -> bool,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_transfer_at_length(cx, direction, registered, &is_all, &mut operation)
    }

    pub(super) fn poll_transfer_at_length(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut registered: Option<ReadyEvent>,
        is_all: &dyn Fn(&T, usize) -> bool,
        mut operation: &mut dyn FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if !context::is_entered() {
            let wait = &mut WaitState::shared();
            return self.poll_outside(cx, direction, wait, Aim::Operation, &mut operation);
        }
        loop {
            let mut event = registered.unwrap_or_else(|| self.ready_event_of(direction));
            let has_looked = event.readiness.is_drained(direction);
            if has_looked {
                event = ready!(self.poll_drained(cx, direction, &mut WaitState::shared(), event))?;
            }
            ready!(coop::poll_spend(cx));
            match operation(&self.io) {
                Ok(count) => {
                    if 0 < count && is_all(&self.io, count) {
                        self.drained(Some(self.cell(direction)), event.id, direction, Readiness::short);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) => {
                    let cell = Some(self.cell(direction));
                    registered = self.failed(cell, event, direction, error, has_looked)?.event();
                }
            }
        }
    }

    /// Tries an operation, and waits in a waiter of its own while it fails with `EAGAIN`.
    ///
    /// This method is cancel safe: if it is dropped, it has not done the operation.
    pub(crate) async fn async_io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waiting = self.waiting(direction);
        poll_fn(|cx| waiting.poll_io(cx, &mut operation)).await
    }

    /// Tries an operation once, unless the direction is recorded as not ready.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut event = self.ready_event_of(direction);
        let was_drained = event.readiness.is_drained(direction);
        if was_drained {
            match self.take_event(event.id, direction) {
                Some(Some(closed)) => event = self.record_event(event, direction, closed),
                Some(None) if self.is_armed(event.id, direction) => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                // A level-triggered selector does not watch a direction for which no task waits, so only the
                // operation can tell.
                _ => {}
            }
        }
        let result = operation(&self.io);
        match &result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !was_drained && !event.readiness.is_fresh(direction) {
                    self.note_earlier_success(event);
                }
                self.drained(Some(self.cell(direction)), event.id, direction, Readiness::not_ready);
            }
            // Either the direction is not watched and the operation was tried without an event, or this is
            // the first operation since an event.
            Ok(_) if event.readiness.is_waited_or_fresh(direction) => self.end_wait(direction),
            _ => {}
        }
        result
    }

    #[inline]
    pub(super) fn poll_operation<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let mut registered = None;
        loop {
            let mut event = registered.unwrap_or_else(|| self.ready_event_of(direction));
            let has_looked = event.readiness.is_drained(direction);
            if has_looked {
                event = ready!(self.poll_drained(cx, direction, wait, event))?;
            }
            ready!(coop::poll_spend(cx));
            match operation(&self.io) {
                Ok(result) => return Poll::Ready(Ok(result)),
                Err(error) => {
                    match self.failed(Some(self.cell(direction)), event, direction, error, has_looked)? {
                        Failed::Again(event) => registered = event,
                        Failed::Outside => {
                            return self.poll_outside(cx, direction, wait, Aim::Operation, &mut operation);
                        }
                    }
                }
            }
        }
    }

    /// Decides what follows the error of an operation: waiting, trying again, or returning the error. `has_looked` is
    /// true if the event was taken by this call.
    #[cold]
    pub(super) fn failed(
        &self,
        cell: Option<&SourceCell>,
        event: ReadyEvent,
        direction: Direction,
        error: io::Error,
        has_looked: bool,
    ) -> io::Result<Failed> {
        let mut failed = Failed::Again(None);
        if !is_would_block(&error) {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        } else if context::is_current(event.id.runtime) {
            if !has_looked {
                self.note_earlier_success(event);
            }
            self.drained(cell, event.id, direction, Readiness::not_ready);
        } else if context::is_entered() {
            failed = Failed::Again(self.register_drained(direction, event.id)?);
        } else {
            failed = Failed::Outside;
        }
        coop::refund();
        Ok(failed)
    }
}

/// Returns true if an operation would block. The error of a system call costs one comparison.
#[inline]
fn is_would_block(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAGAIN) || error.kind() == io::ErrorKind::WouldBlock
}
