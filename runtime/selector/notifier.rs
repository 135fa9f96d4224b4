//! The notifier: lets another thread break the loop's wait. An eventfd(2), watched by the selector.
//!
//! It is never read in the usual course: watched by edge, every write reports anew, and the count
//! of an eventfd has room for 2^64 - 2 of them. When it is full all the same (somebody else wrote to
//! it), a write says `EAGAIN` *and causes no event*; it is then emptied and written again.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::syscall;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Breaks the wait of the selector that watches it, from any thread.
pub(crate) struct Notifier {
    fd: OwnedFd,
}

impl Notifier {
    pub(crate) fn new() -> io::Result<Notifier> {
        let fd = syscall!(eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        Ok(Notifier { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Makes the present wait, or the next one, end with an event.
    pub(crate) fn notify(&self) {
        if self.add(1).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.empty();
            // Can fail only if others filled it in between, and then their writes were the event.
            let _ = self.add(1);
        }
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

    fn empty(&self) {
        let mut count = 0u64;
        // The kernel writes eight bytes into `count`. An error means that it is empty already.
        let _ = syscall!(read(self.fd.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()));
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::selector::{NOTIFIER_TOKEN, Selector};
    use std::time::Duration;

    fn events(selector: &mut Selector) -> usize {
        selector.wait(Some(Duration::ZERO)).unwrap();
        selector.events().filter(|event| event.token == NOTIFIER_TOKEN).count()
    }

    #[test]
    fn every_notification_is_an_event_though_nobody_reads() {
        let (mut selector, notifier) = (Selector::new(8).unwrap(), Notifier::new().unwrap());
        selector.register_notifier(&notifier).unwrap();
        for _ in 0..5 {
            assert_eq!(events(&mut selector), 0);
            notifier.notify();
            assert_eq!(events(&mut selector), 1);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "blocks under Miri, which has no saturated eventfd")]
    fn a_full_counter_loses_no_notification() {
        let (mut selector, notifier) = (Selector::new(8).unwrap(), Notifier::new().unwrap());
        selector.register_notifier(&notifier).unwrap();
        notifier.add(u64::MAX - 1).unwrap();
        assert_eq!(events(&mut selector), 1);
        notifier.notify();
        assert_eq!(events(&mut selector), 1);
    }
}
