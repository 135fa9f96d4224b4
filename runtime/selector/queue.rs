//! A kqueue: its descriptor, and the system calls on it. See kqueue(2).
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::kevent::{self, Kevent};
use super::kqueue::{Kernel, Kqueue, remove};
use super::notifier::NotifierFd;
use super::timeout::timespec;
use super::{Deregistrar, NOTIFIER_KEY, Notifier, syscall};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use libc as raw;

/// The functions as libkqueue's `sys/event.h` declares them.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod raw {
    use crate::runtime::selector::libkqueue::kevent;

    #[link(name = "kqueue")]
    // SAFETY: the declarations are those of that file.
    unsafe extern "C" {
        pub(super) fn kqueue() -> libc::c_int;
        pub(super) fn kevent(
            queue: libc::c_int,
            changes: *const kevent,
            change_count: libc::c_int,
            events: *mut kevent,
            event_count: libc::c_int,
            timeout: *const libc::timespec,
        ) -> libc::c_int;
    }
}

pub(crate) struct KqueueFd {
    fd: OwnedFd,
}

impl KqueueFd {
    fn new() -> io::Result<KqueueFd> {
        // SAFETY: the call takes no arguments, and returns a descriptor or -1.
        let fd = unsafe { raw::kqueue() };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just created this descriptor, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // Only numbers are passed. A forked child does not inherit a kqueue, but a program started by exec(2)
        // has the number.
        syscall!(fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC))?;
        Ok(KqueueFd { fd })
    }

    /// Removes a descriptor, on any thread. Fails with `ENOENT` if it was not registered.
    pub(super) fn remove(&self, fd: RawFd) -> io::Result<()> {
        remove(self, fd)
    }

    /// Triggers the user event, if the kqueue has one.
    pub(super) fn notify(&self) {
        if let Some(user) = kevent::USER {
            let trigger = Kevent::new(0, user, 0, NOTIFIER_KEY).with_fflags(kevent::TRIGGER);
            // This fails only if the kernel has no memory for a copy of the change.
            let _ = self.kevent(&[trigger], &mut [], Some(Duration::ZERO));
        }
    }

    fn has_own_event(&self) -> bool {
        let Some(user) = kevent::USER else { return false };
        let add = Kevent::new(0, user, kevent::ADD | kevent::CLEAR, NOTIFIER_KEY);
        self.kevent(&[add], &mut [], Some(Duration::ZERO)).is_ok()
    }
}

impl AsFd for KqueueFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Kernel for KqueueFd {
    fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let timespec = timeout.map(timespec);
        let timespec = timespec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `Kevent` is the C structure and nothing else. The kernel reads as many changes as there
        // are, writes at most as many events as there are, and reads the timeout.
        let result = unsafe {
            raw::kevent(
                self.fd.as_raw_fd(),
                changes.as_ptr().cast(),
                changes.len() as _,
                events.as_mut_ptr().cast(),
                events.len() as _,
                timespec,
            )
        };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result as usize) }
    }
}

impl Kqueue<KqueueFd> {
    /// Creates a kqueue. If kqueues have no user event on this system, it watches a pipe instead.
    pub(super) fn new(room: usize) -> io::Result<Kqueue<KqueueFd>> {
        let queue = KqueueFd::new()?;
        if queue.has_own_event() {
            return Ok(Kqueue::on(queue, room, None));
        }
        let notifier_fd = Arc::new(NotifierFd::new()?);
        let fd = notifier_fd.as_fd().as_raw_fd() as usize;
        let add = Kevent::new(fd, kevent::READ, kevent::ADD | kevent::CLEAR, NOTIFIER_KEY);
        queue.kevent(&[add], &mut [], Some(Duration::ZERO))?;
        Ok(Kqueue::on(queue, room, Some(notifier_fd)))
    }

    pub(super) fn deregistrar(&self) -> Deregistrar {
        Deregistrar::Kqueue(self.kernel.clone(), self.removed_fds.clone())
    }

    pub(super) fn notifier(&self) -> Notifier {
        match &self.notifier_fd {
            Some(notifier_fd) => Notifier::of_fd(notifier_fd.clone()),
            None => Notifier::of_queue(self.kernel.clone()),
        }
    }
}
