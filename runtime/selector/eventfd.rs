//! An eventfd(2), by which one thread makes a descriptor of another readable. Linux and Android.
//!
//! Watched by edge it need not be read: every write reports anew, and the count has room for 2^64 - 2
//! of them. When it is full all the same (somebody else wrote to it), a write says `EAGAIN` *and
//! causes no event*; it is then emptied and written again.
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
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        Ok(EventFd { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Makes it readable, with an event even if it was.
    pub(super) fn notify(&self) {
        if self.add(1).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.empty();
            // Can fail only if others filled it in between, and then their writes were the event.
            let _ = self.add(1);
        }
    }

    /// Makes it unreadable again.
    pub(super) fn empty(&self) {
        let mut count = 0u64;
        // The kernel writes eight bytes into `count`. An error means that it is empty already.
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
    use crate::runtime::selector::channel::Channel;
    use crate::runtime::selector::epoll::Epoll;
    use std::time::Duration;

    /// Whether a wait ends by an event, which a notifier keeps to itself otherwise.
    fn is_broken(epoll: &mut Epoll) -> bool {
        epoll.wait_raw(8, Some(Duration::ZERO)).unwrap() > 0
    }

    #[test]
    fn every_notification_is_an_event_though_nobody_reads() {
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
        let Channel::EventFd(eventfd) = &*epoll.channel else { panic!("it is an eventfd here") };
        eventfd.add(u64::MAX - 1).unwrap();
        assert!(is_broken(&mut epoll));
        epoll.notifier().notify();
        assert!(is_broken(&mut epoll));
    }
}
