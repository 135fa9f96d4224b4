//! The timeouts of operations on a descriptor; see `io_timeouts.rs`.

use super::waiting::WaitState;
use super::{ReadyEvent, Registered};
use crate::runtime::context;
use crate::runtime::io::io_timeouts::{self, IoTimeouts};
use crate::runtime::io::reactor::{Direction, Waiter};
use crate::runtime::io::source_cell::SourceCell;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};
use std::time::Duration;

impl<T: AsFd> Registered<T> {
    /// Sets the timeout of operations, or removes it. For operations that already wait, it counts from now.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`](io::ErrorKind::InvalidInput) if the timeout is zero.
    pub(crate) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) -> io::Result<()> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the timeout is zero: pass None for no timeout, or call a `try_` function",
            ));
        }
        if timeout.is_some() || self.timeouts().is_some() {
            self.rare().timeouts.set(direction, timeout);
            // The woken tasks try again. Their waits then begin anew, with the new timeout.
            io_timeouts::wake_all(self.ready_event_of(direction).id, direction);
            if let Some(outside) = self.outside() {
                outside.restart(direction);
            }
        }
        Ok(())
    }

    /// Returns the timeout of operations.
    pub(crate) fn timeout(&self, direction: Direction) -> Option<Duration> {
        self.timeouts()?.get(direction)
    }

    /// Returns `Pending`, unless the caller's wait in the shared waiter of a direction has reached its
    /// timeout.
    #[inline]
    pub(super) fn poll_overdue<R>(
        &self,
        cell: &SourceCell,
        direction: Direction,
        event: ReadyEvent,
    ) -> Poll<io::Result<R>> {
        let Some(timeouts) = self.timeouts() else { return Poll::Pending };
        if !timeouts.is_armed(direction, event.id) {
            return self.poll_unarmed(timeouts, direction, event).map(Err);
        }
        // The usual case: the alarm is armed and stays as it is.
        if !event.readiness.is_waited(direction) {
            cell.store(event.readiness.waited(direction));
            timeouts.note(direction);
        }
        Poll::Pending
    }

    /// Returns `Pending`, unless the caller's wait, in either kind of waiter, has reached its timeout.
    #[inline]
    pub(super) fn poll_overdue_in<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
    ) -> Poll<io::Result<R>> {
        let Some(timeouts) = self.timeouts() else { return Poll::Pending };
        if wait.waiter == Waiter::Shared {
            // Careful: the clone of a waker is user code, which may have changed anything, so read the state
            // again.
            return self.poll_overdue(self.cell(direction), direction, self.ready_event_of(direction));
        }
        wait.until.poll(timeouts, direction, cx).map(Err)
    }

    #[cold]
    pub(super) fn poll_unarmed(
        &self,
        timeouts: &IoTimeouts,
        direction: Direction,
        event: ReadyEvent,
    ) -> Poll<io::Error> {
        if timeouts.get(direction).is_none() {
            return Poll::Pending;
        }
        let is_new = !event.readiness.is_waited(direction);
        self.store(direction, event.readiness.waited(direction));
        let polled = timeouts.poll_unarmed(direction, event.id, is_new);
        if polled.is_ready() {
            self.end_wait(direction);
        }
        polled
    }

    /// Ends the wait of a direction, so that the next caller's wait begins anew.
    #[cold]
    pub(super) fn end_wait(&self, direction: Direction) {
        let ReadyEvent { id, readiness } = self.ready_event_of(direction);
        if context::is_current(id.runtime) {
            self.store(direction, readiness.unwaited(direction).tried(direction));
        }
    }
}
