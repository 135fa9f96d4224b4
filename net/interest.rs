//! Waiting for an [`Interest`]: one direction of a descriptor, or the first of both directions to be ready.

use crate::runtime::io::interest::{Interest, Ready};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{ReadyEvent, Registered};
use std::io;
use std::os::fd::AsFd;

/// The readiness that was found, and the events that reported it.
#[derive(Clone, Copy)]
pub(super) struct ReportedReady {
    pub(super) ready: Ready,
    read: Option<ReadyEvent>,
    write: Option<ReadyEvent>,
}

impl ReportedReady {
    /// Keeps only the given directions.
    pub(super) fn only(self, ready: Ready) -> ReportedReady {
        ReportedReady {
            ready: self.ready & ready,
            read: self.read.filter(|_| ready.is_readable()),
            write: self.write.filter(|_| ready.is_writable()),
        }
    }
}

impl<T: AsFd> Registered<T> {
    /// Waits until a direction of interest is ready. This method is cancel safe.
    pub(super) async fn ready_for(&self, interest: Interest) -> io::Result<ReportedReady> {
        let (read, write) = self.ready_any(interest.is_readable(), interest.is_writable()).await?;
        Ok(self.found(read, write))
    }

    /// Converts events to the readiness that users see.
    pub(super) fn found(&self, read: Option<ReadyEvent>, write: Option<ReadyEvent>) -> ReportedReady {
        let mut ready = Ready::EMPTY;
        for (event, direction, open, closed) in [
            (read, Direction::Read, Ready::READABLE, Ready::READ_CLOSED),
            (write, Direction::Write, Ready::WRITABLE, Ready::WRITE_CLOSED),
        ] {
            if event.is_some() {
                ready |= open;
                if self.is_closed(direction) {
                    ready |= closed;
                }
            }
        }
        ReportedReady { ready, read, write }
    }

    /// Clears the readiness that was found, after an operation returned `EAGAIN`. Events that arrived since then are
    /// kept.
    pub(super) fn not_ready_for(&self, found: ReportedReady) {
        if let Some(event) = found.read {
            self.clear_readiness(Direction::Read, event);
        }
        if let Some(event) = found.write {
            self.clear_readiness(Direction::Write, event);
        }
    }

    /// Tries an operation once, unless all directions of interest are known not to be ready.
    pub(super) fn try_io_for<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        if !interest.is_writable() {
            return self.try_io(Direction::Read, operation);
        }
        let mut operation = Some(operation);
        let mut once =
            |io: &T| operation.take().map_or(Err(io::ErrorKind::WouldBlock.into()), |call| call(io));
        if interest.is_readable() {
            match self.try_io(Direction::Read, &mut once) {
                // The operation has not been called: the other direction decides.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && operation.is_some() => {}
                result => return result,
            }
        }
        let operation = operation.take();
        self.try_io(Direction::Write, |io| {
            operation.map_or(Err(io::ErrorKind::WouldBlock.into()), |call| call(io))
        })
    }

    /// Repeats an operation until it does not return `EAGAIN`. This method is cancel safe.
    pub(super) async fn async_io_for<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        match (interest.is_readable(), interest.is_writable()) {
            (true, false) => return self.async_io(Direction::Read, operation).await,
            (false, true) => return self.async_io(Direction::Write, operation).await,
            _ => {}
        }
        loop {
            let found = self.ready_for(interest).await?;
            match operation(self.get()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.not_ready_for(found),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}
