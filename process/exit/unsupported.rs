//! Android, where the sandbox of an application may end a process that asks for a pidfd: its children are watched by
//! `SIGCHLD`.

use super::is_reaped_elsewhere;
use super::kill::{kill, kill_group};
use super::zombie::is_zombie;
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ExitStatus};

/// There is none.
pub(in crate::process) enum ExitFd {}

impl ExitFd {
    pub(super) fn open(_process: u32) -> io::Result<ExitFd> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

impl AsFd for ExitFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

/// Reaps a child if it has ended.
pub(in crate::process) fn reap(child: &mut Child, _fd: Option<&ExitFd>) -> io::Result<Option<ExitStatus>> {
    if is_zombie(child, None)? { child.try_wait() } else { Ok(None) }
}

/// Sends a signal to a child that has not been reaped here. If other code has reaped it, does nothing.
pub(in crate::process) fn send_signal(child: &Child, _fd: Option<&ExitFd>, signal: c_int) -> io::Result<()> {
    match is_zombie(child, None).and_then(|_| kill(child, signal)) {
        Err(error) if is_reaped_elsewhere(&error) || error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

/// Sends a signal to the group that a child leads, which has not been reaped here. If other code has reaped it, does
/// nothing.
pub(in crate::process) fn send_signal_to_group(
    child: &Child,
    _fd: Option<&ExitFd>,
    signal: c_int,
) -> io::Result<()> {
    match is_zombie(child, None) {
        Err(error) if is_reaped_elsewhere(&error) => Ok(()),
        result => result.and_then(|_| kill_group(child, signal)),
    }
}
