//! Which process a selector belongs to: the one that made it.
//!
//! After fork(2) the child has the same descriptors as its parent, and so the same epoll instance and the
//! same eventfd, not copies: what it takes out is gone for its parent too, and an event that it fetches
//! has been fetched. A kqueue it does not have at all, although it has the number. So in the child every
//! call of a selector is an error, which changes nothing.
//!
//! Forks are counted by a handler, see pthread_atfork(3), so that to look costs one load and no
//! getpid(2).
#![expect(unsafe_code, reason = "pthread_atfork, for which std has no call")]

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many forks there are between this process and the first one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A process, as long as it has not forked.
#[derive(Clone, Copy)]
pub(super) struct Process {
    forks: u32,
}

impl Process {
    /// The one that this is.
    pub(super) fn current() -> io::Result<Process> {
        static COUNTING: OnceLock<i32> = OnceLock::new();
        match *COUNTING.get_or_init(count_forks) {
            0 => Ok(Process { forks: FORKS.load(Relaxed) }),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// An error if it is a parent of this one.
    #[inline]
    pub(super) fn check(self) -> io::Result<()> {
        if self.forks == FORKS.load(Relaxed) { Ok(()) } else { Err(is_of_parent()) }
    }
}

extern "C" fn count_fork() {
    // Only what may be done in the child of a process with many threads.
    FORKS.fetch_add(1, Relaxed);
}

/// Zero, or an errno. Miri has no fork.
fn count_forks() -> i32 {
    if cfg!(miri) {
        return 0;
    }
    // SAFETY: the handler touches nothing but an atomic number, and is there as long as the process.
    unsafe { libc::pthread_atfork(None, None, Some(count_fork)) }
}

#[cold]
fn is_of_parent() -> io::Error {
    io::Error::other(
        "after fork() a runtime and its selector are the parent's alone: make a new one in the child",
    )
}
