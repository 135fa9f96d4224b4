//! An eventfd(2) with which one thread makes a descriptor of another thread readable. Linux and Android.
//!
//! If it is watched edge-triggered it need not be read: every write causes an event, and the counter has room
//! for 2^64 - 2 writes. If the counter is full nevertheless (because other code wrote to it), a write fails
//! with `EAGAIN` *and causes no event*. The counter is then emptied and written again.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::syscall;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub(crate) struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    pub(super) fn new() -> io::Result<EventFd> {
        let fd = syscall!(eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        // SAFETY: the call has just created this descriptor, and nothing else owns it.
        Ok(EventFd { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Makes the eventfd readable, and causes an event even if it was readable already.
    pub(super) fn notify(&self) {
        if self.add(1).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.empty();
            // This fails only if other code filled the counter in between, and then its writes caused the event.
            let _ = self.add(1);
        }
    }

    /// Makes the eventfd unreadable again.
    pub(super) fn empty(&self) {
        let mut count = 0u64;
        // The kernel writes eight bytes into `count`. An error means that the eventfd is empty already.
        let _ = syscall!(read(self.fd.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()));
    }

    fn add(&self, count: u64) -> io::Result<()> {
        loop {
            // The kernel reads eight bytes from `count`.
            match syscall!(write(self.fd.as_raw_fd(), (&raw const count).cast(), size_of::<u64>())) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(drop),
            }
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::selector::epoll::Epoll;
    use crate::runtime::selector::notifier_fd::NotifierFd;
    use std::time::Duration;

    /// Returns true if a wait ends because of an event. Otherwise the selector hides the event of the notifier.
    fn is_broken(epoll: &mut Epoll) -> bool {
        epoll.wait_raw(8, Some(Duration::ZERO)).unwrap() > 0
    }

    #[test]
    fn every_notification_is_an_event_even_if_it_is_never_read() {
        let mut epoll = Epoll::edge(8).unwrap();
        let notifier = epoll.notifier();
        for _ in 0..5 {
            assert!(!is_broken(&mut epoll));
            notifier.notify();
            assert!(is_broken(&mut epoll));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "blocks under Miri, which has no saturated eventfd")]
    fn a_full_counter_loses_no_notification() {
        let mut epoll = Epoll::edge(8).unwrap();
        let NotifierFd::EventFd(eventfd) = &*epoll.notifier_fd else { panic!("it is an eventfd here") };
        eventfd.add(u64::MAX - 1).unwrap();
        assert!(is_broken(&mut epoll));
        epoll.notifier().notify();
        assert!(is_broken(&mut epoll));
    }
}
