//! select, level-triggered. Every Unix. See select(2), pselect(2).
//!
//! - Every wait passes a set of bits for each direction to the kernel. So the cost of a wait grows with the
//!   highest descriptor, however few are ready.
//! - The sets end at `FD_SETSIZE`, which is 1024 nearly everywhere. A bit past the end would be written into
//!   unrelated memory, so such a descriptor is refused at registration.
//! - select(2) only tells that a read or a write would not block. To learn whether the reason is a hang-up,
//!   an error or the end of the data, this file then calls poll(2) for the few descriptors that were found.
//! - One descriptor that is not open makes the whole wait fail (`EBADF`). Such descriptors are then searched
//!   for, reported once as closed in both directions, and removed.
//! - Copies of large sets may fail with `ENOMEM`. Then every descriptor counts as ready, after a backoff.
//! - `pselect` takes nanoseconds.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::deregistrar::RemovedFds;
use super::event::{BROKEN, Event, READABLE, WRITABLE};
use super::notifier::NotifierFd;
use super::poll::{HALF_CLOSED, translate};
use super::timeout::backoff;
use super::{Deregistrar, Notifier, file, syscall};
use crate::runtime::io::interest::Interest;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The sets that are passed to the kernel, and the state that belongs to them.
pub(crate) struct Select {
    notifier_fd: Arc<NotifierFd>,
    removed_fds: Arc<RemovedFds>,
    /// The keys of the descriptors, by descriptor number.
    keys: Vec<Option<u64>>,
    read: FdSet,
    write: FdSet,
    /// One past the highest descriptor that is in a set, or was: the kernel stops there.
    end: usize,
    /// The descriptor at which the next search begins, so that no descriptor is always the last.
    next: usize,
    /// The descriptors that the latest search found, as the list for poll(2).
    found: Vec<libc::pollfd>,
}

/// One word of a set, as the C library of this system has it.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "dragonfly"))]
type Word = libc::c_ulong;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "dragonfly")))]
type Word = u32;

const SIZE: usize = libc::FD_SETSIZE;
const BITS: usize = Word::BITS as usize;

/// A set of descriptors below `SIZE`. It is `fd_set`, whose `FD_SET` does not check the bounds.
#[derive(Clone, Copy)]
#[repr(C)]
struct FdSet([Word; SIZE / BITS]);

const _: () = assert!(size_of::<FdSet>() == size_of::<libc::fd_set>());
const _: () = assert!(align_of::<FdSet>() >= align_of::<libc::fd_set>());

impl Select {
    pub(super) fn new() -> io::Result<Select> {
        let notifier_fd = Arc::new(NotifierFd::new()?);
        let fd = notifier_fd.as_fd().as_raw_fd();
        let mut select = Select {
            notifier_fd,
            removed_fds: Arc::default(),
            keys: vec![None; SIZE],
            read: FdSet::EMPTY,
            write: FdSet::EMPTY,
            end: 0,
            next: 0,
            found: Vec::new(),
        };
        refuse_above(fd)?;
        select.put(fd as usize, true, false);
        Ok(select)
    }

    pub(super) fn deregistrar(&self) -> Deregistrar {
        Deregistrar::Listed(self.removed_fds.clone(), self.notifier())
    }

    pub(super) fn notifier(&self) -> Notifier {
        Notifier::of_fd(self.notifier_fd.clone())
    }

    pub(super) fn register(
        &mut self,
        fd: BorrowedFd<'_>,
        key: u64,
        interest: Option<Interest>,
    ) -> io::Result<()> {
        self.apply_removed_fds();
        refuse_above(fd.as_raw_fd())?;
        let index = fd.as_raw_fd() as usize;
        if self.keys[index].is_some() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        file::refuse(fd)?;
        self.set(index, key, interest);
        Ok(())
    }

    pub(super) fn modify(&mut self, fd: RawFd, key: u64, interest: Option<Interest>) -> io::Result<()> {
        self.apply_removed_fds();
        let index = self.find(fd)?;
        self.set(index, key, interest);
        Ok(())
    }

    pub(super) fn deregister(&mut self, fd: RawFd) -> io::Result<()> {
        self.apply_removed_fds();
        let index = self.find(fd)?;
        self.remove_fd(index);
        Ok(())
    }

    /// Waits, and hands out at most `room` events.
    pub(super) fn wait(
        &mut self,
        room: usize,
        timeout: Option<Duration>,
        mut each: impl FnMut(Event),
    ) -> io::Result<()> {
        self.apply_removed_fds();
        let (mut read, mut write) = (self.read, self.write);
        match self.select(&mut read, &mut write, timeout) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => return Ok(()),
                Some(libc::EBADF) => return self.report_closed(room, each),
                // The call has left the sets unchanged, so every descriptor counts as ready, because only an
                // operation can tell. Back off, so that this does not become a busy loop.
                Some(libc::ENOMEM | libc::EAGAIN) => thread::sleep(backoff(timeout)),
                _ => return Err(error),
            },
        }
        let notifier_fd = self.notifier_fd.as_fd().as_raw_fd() as usize;
        if read.contains(notifier_fd) {
            self.notifier_fd.empty();
            read.remove(notifier_fd);
        }
        let from = self.next.min(self.end);
        self.found.clear();
        for range in [from..self.end, 0..from] {
            let mut fd = range.start;
            while self.found.len() < room
                && let Some(found) = read.next_of_either(&write, fd..range.end)
            {
                fd = found + 1;
                self.next = fd;
                let events = if read.contains(found) { HALF_CLOSED } else { 0 };
                self.found.push(libc::pollfd { fd: found as RawFd, events, revents: 0 });
            }
        }
        // If this call fails, the answer is zero for each. A descriptor that is not open is reported by the
        // next wait.
        let _ = syscall!(poll(self.found.as_mut_ptr(), self.found.len() as _, 0));
        for found in &self.found {
            let fd = found.fd as usize;
            let flags = if read.contains(fd) { READABLE } else { 0 }
                | if write.contains(fd) { WRITABLE } else { 0 }
                | translate(found.revents & !libc::POLLNVAL);
            if let Some(key) = self.keys[fd] {
                each(Event::new(key, flags));
            }
        }
        Ok(())
    }

    fn select(&self, read: &mut FdSet, write: &mut FdSet, timeout: Option<Duration>) -> io::Result<i32> {
        let timespec = timeout.map(super::timeout::timespec);
        let timespec = timespec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // The kernel reads and writes the bits below `end` in two sets that have the size of `fd_set`, reads
        // the timeout, and takes the nulls for "no set of exceptions" and "no signal mask".
        syscall!(pselect(
            self.end as i32,
            std::ptr::from_mut(read).cast(),
            std::ptr::from_mut(write).cast(),
            std::ptr::null_mut(),
            timespec,
            std::ptr::null(),
        ))
    }

    /// Searches for the descriptors that are not open, reports them and removes them. If there are more than
    /// `room`, the next wait fails again and calls this again. If there are none, the descriptor was one that
    /// another thread has just removed.
    #[cold]
    fn report_closed(&mut self, room: usize, mut each: impl FnMut(Event)) -> io::Result<()> {
        self.apply_removed_fds();
        let mut left = room;
        let mut from = 0;
        while left > 0
            && let Some(fd) = self.read.next_of_either(&self.write, from..self.end)
        {
            from = fd + 1;
            // Only numbers are passed.
            let flags = syscall!(fcntl(fd as RawFd, libc::F_GETFD));
            if flags.is_err_and(|error| error.raw_os_error() == Some(libc::EBADF)) {
                match self.keys[fd] {
                    Some(key) => each(Event::new(key, BROKEN)),
                    // The notifier's descriptor is closed, so the selector can no longer be notified.
                    None => return Err(io::Error::from_raw_os_error(libc::EBADF)),
                }
                self.remove_fd(fd);
                left -= 1;
            }
        }
        Ok(())
    }

    fn find(&self, fd: RawFd) -> io::Result<usize> {
        let index = fd as usize;
        match self.keys.get(index) {
            Some(Some(_)) => Ok(index),
            _ => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        }
    }

    fn set(&mut self, fd: usize, key: u64, interest: Option<Interest>) {
        self.keys[fd] = Some(key);
        self.put(
            fd,
            interest.is_some_and(Interest::is_readable),
            interest.is_some_and(Interest::is_writable),
        );
    }

    fn remove_fd(&mut self, fd: usize) {
        self.keys[fd] = None;
        self.put(fd, false, false);
    }

    fn put(&mut self, fd: usize, read: bool, write: bool) {
        if read {
            self.read.insert(fd)
        } else {
            self.read.remove(fd)
        }
        if write {
            self.write.insert(fd)
        } else {
            self.write.remove(fd)
        }
        if read || write {
            self.end = self.end.max(fd + 1);
        } else if fd + 1 == self.end {
            // The notifier's descriptor is always in a set, so this loop ends.
            while !self.read.contains(self.end - 1) && !self.write.contains(self.end - 1) {
                self.end -= 1;
            }
        }
    }

    fn apply_removed_fds(&mut self) {
        for fd in self.removed_fds.take() {
            if let Ok(index) = self.find(fd) {
                self.remove_fd(index);
            }
        }
    }
}

/// Refuses a descriptor for which the sets have no bit.
fn refuse_above(fd: RawFd) -> io::Result<()> {
    if usize::try_from(fd).is_ok_and(|fd| fd < SIZE) {
        return Ok(());
    }
    let message = format!(
        "select watches only descriptors below FD_SETSIZE, {SIZE}, and this is {fd}: \
         use poll, epoll or kqueue"
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

impl FdSet {
    const EMPTY: FdSet = FdSet([0; SIZE / BITS]);

    /// Inserts a descriptor. Panics if it is past the end of the set, as the next two methods do.
    fn insert(&mut self, fd: usize) {
        self.0[fd / BITS] |= 1 << (fd % BITS);
    }

    fn remove(&mut self, fd: usize) {
        self.0[fd / BITS] &= !(1 << (fd % BITS));
    }

    fn contains(&self, fd: usize) -> bool {
        self.0[fd / BITS] >> (fd % BITS) & 1 != 0
    }

    /// Returns the first descriptor of a range that is in this set or in the other one.
    fn next_of_either(&self, other: &FdSet, range: std::ops::Range<usize>) -> Option<usize> {
        let mut fd = range.start;
        while fd < range.end {
            let word = (self.0[fd / BITS] | other.0[fd / BITS]) >> (fd % BITS);
            if word != 0 {
                let found = fd + word.trailing_zeros() as usize;
                return (found < range.end).then_some(found);
            }
            fd = (fd / BITS + 1) * BITS;
        }
        None
    }
}
