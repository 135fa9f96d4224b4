//! Which process a selector belongs to: the one that made it.
//!
//! After fork(2) the child has the same descriptors as its parent, and so the same epoll instance and the
//! same eventfd, not copies: what it takes out is gone for its parent too, and an event that it fetches
//! has been fetched. A kqueue it does not have at all, although it has the number. So in the child every
//! call of a selector is an error, which changes nothing.
//!
//! Of the threads the child has only the one that forked, but all their locks, as they held them. So nothing
//! here or elsewhere in the library waits in the child for a lock that a thread of the parent may hold.
//!
//! Forks are counted by a handler, see pthread_atfork(3), so that to look costs one load and no
//! getpid(2).
#![expect(unsafe_code, reason = "pthread_atfork, for which std has no call")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// How many forks there are between this process and the first one, and one. In a process where two threads
/// made the first selector at once the handler is there twice, and counts each fork twice, which is all the
/// same.
static FORKS: AtomicU32 = AtomicU32::new(1);

/// Whether the handler is there. (No `Once`, whose other callers wait: in a child perhaps for ever.)
static COUNTING: AtomicBool = AtomicBool::new(false);

/// A process, as long as it has not forked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    forks: u32,
}

impl Process {
    /// The present process.
    #[inline]
    pub(crate) fn current() -> Process {
        Process { forks: FORKS.load(Relaxed) }
    }

    /// The present process, which can be told from its children from now on.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the system has no memory for the handler.
    pub(crate) fn counted() -> io::Result<Process> {
        match count_forks() {
            0 => Ok(Process::current()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// The same, where it is of no use without memory for the handler to say so.
    #[inline]
    pub(crate) fn counted_if_possible() -> Process {
        if !COUNTING.load(Relaxed) {
            count_forks();
        }
        Process::current()
    }

    /// Whether it is the present process, and not a parent of that.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self == Process::current()
    }

    /// An error if it is a parent of the present process.
    #[inline]
    pub(super) fn check(self) -> io::Result<()> {
        if self.is_current() { Ok(()) } else { Err(is_of_parent()) }
    }

    /// A number that is not zero, and another one than that of each of its parents.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.forks
    }
}

extern "C" fn count_fork() {
    // Only what may be done in the child of a process with many threads.
    FORKS.fetch_add(1, Relaxed);
}

/// Has forks counted from now on. Zero, or an errno.
#[cold]
fn count_forks() -> i32 {
    // Miri has no fork.
    if cfg!(miri) || COUNTING.load(Relaxed) {
        return 0;
    }
    // SAFETY: the handler touches nothing but an atomic number, and is there as long as the process.
    let errno = unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
    COUNTING.store(errno == 0, Relaxed);
    errno
}

#[cold]
fn is_of_parent() -> io::Error {
    io::Error::other(
        "after fork() a runtime and its selector are the parent's alone: make a new one in the child",
    )
}
