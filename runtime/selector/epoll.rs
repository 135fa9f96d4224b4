//! epoll, edge- and level-triggered. Linux and Android. See epoll(7), epoll_ctl(2), epoll_wait(2).
//!
//! - By edge, one `epoll_ctl` begins a watch and one ends it. By level, a descriptor of which nothing
//!   is wanted for now is *parked*: taken out of the set, since the kernel reports hang-up and error
//!   of whatever is in it, asked or not, and by level again and again.
//! - `epoll_pwait2` (Linux 5.11) takes nanoseconds. Where the kernel or a sandbox refuses it, or
//!   under Miri, `epoll_wait` serves, in whole milliseconds rounded up.
//! - Regular files and directories cannot be watched, nor can devices that are always ready, such
//!   as `/dev/null`: `EPERM`.
//! - A registration belongs to the *open file description*: with a `dup` alive it outlives the
//!   close of the descriptor, still fires with the old key, and can no longer be removed
//!   (`EBADF`). Hence: deregister before close.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::channel::Channel;
use super::deregistrar::Departures;
use super::event::{BROKEN, Event, PRIORITY, READ_CLOSED, READ_MORE, READABLE, WRITABLE};
use super::fork::Process;
use super::timeout::{milliseconds, timespec};
use super::{Deregistrar, NOTIFIER_KEY, Notifier, is_refused, syscall};
use crate::runtime::io::interest::Interest;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// An epoll instance, and the room for the events of one wait.
pub(crate) struct Epoll {
    set: Arc<EpollSet>,
    pub(super) channel: Arc<Channel>,
    events: Vec<libc::epoll_event>,
    has_pwait2: bool,
    /// By level only.
    level: Option<LevelState>,
}

/// The instance itself.
pub(crate) struct EpollSet {
    fd: OwnedFd,
    process: Process,
}

/// What the level-triggered use knows of its own.
#[derive(Default)]
pub(super) struct LevelState {
    /// By descriptor: known, and nothing is wanted of it.
    parked: Vec<bool>,
    departures: Arc<Departures>,
}

/// The kernel's mark of a read that stops at urgent data. By edge one has to know of it; by level the
/// rest is reported anyhow, and the mark would be for as long as the urgent byte is unread. Miri's
/// epoll does not know it.
const MARK: u32 = if cfg!(miri) { 0 } else { libc::EPOLLPRI as u32 };

const READ: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32;
const WRITE: u32 = libc::EPOLLOUT as u32;
const NO_EVENT: libc::epoll_event = libc::epoll_event { events: 0, u64: 0 };

const EDGE: u32 = libc::EPOLLET as u32;

impl Epoll {
    /// An edge-triggered one. The first wait for more events than `room` makes the room larger.
    pub(super) fn edge(room: usize) -> io::Result<Epoll> {
        Epoll::new(room, None)
    }

    /// A level-triggered one.
    pub(super) fn level(room: usize) -> io::Result<Epoll> {
        Epoll::new(room, Some(LevelState::default()))
    }

    fn new(room: usize, level: Option<LevelState>) -> io::Result<Epoll> {
        Epoll::watching(Channel::new()?, room, level)
    }

    /// One that is notified by way of `channel`.
    pub(super) fn watching(channel: Channel, room: usize, level: Option<LevelState>) -> io::Result<Epoll> {
        let fd = syscall!(epoll_create1(libc::EPOLL_CLOEXEC))?;
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let set = Arc::new(EpollSet { fd, process: Process::counted()? });
        let channel = Arc::new(channel);
        // By edge in either case, so that an eventfd need not be read.
        let mask = EDGE | libc::EPOLLIN as u32;
        set.control(libc::EPOLL_CTL_ADD, channel.as_fd().as_raw_fd(), NOTIFIER_KEY, mask)?;
        Ok(Epoll { set, channel, events: vec![NO_EVENT; room], has_pwait2: !cfg!(miri), level })
    }

    pub(super) fn deregistrar(&self) -> Deregistrar {
        match &self.level {
            None => Deregistrar::Epoll(self.set.clone()),
            Some(level) => Deregistrar::EpollLevel(self.set.clone(), level.departures.clone()),
        }
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
        let fd = fd.as_raw_fd();
        if let Some(level) = &mut self.level {
            level.work_off_departures();
            if level.is_parked(fd) {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
        }
        // By way of the kernel also if it is to be parked: it knows whether it can be watched.
        self.set.control(libc::EPOLL_CTL_ADD, fd, key, self.mask(interest))?;
        match (&mut self.level, interest) {
            (Some(level), None) => {
                self.set.remove(fd)?;
                level.set_parked(fd, true);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn modify(&mut self, fd: RawFd, key: u64, interest: Option<Interest>) -> io::Result<()> {
        let mask = self.mask(interest);
        let Some(level) = &mut self.level else {
            return self.set.control(libc::EPOLL_CTL_MOD, fd, key, mask);
        };
        let departures = level.departures.clone();
        // Held until it is done: else a descriptor that is taken out on another thread meanwhile would
        // be put back, and nobody would take it out again.
        let mut gone = departures.hold();
        gone.drain(..).for_each(|fd| level.set_parked(fd, false));
        match (level.is_parked(fd), interest) {
            (true, None) => return Ok(()),
            (true, Some(_)) => self.set.control(libc::EPOLL_CTL_ADD, fd, key, mask)?,
            (false, None) => self.set.remove(fd)?,
            (false, Some(_)) => return self.set.control(libc::EPOLL_CTL_MOD, fd, key, mask),
        }
        level.set_parked(fd, interest.is_none());
        Ok(())
    }

    pub(super) fn deregister(&mut self, fd: RawFd) -> io::Result<()> {
        if let Some(level) = &mut self.level {
            level.work_off_departures();
            if level.is_parked(fd) {
                level.set_parked(fd, false);
                return Ok(());
            }
        }
        self.set.remove(fd)
    }

    /// Waits, and gives what is ready.
    #[inline]
    pub(super) fn ready(&mut self, room: usize, timeout: Option<Duration>) -> io::Result<Ready<'_>> {
        let ready = self.wait_raw(room, timeout)?;
        Ok(Ready { events: self.events[..ready].iter(), channel: &self.channel })
    }

    #[inline]
    pub(super) fn wait(
        &mut self,
        room: usize,
        timeout: Option<Duration>,
        each: impl FnMut(Event),
    ) -> io::Result<()> {
        self.ready(room, timeout)?.for_each(each);
        Ok(())
    }

    /// Fills the beginning of `events`, and says how far.
    pub(super) fn wait_raw(&mut self, room: usize, timeout: Option<Duration>) -> io::Result<usize> {
        let room = room.min(i32::MAX as usize);
        if room > self.events.len() {
            self.events.resize(room, NO_EVENT);
        }
        match self.wait_once(room as i32, timeout) {
            Ok(ready) => Ok(ready as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// `room` is at most the length of `events`.
    fn wait_once(&mut self, room: i32, timeout: Option<Duration>) -> io::Result<i32> {
        if let Some(timeout) = timeout
            && !timeout.is_zero()
            && self.has_pwait2
        {
            match self.pwait2(room, timeout) {
                Err(error) if is_refused(&error) => self.has_pwait2 = false,
                result => return result,
            }
        }
        // The kernel writes at most `room` entries into `events`.
        syscall!(epoll_wait(self.set.raw(), self.events.as_mut_ptr(), room, milliseconds(timeout)))
    }

    fn pwait2(&mut self, room: i32, timeout: Duration) -> io::Result<i32> {
        let timespec = timespec(timeout);
        // By number, since older C libraries lack the wrapper. The kernel writes at most `room`
        // entries, reads `timespec`, and takes the null for "no signal mask".
        let result = syscall!(syscall(
            libc::SYS_epoll_pwait2,
            self.set.raw(),
            self.events.as_mut_ptr(),
            room,
            &raw const timespec,
            std::ptr::null::<libc::sigset_t>(),
            0usize,
        ));
        result.map(|ready| ready as i32)
    }

    fn mask(&self, interest: Option<Interest>) -> u32 {
        let (trigger, mark) = if self.level.is_none() { (EDGE, MARK) } else { (0, 0) };
        let mut mask = trigger;
        if interest.is_some_and(Interest::is_readable) {
            mask |= READ | mark;
        }
        if interest.is_some_and(Interest::is_writable) {
            mask |= WRITE;
        }
        mask
    }
}

/// What a wait has found, without the notifier.
pub(super) struct Ready<'a> {
    events: std::slice::Iter<'a, libc::epoll_event>,
    channel: &'a Channel,
}

impl Iterator for Ready<'_> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.events.next()?;
            if event.u64 != NOTIFIER_KEY {
                return Some(translate(event));
            }
            self.channel.empty_for_edge();
        }
    }
}

impl EpollSet {
    /// Takes a descriptor out. `ENOENT` if it is not in the set, `EBADF` if it is not open. In a child of
    /// fork(2), where a socket may be dropped that is its parent's too, nothing is taken out.
    pub(super) fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.process.check()?;
        // The event argument is ignored for DEL, and may be null since Linux 2.6.9.
        syscall!(epoll_ctl(self.raw(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut())).map(drop)
    }

    fn control(&self, operation: i32, fd: RawFd, key: u64, mask: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: mask, u64: key };
        // `event` outlives the call, which only reads it.
        syscall!(epoll_ctl(self.raw(), operation, fd, &raw mut event)).map(drop)
    }

    fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl LevelState {
    fn is_parked(&self, fd: RawFd) -> bool {
        self.parked.get(fd as usize).copied().unwrap_or(false)
    }

    fn set_parked(&mut self, fd: RawFd, is_parked: bool) {
        let index = fd as usize;
        if index >= self.parked.len() {
            self.parked.resize(index + 1, false);
        }
        self.parked[index] = is_parked;
    }

    fn work_off_departures(&mut self) {
        for fd in self.departures.take() {
            self.set_parked(fd, false);
        }
    }
}

#[inline]
fn translate(event: &libc::epoll_event) -> Event {
    // An entry for each set of the six flags: the lowest five bits, and RDHUP.
    let index = event.events & 0x1f | event.events >> 8 & 0x20;
    Event::new(event.u64, FLAGS[index as usize])
}

/// What a set of epoll's flags means, as a table: it is looked up for each event.
const FLAGS: [u8; 64] = {
    let mut table = [0; 64];
    let mut index = 0;
    while index < 64 {
        table[index] = meaning(index as u32 & 0x1f | (index as u32 & 0x20) << 8);
        index += 1;
    }
    table
};

/// Hang-up and error count as both directions: whoever waits has to hear of it.
const fn meaning(events: u32) -> u8 {
    let mut flags = 0;
    if events & libc::EPOLLIN as u32 != 0 {
        flags |= READABLE;
    }
    if events & libc::EPOLLRDHUP as u32 != 0 {
        flags |= READABLE | READ_CLOSED;
    }
    if events & libc::EPOLLPRI as u32 != 0 {
        flags |= READABLE | READ_MORE | PRIORITY;
    }
    if events & libc::EPOLLOUT as u32 != 0 {
        flags |= WRITABLE;
    }
    if events & (libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0 {
        flags |= BROKEN;
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::selector::event;

    #[test]
    fn a_wait_longer_than_the_kernel_can_count_is_no_error() {
        let mut epoll = Epoll::edge(8).unwrap();
        epoll.notifier().notify();
        epoll.wait(8, Some(Duration::MAX), |event| panic!("{event:?}")).unwrap();
    }

    #[test]
    fn hang_up_and_error_count_as_both_directions() {
        for flag in [libc::EPOLLHUP, libc::EPOLLERR] {
            let event = translate(&libc::epoll_event { events: flag as u32, u64: 7 });
            assert_eq!(event, Event::new(7, event::BROKEN));
        }
        let half =
            translate(&libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLRDHUP) as u32, u64: 7 });
        assert_eq!(half, Event::new(7, READABLE | READ_CLOSED));
        let urgent = translate(&libc::epoll_event { events: libc::EPOLLPRI as u32, u64: 7 });
        assert_eq!(urgent, Event::new(7, READABLE | READ_MORE | PRIORITY));
        let room = translate(&libc::epoll_event { events: libc::EPOLLOUT as u32, u64: 7 });
        assert_eq!(room, Event::new(7, WRITABLE));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses with an error of its own")]
    fn a_regular_file_is_refused_at_registration() {
        let file = std::fs::File::open("Cargo.toml").unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        let error = Epoll::edge(8).unwrap().register(file.as_fd(), 1, Some(both)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
}
