//! Deregistration from other threads. It removes a descriptor whose owner was dropped away from its runtime.
//!
//! Where the set of descriptors is in the kernel, this is a system call. Where the set is on the loop's
//! thread (poll, select, and the state that a backend keeps itself), the number goes on a list. The loop
//! applies the list before it registers another descriptor, because a number that is closed may be reused at
//! once. The loop is also notified, since a wait in progress holds the file open: the peer would not learn
//! that it was closed.

use super::{EpollSet, KqueueFd, Notifier};
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Removes descriptors from a selector, on any thread.
#[derive(Clone)]
#[allow(dead_code, reason = "each system lacks another one")]
pub(crate) enum Deregistrar {
    Epoll(Arc<EpollSet>),
    EpollLevel(Arc<EpollSet>, Arc<RemovedFds>),
    Kqueue(Arc<KqueueFd>, Arc<RemovedFds>),
    /// poll and select, which keep no set in the kernel.
    Listed(Arc<RemovedFds>, Notifier),
}

impl Deregistrar {
    /// Stops watching `fd`. The owner of the descriptor must call this before it closes the descriptor.
    ///
    /// # Errors
    ///
    /// Fails with `EBADF` or `ENOENT` if the descriptor was not watched: it was never registered, it was
    /// closed without its owner's knowledge, or it was registered without an interest.
    pub(crate) fn deregister(&self, fd: RawFd) -> io::Result<()> {
        match self {
            Deregistrar::Epoll(set) => set.remove(fd),
            Deregistrar::EpollLevel(set, removed_fds) => removed_fds.push(fd, || set.remove(fd)),
            Deregistrar::Kqueue(queue, removed_fds) => removed_fds.push(fd, || queue.remove(fd)),
            Deregistrar::Listed(removed_fds, notifier) => {
                removed_fds.push(fd, || ());
                notifier.notify();
                Ok(())
            }
        }
    }

    /// Returns the descriptor of the selector, which is readable while it has events, or `None` if it has none.
    #[inline]
    pub(crate) fn selector_fd(&self) -> Option<Arc<dyn AsFd + Send + Sync>> {
        match self {
            Deregistrar::Epoll(set) | Deregistrar::EpollLevel(set, _) => Some(set.clone()),
            Deregistrar::Kqueue(queue, _) => Some(queue.clone()),
            Deregistrar::Listed(..) => None,
        }
    }
}

/// The descriptors that other threads have removed. The loop's thread applies this list to its own state.
#[derive(Default)]
pub(crate) struct RemovedFds {
    /// True if the list is not empty. Usually this is all that the loop reads.
    any: AtomicBool,
    fds: Mutex<Vec<RawFd>>,
}

impl RemovedFds {
    /// Adds a descriptor to the list and calls `remove`.
    ///
    /// Careful: the descriptor must be on the list before it is closed, or its number may belong to another
    /// owner by then. The list must not be applied before `remove` is done: otherwise the loop could register
    /// the descriptor again in between, and its number would stay occupied forever.
    fn push<R>(&self, fd: RawFd, remove: impl FnOnce() -> R) -> R {
        let mut fds = self.lock();
        fds.push(fd);
        self.any.store(true, Ordering::Release);
        remove()
    }

    /// Locks the list. No thread adds to it while it is locked.
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
