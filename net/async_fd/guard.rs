//! Guards: they report readiness, and clear it.
//!
//! The kernel reports a change once. A caller that finds nothing left clears the readiness through the guard that
//! reported it, so that an event that arrived in between is not cleared with it.

use super::{AsyncFd, TryIoError};
use crate::net::interest::ReportedReady;
use crate::runtime::io::interest::Ready;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

/// A guard that reports the readiness of a descriptor, and clears it when the descriptor turns out not to be ready.
/// Returned by [`AsyncFd::readable`] and similar methods.
///
/// Dropping the guard leaves the descriptor ready.
#[must_use = "clear the guard when the descriptor turns out not to be ready"]
pub struct AsyncFdReadyGuard<'a, T: AsFd> {
    owner: &'a AsyncFd<T>,
    found: ReportedReady,
}

impl<'a, T: AsFd> AsyncFdReadyGuard<'a, T> {
    pub(super) fn new(owner: &'a AsyncFd<T>, found: ReportedReady) -> AsyncFdReadyGuard<'a, T> {
        AsyncFdReadyGuard { owner, found }
    }

    /// Clears the readiness, so that the next wait waits for a new event. An event that has arrived since the guard was
    /// returned is kept.
    ///
    /// Call this only when a system call has returned `EAGAIN`. The kernel reports a change once, so it does not report
    /// again what was left unread.
    pub fn clear_ready(&mut self) {
        self.owner.io.not_ready_for(self.found);
    }

    /// Clears the readiness of the given directions only. See [`clear_ready`](Self::clear_ready).
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.owner.io.not_ready_for(self.found.only(ready));
    }

    /// Leaves the descriptor ready, as dropping the guard does.
    pub fn retain_ready(&mut self) {}

    /// Returns the directions that were ready.
    pub fn ready(&self) -> Ready {
        self.found.ready
    }

    /// Makes a system call, and [clears](Self::clear_ready) the readiness if it returns
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// Returns [`TryIoError`] if the call returned `WouldBlock`, so that the caller waits again. Any other result of
    /// the call is returned as `Ok`.
    pub fn try_io<R>(
        &mut self,
        operation: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match operation(self.owner) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError::new())
            }
            result => Ok(result),
        }
    }

    /// Returns the [`AsyncFd`] that is ready.
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.owner
    }

    /// Returns the descriptor that was passed to [`AsyncFd::new`].
    pub fn get_inner(&self) -> &'a T {
        self.owner.get_ref()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyGuard")
            .field("owner", self.owner)
            .field("ready", &self.found.ready)
            .finish()
    }
}

/// A guard like [`AsyncFdReadyGuard`], with exclusive access to the descriptor. Returned by [`AsyncFd::readable_mut`]
/// and similar methods.
///
/// Dropping the guard leaves the descriptor ready. After [`get_inner_mut`](Self::get_inner_mut) there is nothing to
/// clear, since the descriptor has been deregistered.
#[must_use = "clear the guard when the descriptor turns out not to be ready"]
pub struct AsyncFdReadyMutGuard<'a, T: AsFd> {
    owner: &'a mut AsyncFd<T>,
    found: ReportedReady,
}

impl<'a, T: AsFd> AsyncFdReadyMutGuard<'a, T> {
    pub(super) fn new(owner: &'a mut AsyncFd<T>, found: ReportedReady) -> AsyncFdReadyMutGuard<'a, T> {
        AsyncFdReadyMutGuard { owner, found }
    }

    /// Equivalent to [`AsyncFdReadyGuard::clear_ready`].
    pub fn clear_ready(&mut self) {
        self.owner.io.not_ready_for(self.found);
    }

    /// Equivalent to [`AsyncFdReadyGuard::clear_ready_matching`].
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.owner.io.not_ready_for(self.found.only(ready));
    }

    /// Leaves the descriptor ready, as dropping the guard does.
    pub fn retain_ready(&mut self) {}

    /// Returns the directions that were ready.
    pub fn ready(&self) -> Ready {
        self.found.ready
    }

    /// Makes a system call, and [clears](Self::clear_ready) the readiness if it returns
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// Returns [`TryIoError`] if the call returned `WouldBlock`, so that the caller waits again. Any other result of
    /// the call is returned as `Ok`.
    pub fn try_io<R>(
        &mut self,
        operation: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match operation(self.owner) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError::new())
            }
            result => Ok(result),
        }
    }

    /// Returns the [`AsyncFd`] that is ready.
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.owner
    }

    /// Returns the [`AsyncFd`] that is ready.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.owner
    }

    /// Returns the descriptor that was passed to [`AsyncFd::new`].
    pub fn get_inner(&self) -> &T {
        self.owner.get_ref()
    }

    /// Deregisters the descriptor that was passed to [`AsyncFd::new`], and returns an exclusive reference to it. See
    /// [`AsyncFd::get_mut`].
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.owner.get_mut()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFdReadyMutGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyMutGuard")
            .field("owner", &*self.owner)
            .field("ready", &self.found.ready)
            .finish()
    }
}
