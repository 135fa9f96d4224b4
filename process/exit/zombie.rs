//! waitid(2), which tells without reaping whether a child has ended. Linux and Android.
//!
//! waitpid(2) would also return the stops of a child that is traced (`PTRACE_TRACEME`), and take them away from its
//! tracer. Here they are told apart from its end.
#![expect(unsafe_code, reason = "waitid(2)")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::process::Child;

/// Returns true if a child has ended and has not been reaped. Fails with `ECHILD` if it has been reaped. With its pidfd, no
/// other child is meant that has got its number since then.
pub(super) fn is_zombie(child: &Child, pidfd: Option<BorrowedFd<'_>>) -> io::Result<bool> {
    if let Some(pidfd) = pidfd {
        match look(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t) {
            // Linux 5.3 has pidfds, and cannot wait for them.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            result => return result,
        }
    }
    look(libc::P_PID, child.id())
}

fn look(kind: libc::idtype_t, id: libc::id_t) -> io::Result<bool> {
    // SAFETY: the structure consists of numbers and pointers, for which all zeros are a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes to `info`, which has the right type.
    while unsafe { libc::waitid(kind, id, &raw mut info, options) } != 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // The code is zero if there is nothing to report, and another one for a stop.
    Ok(matches!(info.si_code, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED))
}
