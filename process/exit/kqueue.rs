//! A kqueue that watches one process (`EVFILT_PROC`, see kqueue(2)). It is readable when the process has ended, and so
//! the selector of the runtime can watch it, which may be another kqueue.
//!
//! Two quirks of `NOTE_EXIT`. The system refuses to watch a process that is ending already (`ESRCH`). And macOS reports the
//! end a moment before the process can be reaped. In both cases the end is near, so reaping waits for it.
#![expect(unsafe_code, reason = "kqueue(2), kevent(2) and waitid(2)")]

use super::is_reaped_elsewhere;
use super::kill::{kill, kill_group};
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub(in crate::process) struct ExitFd {
    queue: OwnedFd,
    /// True once the system has reported the end. It does so only once.
    has_ended: AtomicBool,
}

impl ExitFd {
    /// Watches a child that has not been reaped.
    pub(super) fn open(process: u32) -> io::Result<ExitFd> {
        // SAFETY: the call takes no arguments, and returns a descriptor or -1.
        let fd = checked(unsafe { libc::kqueue() })?;
        // SAFETY: the call has just created this descriptor, and nothing else owns it.
        let queue = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: only numbers are passed. A forked child does not inherit a kqueue, but a program that it executes would
        // have the number.
        checked(unsafe { libc::fcntl(queue.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
        let mut change = empty();
        change.ident = process as _;
        change.filter = libc::EVFILT_PROC;
        change.flags = libc::EV_ADD | libc::EV_ONESHOT;
        change.fflags = libc::NOTE_EXIT;
        // SAFETY: the kernel reads one change, and writes no events.
        let added = unsafe { libc::kevent(queue.as_raw_fd(), &change, 1, ptr::null_mut(), 0, ptr::null()) };
        let has_ended = match checked(added) {
            Ok(_) => false,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => true,
            Err(error) => return Err(error),
        };
        Ok(ExitFd { queue, has_ended: AtomicBool::new(has_ended) })
    }

    /// Returns true if the end of the process has been reported, or was near when it should have been watched.
    fn has_ended(&self) -> io::Result<bool> {
        if self.has_ended.load(Relaxed) {
            return Ok(true);
        }
        let (mut event, now) = (empty(), libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: the kernel reads no changes, reads the timeout, and writes at most one event.
        let count =
            checked(unsafe { libc::kevent(self.queue.as_raw_fd(), ptr::null(), 0, &mut event, 1, &now) })?;
        if count > 0 {
            self.has_ended.store(true, Relaxed);
        }
        Ok(count > 0)
    }
}

impl AsFd for ExitFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

/// Reaps a child if it has ended.
pub(in crate::process) fn reap(child: &mut Child, fd: Option<&ExitFd>) -> io::Result<Option<ExitStatus>> {
    match fd {
        Some(fd) if fd.has_ended()? => child.wait().map(Some),
        _ => child.try_wait(),
    }
}

/// Sends a signal to a child that has not been reaped here. If other code has reaped it, does nothing.
pub(in crate::process) fn send_signal(child: &Child, _fd: Option<&ExitFd>, signal: c_int) -> io::Result<()> {
    match check_unreaped(child).and_then(|()| kill(child, signal)) {
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
    match check_unreaped(child) {
        Err(error) if is_reaped_elsewhere(&error) => Ok(()),
        result => result.and_then(|()| kill_group(child, signal)),
    }
}

/// Fails with `ECHILD` if other code has reaped a child. Another process may then have got its number.
fn check_unreaped(child: &Child) -> io::Result<()> {
    // SAFETY: the structure consists of numbers and pointers, for which all zeros are a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        // SAFETY: the kernel writes to `info`, which has the right type.
        let result = unsafe { libc::waitid(libc::P_PID, child.id() as libc::id_t, &raw mut info, options) };
        match checked(result) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}

fn empty() -> libc::kevent {
    // SAFETY: the structure consists of numbers and a pointer, all of which may be zero.
    unsafe { std::mem::zeroed() }
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
