//! The helper: a runtime of tokio with one thread, which a process has once.
//!
//! It is never dropped. So no guard can outlive it, the order in which a program ends does not matter, and tokio never
//! panics because a runtime is dropped in an async context. A runtime for each guard would need all of that to be thought
//! through again for each program, and a thread for each guard.
//!
//! A forked child has the parent's runtime without its thread. So each process has a runtime of its own.

use crate::runtime::mutex::Mutex;
use crate::runtime::selector::Process;
use crate::runtime::unwind;
use std::io;
use std::panic::catch_unwind;
use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime of the process that started it latest.
static HELPER: Mutex<Option<(Process, &'static Handle)>> = Mutex::unowned(None);

/// Returns the handle of the helper of this process, and starts it if there is none.
///
/// # Errors
///
/// Returns an error if its thread or its descriptors cannot be had.
pub(super) fn handle() -> io::Result<&'static Handle> {
    // In a forked child, a thread of the parent may have held the lock: then the child cannot know its own helper.
    let Some(mut helper) = HELPER.lock() else {
        return Err(io::Error::other("this process was forked while its parent entered a context of tokio"));
    };
    if let Some((process, handle)) = *helper
        && process.is_current()
    {
        return Ok(handle);
    }
    let process = Process::counted()?;
    let handle = Box::leak(Box::new(build()?)).handle();
    *helper = Some((process, handle));
    Ok(handle)
}

fn build() -> io::Result<Runtime> {
    // Tokio panics if it cannot start the thread. Nothing of ours is in an inconsistent state then.
    catch_unwind(|| {
        Builder::new_multi_thread().worker_threads(1).thread_name("tokio-context").enable_all().build()
    })
    .unwrap_or_else(|payload| {
        unwind::discard(payload);
        Err(io::Error::other("the system has not started the thread"))
    })
}

#[cfg(test)]
#[cfg(not(miri))] // Miri does not support fork.
mod tests {
    #![expect(unsafe_code, reason = "fork, alarm, waitpid and _exit")]

    use super::handle;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn runs_tasks() -> bool {
        let (sender, receiver) = channel();
        drop(handle().unwrap().spawn(async move { sender.send(()) }));
        receiver.recv_timeout(Duration::from_secs(10)).is_ok()
    }

    /// Runs `body` in a forked child, and checks that it returns true there.
    fn in_fork(body: impl FnOnce() -> bool) {
        // SAFETY: the child does only what POSIX allows after fork(2), except for malloc and threads, which glibc allows.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the function takes a number. The signal ends the process.
            unsafe { libc::alarm(20) };
            let is_well = catch_unwind(AssertUnwindSafe(body)).unwrap_or(false);
            // SAFETY: the function takes a number.
            unsafe { libc::_exit(if is_well { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the kernel writes one number, to `status`.
        let waited = unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!((waited, status), (child, 0), "the child failed");
    }

    #[test]
    fn a_forked_child_has_a_helper_of_its_own() {
        assert!(runs_tasks());
        in_fork(|| runs_tasks() && runs_tasks());
        assert!(runs_tasks());
    }

    /// The child may start no thread at first. The limit is one of its user, who must not be root.
    #[test]
    fn a_thread_that_cannot_be_started_is_an_error_and_the_next_call_tries_again() {
        fn limit_threads(limit: libc::rlim_t) -> libc::rlim_t {
            let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the kernel reads and writes `limits`.
            unsafe {
                libc::getrlimit(libc::RLIMIT_NPROC, &mut limits);
                let before = std::mem::replace(&mut limits.rlim_cur, limit);
                libc::setrlimit(libc::RLIMIT_NPROC, &limits);
                before
            }
        }
        in_fork(|| {
            const NOBODY: libc::uid_t = 65534;
            // SAFETY: the functions take numbers.
            if unsafe { libc::geteuid() == 0 && libc::setuid(NOBODY) != 0 } {
                // A container may have no such user.
                return true;
            }
            std::panic::set_hook(Box::new(|_| {}));
            let before = limit_threads(0);
            let refused = handle();
            limit_threads(before);
            refused.is_err() && runs_tasks()
        });
    }
}
