//! poll, level-triggered. Every Unix. See poll(2), ppoll(2).
//!
//! - The set is a list here, and goes to the kernel whole with every wait: the cost of a wait grows
//!   with the number of descriptors, however few are ready.
//! - Hang-up and error are reported asked or not. A descriptor of which nothing is wanted for now
//!   stands in the list as -1, which poll(2) passes over.
//! - A descriptor that was closed while it was watched is `POLLNVAL` with every wait: it is told of
//!   once, as closed in both directions, and struck off. If its number is somebody else's by then,
//!   that one is watched under the old key.
//! - `ppoll` takes nanoseconds. macOS has only `poll`, in whole milliseconds rounded up; and its poll
//!   has long known no terminals (`POLLNVAL`, see BUGS in its man page), which select does.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::event::{BROKEN, Event, READ_CLOSED, READABLE, WRITABLE};
use super::notifier::Channel;
use super::remote::Departures;
use super::{Notifier, Remote, file, syscall};
use crate::runtime::interest::Interest;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// The list that goes to the kernel, and what belongs to it.
pub(crate) struct Poll {
    channel: Arc<Channel>,
    departures: Arc<Departures>,
    /// The channel first, then the descriptors in no order.
    list: Vec<libc::pollfd>,
    /// For each entry of the list, what it stands for.
    entries: Vec<Entry>,
    /// By descriptor: where in the list it is. Zero, where the channel is, for nowhere.
    places: Vec<u32>,
    /// Where the next search begins, so that none is always the last.
    next: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    fd: RawFd,
    key: u64,
}

/// The peer has shut down its side, which Linux tells apart from data.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const HALF_CLOSED: i16 = libc::POLLRDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const HALF_CLOSED: i16 = 0;

/// The place of the channel.
const CHANNEL: usize = 0;

impl Poll {
    pub(super) fn new() -> io::Result<Poll> {
        let channel = Arc::new(Channel::new()?);
        let fd = channel.as_fd().as_raw_fd();
        Ok(Poll {
            list: vec![libc::pollfd { fd, events: libc::POLLIN, revents: 0 }],
            entries: vec![Entry { fd, key: super::NOTIFIER_KEY }],
            channel,
            departures: Arc::default(),
            places: Vec::new(),
            next: CHANNEL + 1,
        })
    }

    pub(super) fn remote(&self) -> Remote {
        Remote::Listed(self.departures.clone(), self.notifier())
    }

    pub(super) fn notifier(&self) -> Notifier {
        Notifier::of_channel(self.channel.clone())
    }

    pub(super) fn register(
        &mut self,
        fd: BorrowedFd<'_>,
        key: u64,
        interest: Option<Interest>,
    ) -> io::Result<()> {
        self.work_off_departures();
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
        self.entries.push(Entry { fd, key });
        Ok(())
    }

    pub(super) fn modify(&mut self, fd: RawFd, key: u64, interest: Option<Interest>) -> io::Result<()> {
        self.work_off_departures();
        let place = self.place(fd).ok_or_else(unknown)?;
        self.list[place] = pollfd(fd, interest);
        self.entries[place].key = key;
        Ok(())
    }

    pub(super) fn deregister(&mut self, fd: RawFd) -> io::Result<()> {
        self.work_off_departures();
        if self.strike_off(fd) { Ok(()) } else { Err(unknown()) }
    }

    /// Hands out at most `room` events.
    pub(super) fn wait(
        &mut self,
        room: usize,
        timeout: Option<Duration>,
        mut each: impl FnMut(Event),
    ) -> io::Result<()> {
        self.work_off_departures();
        let mut left = match self.poll(timeout) {
            Ok(ready) => ready as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        if left > 0 && self.list[CHANNEL].revents != 0 {
            self.channel.empty();
            left -= 1;
        }
        left = left.min(room);
        let from = self.next.clamp(CHANNEL + 1, self.list.len());
        let mut closed = Vec::new();
        for place in (from..self.list.len()).chain(CHANNEL + 1..from) {
            if left == 0 {
                break;
            }
            let revents = self.list[place].revents;
            if revents == 0 {
                continue;
            }
            left -= 1;
            self.next = place + 1;
            let Entry { fd, key } = self.entries[place];
            if revents & libc::POLLNVAL != 0 {
                closed.push(fd);
            }
            each(Event::new(key, translate(revents)));
        }
        // Not before the search is through: it moves entries.
        for fd in closed {
            self.strike_off(fd);
        }
        Ok(())
    }

    #[cfg(not(any(target_vendor = "apple", target_os = "netbsd")))]
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<i32> {
        let timespec = timeout.map(super::timeout::timespec);
        let timespec = timespec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // The kernel reads and writes as many entries as the list has, reads the time, and takes the
        // null for "no signal mask".
        syscall!(ppoll(self.list.as_mut_ptr(), self.list.len() as _, timespec, std::ptr::null()))
    }

    /// As `ppoll`, which NetBSD has by that name since 10.0.
    #[cfg(target_os = "netbsd")]
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<i32> {
        let timespec = timeout.map(super::timeout::timespec);
        let timespec = timespec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // As `ppoll`.
        syscall!(pollts(self.list.as_mut_ptr(), self.list.len() as _, timespec, std::ptr::null()))
    }

    #[cfg(target_vendor = "apple")]
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<i32> {
        let timeout = super::timeout::milliseconds(timeout);
        // The kernel reads and writes as many entries as the list has.
        syscall!(poll(self.list.as_mut_ptr(), self.list.len() as _, timeout))
    }

    fn place(&self, fd: RawFd) -> Option<usize> {
        let place = *self.places.get(usize::try_from(fd).ok()?)? as usize;
        (place != CHANNEL).then_some(place)
    }

    /// False if it was not there.
    fn strike_off(&mut self, fd: RawFd) -> bool {
        let Some(place) = self.place(fd) else { return false };
        self.places[fd as usize] = CHANNEL as u32;
        self.list.swap_remove(place);
        self.entries.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            self.places[moved.fd as usize] = place as u32;
        }
        true
    }

    fn work_off_departures(&mut self) {
        for fd in self.departures.take() {
            self.strike_off(fd);
        }
    }
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

/// Hang-up and error count as both directions: whoever waits has to hear of it.
pub(super) fn translate(revents: i16) -> u8 {
    let flag = |mask: i16, flag: u8| if revents & mask != 0 { flag } else { 0 };
    flag(libc::POLLIN, READABLE)
        | flag(libc::POLLOUT, WRITABLE)
        | flag(HALF_CLOSED, READABLE | READ_CLOSED)
        | flag(libc::POLLHUP | libc::POLLERR | libc::POLLNVAL, BROKEN)
}
