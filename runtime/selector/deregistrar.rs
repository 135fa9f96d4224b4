//! What other threads may do: take out a descriptor whose owner was dropped away from its runtime.
//!
//! Where the set lives in the kernel, that is a system call. Where it lives on the loop's thread (poll,
//! select, and what each mechanism knows of its own), the number goes on a list that the loop
//! works off before it takes in another one: a number that is closed may come again at once. And the
//! loop is notified, since a wait in progress holds the file open: the peer would not hear that it
//! was closed.

use super::{EpollSet, KqueueFd, Notifier};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Takes descriptors out of a selector, from any thread.
#[derive(Clone)]
#[allow(dead_code, reason = "each system lacks another one")]
pub(crate) enum Deregistrar {
    Epoll(Arc<EpollSet>),
    EpollLevel(Arc<EpollSet>, Arc<Departures>),
    Kqueue(Arc<KqueueFd>, Arc<Departures>),
    /// poll and select: nothing in the kernel.
    Listed(Arc<Departures>, Notifier),
}

impl Deregistrar {
    /// Stops watching `fd`. To be called before the descriptor is closed, by its owner.
    ///
    /// # Errors
    ///
    /// `EBADF` and `ENOENT` if it was not watched: never registered, closed behind its owner's back,
    /// or registered with nothing to wait for.
    pub(crate) fn deregister(&self, fd: RawFd) -> io::Result<()> {
        match self {
            Deregistrar::Epoll(set) => set.remove(fd),
            Deregistrar::EpollLevel(set, departures) => departures.push(fd, || set.remove(fd)),
            Deregistrar::Kqueue(queue, departures) => departures.push(fd, || queue.remove(fd)),
            Deregistrar::Listed(departures, notifier) => {
                departures.push(fd, || ());
                notifier.notify();
                Ok(())
            }
        }
    }
}

/// Descriptors that other threads took out, to be worked off by the loop's thread.
#[derive(Default)]
pub(crate) struct Departures {
    /// Whether there are any: all that is looked at as a rule.
    any: AtomicBool,
    fds: Mutex<Vec<RawFd>>,
}

impl Departures {
    /// Careful: on the list before it is closed, or the number may be somebody else's by then.
    /// Nor is the list worked off before `remove` is done: what the loop then makes of the descriptor would
    /// stand, and its number would be taken for good.
    fn push<R>(&self, fd: RawFd, remove: impl FnOnce() -> R) -> R {
        let mut fds = self.lock();
        fds.push(fd);
        self.any.store(true, Ordering::Release);
        remove()
    }

    /// The list, which nobody adds to while it is held.
    pub(super) fn hold(&self) -> MutexGuard<'_, Vec<RawFd>> {
        let fds = self.lock();
        self.any.store(false, Ordering::Relaxed);
        fds
    }

    /// Takes the whole list.
    pub(super) fn take(&self) -> Vec<RawFd> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.hold())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RawFd>> {
        // Nothing that can panic runs under this lock.
        self.fds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
