//! Limits: how long an operation may wait; see `io_timeouts.rs`.

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
    /// Sets how long an operation may wait; see `io_timeouts.rs`. It counts from now for those that wait.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if that is no time at all.
    pub(crate) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) -> io::Result<()> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a timeout of zero: give None for no timeout, or use a `try_` function",
            ));
        }
        if timeout.is_some() || self.timeouts().is_some() {
            self.rare().timeouts.set(direction, timeout);
            // They find out, and begin to count.
            io_timeouts::wake_all(self.ready_event_of(direction).id, direction);
        }
        Ok(())
    }

    /// How long an operation may wait.
    pub(crate) fn timeout(&self, direction: Direction) -> Option<Duration> {
        self.timeouts()?.get(direction)
    }

    /// Pending, unless one who shares the waiter of a side has waited there for too long.
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
        // The usual case: the alarm stays as it is, whatever comes.
        if !event.readiness.is_waited(direction) {
            cell.store(event.readiness.waited(direction));
            timeouts.note(direction);
        }
        Poll::Pending
    }

    /// Pending, unless a caller has waited for too long, wherever it sits.
    #[inline]
    pub(super) fn poll_overdue_in<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
    ) -> Poll<io::Result<R>> {
        let Some(timeouts) = self.timeouts() else { return Poll::Pending };
        if wait.waiter == Waiter::Shared {
            // Careful: a waker that was just cloned may have done anything, so this is to be seen anew.
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

    /// Who waits next begins anew.
    #[cold]
    pub(super) fn end_wait(&self, direction: Direction) {
        let ReadyEvent { id, readiness } = self.ready_event_of(direction);
        if context::is_current(id.runtime) {
            self.store(direction, readiness.unwaited(direction).tried(direction));
        }
    }
}
