//! The helper: a runtime of tokio with one thread, which a process has once.
//!
//! It is never dropped. So no guard can outlive it, the order in which a program ends does not matter, and tokio never
//! panics because a runtime is dropped in an async context. A runtime for each guard would need all of that to be thought
//! through again for each program, and a thread for each guard.
//!
//! A forked child has the parent's runtime without its thread. So each process has a runtime of its own.

use crate::runtime::mutex::Mutex;
use crate::runtime::selector::Process;
use std::io;
use tokio::runtime::{Builder, Handle};

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
    let runtime =
        Builder::new_multi_thread().worker_threads(1).thread_name("tokio-context").enable_all().build()?;
    let handle = Box::leak(Box::new(runtime)).handle();
    *helper = Some((process, handle));
    Ok(handle)
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

    #[test]
    fn a_forked_child_has_a_helper_of_its_own() {
        assert!(runs_tasks());
        // SAFETY: the child does only what POSIX allows after fork(2), except for malloc and threads, which glibc allows.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the function takes a number. The signal ends the process.
            unsafe { libc::alarm(20) };
            let is_well = catch_unwind(AssertUnwindSafe(|| runs_tasks() && runs_tasks())).unwrap_or(false);
            // SAFETY: the function takes a number.
            unsafe { libc::_exit(if is_well { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the kernel writes one number, to `status`.
        let waited = unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!((waited, status), (child, 0), "the child failed");
        assert!(runs_tasks());
    }
}
