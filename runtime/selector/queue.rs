//! A kqueue: the descriptor, and the calls that are made on it. See kqueue(2).
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::kevent::{self, Kevent};
use super::kqueue::{Kernel, Kqueue, remove};
use super::notifier::Channel;
use super::timeout::timespec;
use super::{Deregistrar, NOTIFIER_KEY, Notifier, syscall};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use libc as raw;

/// The calls, as libkqueue's `sys/event.h` declares them.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod raw {
    use crate::runtime::selector::libkqueue::kevent;

    #[link(name = "kqueue")]
    // SAFETY: as declared there.
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
        // SAFETY: takes nothing, and gives a descriptor or -1.
        let fd = unsafe { raw::kqueue() };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // A number goes in and a number comes out. A forked child has no kqueue of its parent's, but
        // one that was executed has the number.
        syscall!(fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC))?;
        Ok(KqueueFd { fd })
    }

    /// Takes a descriptor out, from any thread. `ENOENT` if it was not in.
    pub(super) fn remove(&self, fd: RawFd) -> io::Result<()> {
        remove(self, fd)
    }

    /// Triggers the event of its own.
    pub(super) fn notify(&self) {
        if let Some(user) = kevent::USER {
            let trigger = Kevent::new(0, user, 0, NOTIFIER_KEY).with_fflags(kevent::TRIGGER);
            // Can fail only if the kernel has no memory for a copy of the change.
            let _ = self.kevent(&[trigger], &mut [], Some(Duration::ZERO));
        }
    }

    fn has_own_event(&self) -> bool {
        let Some(user) = kevent::USER else { return false };
        let add = Kevent::new(0, user, kevent::ADD | kevent::CLEAR, NOTIFIER_KEY);
        self.kevent(&[add], &mut [], Some(Duration::ZERO)).is_ok()
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
        // SAFETY: `Kevent` is the C structure and nothing else; the kernel reads as many changes and
        // writes at most as many events as there are, and reads the time.
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
    /// Where a kqueue has no event of its own, a pipe is watched.
    pub(super) fn new(room: usize) -> io::Result<Kqueue<KqueueFd>> {
        let queue = KqueueFd::new()?;
        if queue.has_own_event() {
            return Ok(Kqueue::on(queue, room, None));
        }
        let channel = Arc::new(Channel::new()?);
        let fd = channel.as_fd().as_raw_fd() as usize;
        let add = Kevent::new(fd, kevent::READ, kevent::ADD | kevent::CLEAR, NOTIFIER_KEY);
        queue.kevent(&[add], &mut [], Some(Duration::ZERO))?;
        Ok(Kqueue::on(queue, room, Some(channel)))
    }

    pub(super) fn deregistrar(&self) -> Deregistrar {
        Deregistrar::Kqueue(self.kernel.clone(), self.departures.clone())
    }

    pub(super) fn notifier(&self) -> Notifier {
        match &self.channel {
            Some(channel) => Notifier::of_channel(channel.clone()),
            None => Notifier::of_queue(self.kernel.clone()),
        }
    }
}
