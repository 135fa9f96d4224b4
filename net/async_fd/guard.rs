//! Guards: a word of readiness, and the way to take it back.
//!
//! The kernel reports a change once. Who finds that nothing is left says so by the guard that the
//! readiness came with, so that an event which has come in between is not cleared with it.

use super::{AsyncFd, TryIoError};
use crate::net::interest::Found;
use crate::runtime::io::interest::Ready;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

/// Says that a descriptor is believed ready, and takes note when it is not. From
/// [`AsyncFd::readable`] and the like.
///
/// Dropping it leaves the descriptor ready.
#[must_use = "a guard is to be cleared when the descriptor turns out not to be ready"]
pub struct AsyncFdReadyGuard<'a, T: AsFd> {
    owner: &'a AsyncFd<T>,
    found: Found,
}

impl<'a, T: AsFd> AsyncFdReadyGuard<'a, T> {
    pub(super) fn new(owner: &'a AsyncFd<T>, found: Found) -> AsyncFdReadyGuard<'a, T> {
        AsyncFdReadyGuard { owner, found }
    }

    /// Takes note that the descriptor is not ready: the next wait is for a new event. One that has
    /// come since the guard was given stands.
    ///
    /// To be called when the system has said `EAGAIN`, and only then: the kernel reports a change
    /// once, so that what is left unread is not reported again.
    pub fn clear_ready(&mut self) {
        self.owner.io.not_ready_for(self.found);
    }

    /// As [`clear_ready`](Self::clear_ready), for the given sides alone.
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.owner.io.not_ready_for(self.found.only(ready));
    }

    /// Leaves the descriptor ready, as dropping the guard does.
    pub fn retain_ready(&mut self) {}

    /// Which sides were ready.
    pub fn ready(&self) -> Ready {
        self.found.ready
    }

    /// Makes a system call, and [clears](Self::clear_ready) the guard if it says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if it said so: then it is time to wait again. The call's result is inside.
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

    /// The descriptor that is ready.
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.owner
    }

    /// What was given to [`AsyncFd::new`].
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

/// As [`AsyncFdReadyGuard`], of a descriptor that was waited for by an exclusive reference. From
/// [`AsyncFd::readable_mut`] and the like.
///
/// Dropping it leaves the descriptor ready. After [`get_inner_mut`](Self::get_inner_mut) there is
/// nothing to clear, as the descriptor is not registered any more.
#[must_use = "a guard is to be cleared when the descriptor turns out not to be ready"]
pub struct AsyncFdReadyMutGuard<'a, T: AsFd> {
    owner: &'a mut AsyncFd<T>,
    found: Found,
}

impl<'a, T: AsFd> AsyncFdReadyMutGuard<'a, T> {
    pub(super) fn new(owner: &'a mut AsyncFd<T>, found: Found) -> AsyncFdReadyMutGuard<'a, T> {
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

    /// Which sides were ready.
    pub fn ready(&self) -> Ready {
        self.found.ready
    }

    /// Makes a system call, and [clears](Self::clear_ready) the guard if it says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if it said so: then it is time to wait again. The call's result is inside.
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

    /// The descriptor that is ready.
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.owner
    }

    /// The descriptor that is ready.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.owner
    }

    /// What was given to [`AsyncFd::new`].
    pub fn get_inner(&self) -> &T {
        self.owner.get_ref()
    }

    /// What was given to [`AsyncFd::new`], as [`AsyncFd::get_mut`] gives it: not registered any more.
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
