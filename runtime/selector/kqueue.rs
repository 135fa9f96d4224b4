//! kqueue, edge-triggered. macOS, iOS and the BSDs. See kqueue(2).
//!
//! - Each direction is a separate *filter* with `EV_CLEAR`: each change is reported once, and adding a filter
//!   again reports readiness again.
//! - `EV_EOF` is reported while there is still data to read. The amount is not used here, because reads
//!   continue until the end of file. For a write it means that there is no reader left.
//! - `EV_RECEIPT` requests a separate answer for every change. Without it the first failure ends the call and
//!   the remaining changes are not made, or the call returns events for which there is no room.
//! - If a call that makes changes fails with `EINTR`, the changes have been made (FreeBSD's man page says so).
//! - Adding a filter to a pipe whose other end is closed fails with `EPIPE` (macOS 10.10 and 10.11, see
//!   tokio-rs/mio#582; FreeBSD's `pipe_kqfilter` for writes). That is readiness, and is reported as an event
//!   of the next wait.
//! - A filter disappears when its descriptor is closed. Deleting it then fails with `ENOENT`.
//! - kqueue accepts regular files, and accepts a filter that is registered already. Both are refused here, as
//!   on the other selectors.
//! - Closing a descriptor removes its filters, even if a `dup` of it is open.
//!
//! The code in this file makes no system call itself, so its tests run on every system, with a fake kernel
//! that answers as a test requires.

use super::deregistrar::RemovedFds;
use super::event::{BROKEN, Event, READ_CLOSED, READABLE, WRITABLE, WRITE_CLOSED};
use super::kevent::{self, Filter, Flags, Kevent};
use super::notifier::NotifierFd;
use super::timeout::backoff;
use super::{NOTIFIER_KEY, file};
use crate::runtime::io::interest::Interest;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The only kernel function that this file needs: kevent(2).
pub(super) trait Kernel {
    fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        timeout: Option<Duration>,
    ) -> io::Result<usize>;
}

/// A kqueue, and the buffer for the events of one wait.
pub(crate) struct Kqueue<K = super::KqueueFd> {
    pub(super) kernel: Arc<K>,
    /// The descriptor of the notifier, unless the notifier is a user event of the kqueue.
    pub(super) notifier_fd: Option<Arc<NotifierFd>>,
    pub(super) removed_fds: Arc<RemovedFds>,
    /// For each descriptor number: whether it is registered, and its filters.
    known: Vec<u8>,
    /// Events that the kernel reported in the answers to changes. The next wait returns them.
    pending: Vec<Event>,
    events: Vec<Kevent>,
    /// True if the latest wait has returned as many events as it had room for.
    is_full: bool,
}

const KNOWN: u8 = 1;
const READS: u8 = 2;
const WRITES: u8 = 4;

/// The filters, each with its bit in `known`.
const FILTERS: [(u8, Filter); 2] = [(READS, kevent::READ), (WRITES, kevent::WRITE)];

impl<K: Kernel> Kqueue<K> {
    pub(super) fn on(kernel: K, room: usize, notifier_fd: Option<Arc<NotifierFd>>) -> Kqueue<K> {
        Kqueue {
            kernel: Arc::new(kernel),
            notifier_fd,
            removed_fds: Arc::default(),
            known: Vec::new(),
            pending: Vec::new(),
            events: vec![no_event(); room],
            is_full: false,
        }
    }

    pub(super) fn register(
        &mut self,
        fd: BorrowedFd<'_>,
        key: u64,
        interest: Option<Interest>,
    ) -> io::Result<()> {
        self.apply_removed_fds();
        let number = fd.as_raw_fd();
        if self.is_registered(number) {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        file::refuse(fd)?;
        self.set_known(number, 0);
        self.change(number, key, interest).inspect_err(|_| {
            // One of the two filters may have been added.
            let _ = remove(&*self.kernel, number);
            self.set_known(number, 0);
        })
    }

    pub(super) fn modify(&mut self, fd: RawFd, key: u64, interest: Option<Interest>) -> io::Result<()> {
        self.apply_removed_fds();
        if self.known(fd) == 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        self.change(fd, key, interest)
    }

    pub(super) fn deregister(&mut self, fd: RawFd) -> io::Result<()> {
        self.apply_removed_fds();
        if self.known(fd) == 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let result = self.change(fd, 0, None);
        self.set_known(fd, 0);
        result
    }

    /// Waits, and hands out at most `room` events.
    #[inline]
    pub(super) fn wait(
        &mut self,
        room: usize,
        timeout: Option<Duration>,
        mut each: impl FnMut(Event),
    ) -> io::Result<()> {
        if !self.pending.is_empty() {
            let count = self.pending.len().min(room);
            self.pending.drain(..count).for_each(each);
            // The kernel has not been asked.
            self.is_full = true;
            return Ok(());
        }
        let room = room.min(i32::MAX as usize);
        if room > self.events.len() {
            self.events.resize(room, no_event());
        }
        let ready = match self.kernel.kevent(&[], &mut self.events[..room], timeout) {
            Ok(ready) => ready,
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => 0,
                // No event is lost: the kernel reports them when there is memory again.
                Some(libc::ENOMEM | libc::EAGAIN) => {
                    thread::sleep(backoff(timeout));
                    0
                }
                _ => return Err(error),
            },
        };
        self.is_full = ready == room;
        for event in &self.events[..ready] {
            if event.key() != NOTIFIER_KEY {
                each(translate(event));
            } else if let Some(notifier_fd) = &self.notifier_fd {
                notifier_fd.empty();
            }
        }
        Ok(())
    }

    /// Returns true if there may be events that the latest wait has left for the next one, or if there are some that
    /// the kernel has reported since.
    pub(super) fn has_more(&self) -> bool {
        self.is_full || !self.pending.is_empty()
    }

    /// Changes the filters of a descriptor from the present ones to those of `interest`.
    fn change(&mut self, fd: RawFd, key: u64, interest: Option<Interest>) -> io::Result<()> {
        let wanted = filters(interest);
        let (changes, count) = changes(fd, key, self.known(fd), wanted);
        self.set_known(fd, KNOWN | wanted);
        if count == 0 {
            return Ok(());
        }
        let mut answers = changes;
        let count = match self.kernel.kevent(&changes[..count], &mut answers[..count], Some(Duration::ZERO)) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        let mut result = Ok(());
        for answer in &answers[..count] {
            if !answer.has(kevent::ERROR) {
                // This is not an answer but an event, from a kernel that does not know `EV_RECEIPT`.
                if answer.key() != NOTIFIER_KEY {
                    self.pending.push(translate(answer));
                }
                continue;
            }
            let is_wanted = wanted & bit(answer.filter()) != 0;
            match answer.errno() {
                0 => {}
                libc::EPIPE if is_wanted => self.pending.push(Event::new(key, BROKEN)),
                libc::ENOENT if !is_wanted => {}
                errno if result.is_ok() => result = Err(io::Error::from_raw_os_error(errno)),
                _ => {}
            }
        }
        result
    }

    /// Returns true if a descriptor is registered. A descriptor that is known may have been closed, which
    /// removed its filters, and its number may have been reused by now. So this asks the kernel.
    fn is_registered(&self, fd: RawFd) -> bool {
        let known = self.known(fd);
        let Some((_, filter)) = FILTERS.into_iter().find(|(bit, _)| known & bit != 0) else {
            return known != 0;
        };
        let ask = [Kevent::new(fd as usize, filter, kevent::ENABLE | kevent::RECEIPT, 0)];
        let mut answer = ask;
        match self.kernel.kevent(&ask, &mut answer, Some(Duration::ZERO)) {
            Ok(1) => !(answer[0].has(kevent::ERROR) && answer[0].errno() == libc::ENOENT),
            _ => true,
        }
    }

    fn known(&self, fd: RawFd) -> u8 {
        self.known.get(fd as usize).copied().unwrap_or(0)
    }

    fn set_known(&mut self, fd: RawFd, known: u8) {
        let index = fd as usize;
        if index >= self.known.len() {
            self.known.resize(index + 1, 0);
        }
        self.known[index] = known;
    }

    fn apply_removed_fds(&mut self) {
        for fd in self.removed_fds.take() {
            self.set_known(fd, 0);
        }
    }
}

/// Deletes both filters of a descriptor, whether it is known or not. Fails with `ENOENT` if there were none.
pub(super) fn remove(kernel: &impl Kernel, fd: RawFd) -> io::Result<()> {
    let (changes, _) = changes(fd, 0, READS | WRITES, 0);
    let mut answers = changes;
    let count = match kernel.kevent(&changes, &mut answers, Some(Duration::ZERO)) {
        Ok(count) => count,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
        Err(error) => return Err(error),
    };
    let errors = answers[..count].iter().filter(|answer| answer.has(kevent::ERROR) && answer.errno() != 0);
    let errors: Vec<i32> = errors.map(Kevent::errno).collect();
    match errors.iter().find(|errno| **errno != libc::ENOENT) {
        Some(errno) => Err(io::Error::from_raw_os_error(*errno)),
        None if errors.len() == changes.len() => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        None => Ok(()),
    }
}

/// Returns the changes that replace the filters `from` by `to`, and their number. A filter that stays is
/// added again, so that readiness is reported again.
fn changes(fd: RawFd, key: u64, from: u8, to: u8) -> ([Kevent; 2], usize) {
    let mut changes = [no_event(); 2];
    let mut count = 0;
    for (bit, filter) in FILTERS {
        let flags: Flags = match (from & bit != 0, to & bit != 0) {
            (_, true) => kevent::ADD | kevent::CLEAR,
            (true, false) => kevent::DELETE,
            (false, false) => continue,
        };
        changes[count] = Kevent::new(fd as usize, filter, flags | kevent::RECEIPT, key);
        count += 1;
    }
    (changes, count)
}

fn filters(interest: Option<Interest>) -> u8 {
    let reads = if interest.is_some_and(Interest::is_readable) { READS } else { 0 };
    let writes = if interest.is_some_and(Interest::is_writable) { WRITES } else { 0 };
    reads | writes
}

fn bit(filter: Filter) -> u8 {
    FILTERS.into_iter().find(|(_, of)| *of == filter).map_or(0, |(bit, _)| bit)
}

fn no_event() -> Kevent {
    Kevent::new(0, kevent::READ, 0, 0)
}

/// Translates an event of kevent(2). An error can be collected in either direction, so it counts as both.
#[inline]
fn translate(event: &Kevent) -> Event {
    let is_end = event.has(kevent::EOF);
    let flags = match event.filter() {
        _ if event.has(kevent::ERROR) => BROKEN,
        kevent::READ if is_end => READABLE | READ_CLOSED,
        kevent::READ => READABLE,
        kevent::WRITE if is_end => WRITABLE | WRITE_CLOSED,
        kevent::WRITE => WRITABLE,
        _ => 0,
    };
    Event::new(event.key(), flags)
}

#[cfg(test)]
#[path = "kqueue_tests.rs"]
mod tests;
