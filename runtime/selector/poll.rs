//! poll, level-triggered. Every Unix. See poll(2), ppoll(2).
//!
//! - The set is a list in this process, and every wait passes the whole list to the kernel. So the cost of a
//!   wait grows with the number of descriptors, however few are ready.
//! - Hang-up and error are reported even without interest. So a descriptor without interest is in the list as
//!   -1, which poll(2) ignores.
//! - A descriptor that was closed while it was watched gives `POLLNVAL` in every wait. It is reported once,
//!   as closed in both directions, and then removed. If its number has been reused by then, the new
//!   descriptor is watched under the old key.
//! - A list longer than `RLIMIT_NOFILE` gives `EINVAL`. That limit may be lowered while more descriptors than
//!   it allows are open. A long list may also give `ENOMEM`, or `EAGAIN` on other systems. The list is then
//!   passed to the kernel in pieces.
//! - `ppoll` takes nanoseconds. macOS has only `poll`, with whole milliseconds rounded up. Its poll did not
//!   support terminals for a long time (`POLLNVAL`, see BUGS in its man page), but its select does.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::deregistrar::RemovedFds;
use super::event::{BROKEN, Event, READ_CLOSED, READABLE, WRITABLE};
use super::notifier::NotifierFd;
use super::timeout::backoff;
use super::{Deregistrar, Notifier, file, syscall};
use crate::runtime::io::interest::Interest;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The list that is passed to the kernel, and the state that belongs to it.
pub(crate) struct Poll {
    notifier_fd: Arc<NotifierFd>,
    removed_fds: Arc<RemovedFds>,
    /// The notifier's descriptor, followed by the others in no particular order.
    list: Vec<libc::pollfd>,
    /// For each entry of the list: its descriptor and key.
    watched: Vec<WatchedFd>,
    /// For each descriptor number: its position in the list. Zero, the position of the notifier's descriptor,
    /// means that it is not in the list.
    places: Vec<u32>,
    /// The position at which the next search begins, so that no descriptor is always the last.
    next: usize,
}

#[derive(Clone, Copy)]
struct WatchedFd {
    fd: RawFd,
    key: u64,
}

/// Set when the peer has shut down its side, which Linux distinguishes from data.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const HALF_CLOSED: i16 = libc::POLLRDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const HALF_CLOSED: i16 = 0;

/// The position of the notifier's descriptor in the list.
const NOTIFIER_PLACE: usize = 0;

impl Poll {
    pub(super) fn new() -> io::Result<Poll> {
        let notifier_fd = Arc::new(NotifierFd::new()?);
        let fd = notifier_fd.as_fd().as_raw_fd();
        Ok(Poll {
            list: vec![libc::pollfd { fd, events: libc::POLLIN, revents: 0 }],
            watched: vec![WatchedFd { fd, key: super::NOTIFIER_KEY }],
            notifier_fd,
            removed_fds: Arc::default(),
            places: Vec::new(),
            next: NOTIFIER_PLACE + 1,
        })
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
        if self.place(fd.as_raw_fd()).is_some() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        file::refuse(fd)?;
        let fd = fd.as_raw_fd();
        if fd as usize >= self.places.len() {
            self.places.resize(fd as usize + 1, 0);
        }
        self.places[fd as usize] = self.list.len() as u32;
        self.list.push(pollfd(fd, interest));
        self.watched.push(WatchedFd { fd, key });
        Ok(())
    }

    pub(super) fn modify(&mut self, fd: RawFd, key: u64, interest: Option<Interest>) -> io::Result<()> {
        self.apply_removed_fds();
        let place = self.place(fd).ok_or_else(unknown)?;
        self.list[place] = pollfd(fd, interest);
        self.watched[place].key = key;
        Ok(())
    }

    pub(super) fn deregister(&mut self, fd: RawFd) -> io::Result<()> {
        self.apply_removed_fds();
        if self.remove_fd(fd) { Ok(()) } else { Err(unknown()) }
    }

    /// Waits, and hands out at most `room` events.
    pub(super) fn wait(
        &mut self,
        room: usize,
        timeout: Option<Duration>,
        mut each: impl FnMut(Event),
    ) -> io::Result<()> {
        self.apply_removed_fds();
        let mut left = match ask(&mut self.list, timeout) {
            Ok(ready) => ready as usize,
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => 0,
                Some(libc::EINVAL | libc::ENOMEM | libc::EAGAIN) => ask_in_pieces(&mut self.list, timeout),
                _ => return Err(error),
            },
        };
        if left > 0 && self.list[NOTIFIER_PLACE].revents != 0 {
            self.notifier_fd.empty();
            left -= 1;
        }
        left = left.min(room);
        let from = self.next.clamp(NOTIFIER_PLACE + 1, self.list.len());
        let mut closed = Vec::new();
        for place in (from..self.list.len()).chain(NOTIFIER_PLACE + 1..from) {
            if left == 0 {
                break;
            }
            let revents = self.list[place].revents;
            if revents == 0 {
                continue;
            }
            left -= 1;
            self.next = place + 1;
            let WatchedFd { fd, key } = self.watched[place];
            if revents & libc::POLLNVAL != 0 {
                closed.push(fd);
            }
            each(Event::new(key, translate(revents)));
        }
        // Remove them only after the search, because a removal moves entries.
        for fd in closed {
            self.remove_fd(fd);
        }
        Ok(())
    }

    fn place(&self, fd: RawFd) -> Option<usize> {
        let place = *self.places.get(usize::try_from(fd).ok()?)? as usize;
        (place != NOTIFIER_PLACE).then_some(place)
    }

    /// Removes a descriptor. Returns false if it was not registered.
    fn remove_fd(&mut self, fd: RawFd) -> bool {
        let Some(place) = self.place(fd) else { return false };
        self.places[fd as usize] = NOTIFIER_PLACE as u32;
        self.list.swap_remove(place);
        self.watched.swap_remove(place);
        if let Some(moved) = self.watched.get(place) {
            self.places[moved.fd as usize] = place as u32;
        }
        true
    }

    fn apply_removed_fds(&mut self) {
        for fd in self.removed_fds.take() {
            self.remove_fd(fd);
        }
    }
}

/// Asks the kernel what one descriptor is ready for, without waiting. Returns flags of [`Event`].
pub(crate) fn readiness_now(fd: BorrowedFd<'_>) -> io::Result<u8> {
    let mut entry = [pollfd(fd.as_raw_fd(), Some(Interest::READABLE | Interest::WRITABLE))];
    ask(&mut entry, Some(Duration::ZERO))?;
    Ok(translate(entry[0].revents))
}

/// Makes one system call. It stores the readiness in the list. Returns the number of entries that are ready.
#[cfg(not(any(target_vendor = "apple", target_os = "netbsd")))]
fn ask(list: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<i32> {
    let timespec = timeout.map(super::timeout::timespec);
    let timespec = timespec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // The kernel reads and writes as many entries as the list has, reads the timeout, and takes the null for
    // "no signal mask".
    syscall!(ppoll(list.as_mut_ptr(), list.len() as _, timespec, std::ptr::null()))
}

/// Does the same as with `ppoll`, a name that NetBSD has only since 10.0.
#[cfg(target_os = "netbsd")]
fn ask(list: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<i32> {
    let timespec = timeout.map(super::timeout::timespec);
    let timespec = timespec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // The arguments are used as by `ppoll`.
    syscall!(pollts(list.as_mut_ptr(), list.len() as _, timespec, std::ptr::null()))
}

#[cfg(target_vendor = "apple")]
fn ask(list: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<i32> {
    let timeout = super::timeout::milliseconds(timeout);
    // The kernel reads and writes as many entries as the list has.
    syscall!(poll(list.as_mut_ptr(), list.len() as _, timeout))
}

/// Waits as [`ask`] does, with a list that the kernel does not accept as a whole. Only the beginning of the
/// list, which contains the notifier's descriptor, can be waited for. The wait is short, since meanwhile the
/// rest of the list is not checked.
#[cold]
fn ask_in_pieces(list: &mut [libc::pollfd], timeout: Option<Duration>) -> usize {
    let (ready, size) = look(list);
    if ready > 0 && size > 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
        return ready;
    }
    let backoff = backoff(timeout);
    let waited = if size > 0 { ask(&mut list[..size], Some(backoff)).map(drop) } else { Err(unknown()) };
    if waited.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
        thread::sleep(backoff);
    }
    look(list).0
}

/// Checks the whole list, in pieces as large as the kernel accepts. Returns the number of entries that are
/// ready, and the size of the pieces. The size is zero if the kernel does not accept even one entry (a limit
/// of zero forbids a process to open anything more). Then every entry counts as ready, because only an
/// operation can tell.
fn look(list: &mut [libc::pollfd]) -> (usize, usize) {
    let (mut ready, mut size, mut from) = (0, list.len(), 0);
    while from < list.len() {
        let end = list.len().min(from + size.max(1));
        let piece = &mut list[from..end];
        match ask(piece, Some(Duration::ZERO)) {
            Ok(count) => ready += count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) if size > 1 => {
                size /= 2;
                continue;
            }
            Err(_) => {
                size = 0;
                piece[0].revents = piece[0].events & (libc::POLLIN | libc::POLLOUT);
                ready += usize::from(piece[0].revents != 0);
            }
        }
        from = end;
    }
    (ready, size)
}

fn unknown() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

fn pollfd(fd: RawFd, interest: Option<Interest>) -> libc::pollfd {
    let Some(interest) = interest else {
        return libc::pollfd { fd: -1, events: 0, revents: 0 };
    };
    let mut events = 0;
    if interest.is_readable() {
        events |= libc::POLLIN | HALF_CLOSED;
    }
    if interest.is_writable() {
        events |= libc::POLLOUT;
    }
    libc::pollfd { fd, events, revents: 0 }
}

/// Translates poll's flags. Hang-up and error count as both directions, so that every waiting task learns of
/// them.
pub(super) fn translate(revents: i16) -> u8 {
    let flag = |mask: i16, flag: u8| if revents & mask != 0 { flag } else { 0 };
    flag(libc::POLLIN, READABLE)
        | flag(libc::POLLOUT, WRITABLE)
        | flag(HALF_CLOSED, READABLE | READ_CLOSED)
        | flag(libc::POLLHUP | libc::POLLERR | libc::POLLNVAL, BROKEN)
}
