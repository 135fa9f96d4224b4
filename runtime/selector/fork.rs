//! The process to which a selector belongs: the one that created it.
//!
//! After fork(2) the child has the same descriptors as its parent, and so the same epoll instance and the
//! same eventfd, not copies. A descriptor that the child removes is removed for the parent too, and an event
//! that it fetches is gone for the parent. The child does not have a kqueue at all, although it has the
//! number. So in the child every call of a selector fails and changes nothing.
//!
//! Of the parent's threads the child has only the one that forked. But it has all their locks, in the state
//! in which they were. So no code in this library waits in the child for a lock that a thread of the parent
//! may hold.
//!
//! A handler counts the forks, see pthread_atfork(3). So a check costs one load, and no getpid(2).
#![expect(unsafe_code, reason = "pthread_atfork, for which std has no call")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The number of forks between the first process and this one, plus one. If two threads created the first
/// selector of a process at the same time, the handler is installed twice and counts each fork twice, which
/// does no harm.
static FORKS: AtomicU32 = AtomicU32::new(1);

/// True once the handler is installed. This is not a `Once`, because threads wait for a `Once`, and in a
/// child they might wait forever.
static COUNTING: AtomicBool = AtomicBool::new(false);

/// A process. Its children after fork(2) are different processes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    forks: u32,
}

impl Process {
    /// Returns the present process.
    #[inline]
    pub(crate) fn current() -> Process {
        Process { forks: FORKS.load(Relaxed) }
    }

    /// Returns the present process. From now on it can be distinguished from its children.
    ///
    /// # Errors
    ///
    /// Fails with `ENOMEM` if the system has no memory for the handler.
    pub(crate) fn counted() -> io::Result<Process> {
        match count_forks() {
            0 => Ok(Process::current()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Does the same as [`counted`](Self::counted), for callers that cannot use the error.
    #[inline]
    pub(crate) fn counted_if_possible() -> Process {
        if !COUNTING.load(Relaxed) {
            count_forks();
        }
        Process::current()
    }

    /// Returns true if this is the present process, and not one of its ancestors.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self == Process::current()
    }

    /// Returns an error if this is an ancestor of the present process.
    #[inline]
    pub(super) fn check(self) -> io::Result<()> {
        if self.is_current() { Ok(()) } else { Err(belongs_to_parent()) }
    }

    /// Returns a number that is not zero and differs from the number of each ancestor.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.forks
    }
}

extern "C" fn count_fork() {
    // Only async-signal-safe code may run in the child of a process with several threads.
    FORKS.fetch_add(1, Relaxed);
}

/// Makes sure that forks are counted from now on. Returns zero or an errno.
#[cold]
fn count_forks() -> i32 {
    // Miri has no fork.
    if cfg!(miri) || COUNTING.load(Relaxed) {
        return 0;
    }
    // SAFETY: the handler accesses only an atomic number, and stays valid for the life of the process.
    let errno = unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
    COUNTING.store(errno == 0, Relaxed);
    errno
}

#[cold]
fn belongs_to_parent() -> io::Error {
    io::Error::other(
        "after fork() a runtime and its selector belong to the parent only: make a new one in the child",
    )
}
