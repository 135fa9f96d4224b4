//! A pidfd, see pidfd_open(2): a descriptor of one process, which is readable when the process has ended. Linux 5.3.
//!
//! It refers to its process for ever, whatever becomes of the number. So a signal that is sent through it reaches no other
//! process.
#![expect(unsafe_code, reason = "pidfd_open(2) and pidfd_send_signal(2), for which libc has no functions")]

use super::kill::{kill, kill_group};
use super::zombie::is_zombie;
use super::{is_reaped_elsewhere, is_refused};
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Child, ExitStatus};
use std::ptr;

pub(in crate::process) struct ExitFd {
    fd: OwnedFd,
}

impl ExitFd {
    /// Opens the pidfd of a child that has not been reaped. It is close-on-exec.
    pub(super) fn open(process: u32) -> io::Result<ExitFd> {
        // SAFETY: the call takes two numbers, and returns a descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process as libc::pid_t, 0) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just created this descriptor, and nothing else owns it.
        Ok(ExitFd { fd: unsafe { OwnedFd::from_raw_fd(fd as RawFd) } })
    }

    fn send_signal(&self, signal: c_int) -> io::Result<()> {
        let (fd, info) = (self.fd.as_raw_fd(), ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor is open, and without further information the kernel reads no memory.
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsFd for ExitFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Reaps a child if it has ended.
pub(in crate::process) fn reap(child: &mut Child, fd: Option<&ExitFd>) -> io::Result<Option<ExitStatus>> {
    if is_zombie(child, fd.map(ExitFd::as_fd))? { child.try_wait() } else { Ok(None) }
}

/// Sends a signal to a child that has not been reaped here. If other code has reaped it, does nothing.
pub(in crate::process) fn send_signal(child: &Child, fd: Option<&ExitFd>, signal: c_int) -> io::Result<()> {
    let result = match fd.map(|fd| fd.send_signal(signal)) {
        Some(Err(error)) if is_refused(&error) => kill_unreaped(child, fd, signal),
        Some(result) => result,
        None => kill_unreaped(child, fd, signal),
    };
    match result {
        Err(error) if is_reaped_elsewhere(&error) || error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

/// If other code has reaped the child, another process may have got the number.
fn kill_unreaped(child: &Child, fd: Option<&ExitFd>, signal: c_int) -> io::Result<()> {
    is_zombie(child, fd.map(ExitFd::as_fd))?;
    kill(child, signal)
}

/// Sends a signal to the group that a child leads, which has not been reaped here. If other code has reaped it, does
/// nothing.
pub(in crate::process) fn send_signal_to_group(
    child: &Child,
    fd: Option<&ExitFd>,
    signal: c_int,
) -> io::Result<()> {
    match is_zombie(child, fd.map(ExitFd::as_fd)) {
        Err(error) if is_reaped_elsewhere(&error) => Ok(()),
        result => result.and_then(|_| kill_group(child, signal)),
    }
}
