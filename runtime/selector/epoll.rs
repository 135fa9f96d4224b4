//! epoll, edge- and level-triggered. Linux and Android. See epoll(7), epoll_ctl(2), epoll_wait(2).
//!
//! - Edge-triggered, one `epoll_ctl` begins a watch and one ends it. Level-triggered, a descriptor without
//!   interest is *parked*: it is removed from the set, because the kernel reports hang-up and error of every
//!   descriptor in the set, even without interest, and level-triggered it does so again and again.
//! - `epoll_pwait2` (Linux 5.11) takes nanoseconds. Where the kernel or a sandbox refuses it, and under Miri,
//!   `epoll_wait` is used, with whole milliseconds rounded up.
//! - Regular files and directories cannot be watched (`EPERM`). Neither can devices that are always ready,
//!   such as `/dev/null`.
//! - A registration belongs to the *open file description*. If a `dup` of the descriptor is open, the
//!   registration outlives the close of the descriptor. It still fires with the old key, and can no longer be
//!   removed (`EBADF`). Hence a descriptor must be deregistered before it is closed.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::deregistrar::RemovedFds;
use super::event::{BROKEN, Event, PRIORITY, READ_CLOSED, READ_MORE, READABLE, WRITABLE};
use super::fork::Process;
use super::notifier_fd::NotifierFd;
use super::timeout::{milliseconds, timespec};
use super::{Deregistrar, NOTIFIER_KEY, Notifier, is_refused, syscall};
use crate::runtime::io::interest::Interest;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// An epoll instance, and the buffer for the events of one wait.
pub(crate) struct Epoll {
    set: Arc<EpollSet>,
    pub(super) notifier_fd: Arc<NotifierFd>,
    events: Vec<libc::epoll_event>,
    has_pwait2: bool,
    /// True if the latest wait has returned as many events as it had room for.
    is_full: bool,
    /// The state of a level-triggered instance.
    level: Option<LevelState>,
}

/// The descriptor of the epoll instance.
pub(crate) struct EpollSet {
    fd: OwnedFd,
    process: Process,
}

/// The state that a level-triggered instance keeps in addition to the kernel's.
#[derive(Default)]
pub(super) struct LevelState {
    /// For each descriptor number: true if it is registered without interest.
    parked: Vec<bool>,
    removed_fds: Arc<RemovedFds>,
}

/// The kernel's flag for urgent data, at which a read stops. Edge-triggered use needs this event.
/// Level-triggered use does not: the data that is left is reported anyway, and this event would be reported
/// for as long as the urgent byte is unread. Miri's epoll does not support it.
const MARK: u32 = if cfg!(miri) { 0 } else { libc::EPOLLPRI as u32 };

const READ: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32;
const WRITE: u32 = libc::EPOLLOUT as u32;
const NO_EVENT: libc::epoll_event = libc::epoll_event { events: 0, u64: 0 };

const EDGE: u32 = libc::EPOLLET as u32;

impl Epoll {
    /// Creates an edge-triggered instance. The first wait for more events than `room` enlarges the buffer.
    pub(super) fn edge(room: usize) -> io::Result<Epoll> {
        Epoll::new(room, None)
    }

    /// Creates a level-triggered instance.
    pub(super) fn level(room: usize) -> io::Result<Epoll> {
        Epoll::new(room, Some(LevelState::default()))
    }

    fn new(room: usize, level: Option<LevelState>) -> io::Result<Epoll> {
        Epoll::watching(NotifierFd::new()?, room, level)
    }

    /// Creates an instance that is notified through `notifier_fd`.
    pub(super) fn watching(
        notifier_fd: NotifierFd,
        room: usize,
        level: Option<LevelState>,
    ) -> io::Result<Epoll> {
        let fd = syscall!(epoll_create1(libc::EPOLL_CLOEXEC))?;
        // SAFETY: the call has just created this descriptor, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let set = Arc::new(EpollSet { fd, process: Process::counted()? });
        let notifier_fd = Arc::new(notifier_fd);
        // The notifier's descriptor is edge-triggered in both cases, so that an eventfd need not be read.
        let mask = EDGE | libc::EPOLLIN as u32;
        set.control(libc::EPOLL_CTL_ADD, notifier_fd.as_fd().as_raw_fd(), NOTIFIER_KEY, mask)?;
        Ok(Epoll {
            set,
            notifier_fd,
            events: vec![NO_EVENT; room],
            has_pwait2: !cfg!(miri),
            is_full: false,
            level,
        })
    }

    pub(super) fn deregistrar(&self) -> Deregistrar {
        match &self.level {
            None => Deregistrar::Epoll(self.set.clone()),
            Some(level) => Deregistrar::EpollLevel(self.set.clone(), level.removed_fds.clone()),
        }
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
        let fd = fd.as_raw_fd();
        if let Some(level) = &mut self.level {
            level.apply_removed_fds();
            if level.is_parked(fd) {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
        }
        // Ask the kernel even if the descriptor is to be parked: only the kernel knows whether it can be watched.
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
        let removed_fds = level.removed_fds.clone();
        // Keep the lock until this is done. Otherwise a descriptor that another thread removes in the
        // meantime would be added again, and no thread would remove it after that.
        let mut gone = removed_fds.hold();
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
            level.apply_removed_fds();
            if level.is_parked(fd) {
                level.set_parked(fd, false);
                return Ok(());
            }
        }
        self.set.remove(fd)
    }

    /// Waits, and returns an iterator over the events.
    #[inline]
    pub(super) fn ready(&mut self, room: usize, timeout: Option<Duration>) -> io::Result<EpollEvents<'_>> {
        let ready = self.wait_raw(room, timeout)?;
        Ok(EpollEvents { events: self.events[..ready].iter(), notifier_fd: &self.notifier_fd })
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

    /// Waits, and stores the events at the beginning of `events`. Returns their number.
    pub(super) fn wait_raw(&mut self, room: usize, timeout: Option<Duration>) -> io::Result<usize> {
        let room = room.min(i32::MAX as usize);
        if room > self.events.len() {
            self.events.resize(room, NO_EVENT);
        }
        let ready = match self.wait_once(room as i32, timeout) {
            Ok(ready) => ready as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        self.is_full = ready == room;
        Ok(ready)
    }

    /// Returns true if there may be events that the latest wait has left for the next one.
    pub(super) fn has_more(&self) -> bool {
        self.is_full
    }

    /// Waits once. `room` must be at most the length of `events`.
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
        // Call it by number, since older C libraries lack the wrapper. The kernel writes at most `room`
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

/// The events of one wait, without the notifier's.
pub(super) struct EpollEvents<'a> {
    events: std::slice::Iter<'a, libc::epoll_event>,
    notifier_fd: &'a NotifierFd,
}

impl Iterator for EpollEvents<'_> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.events.next()?;
            if event.u64 != NOTIFIER_KEY {
                return Some(translate(event));
            }
            self.notifier_fd.empty_for_edge();
        }
    }
}

impl EpollSet {
    /// Removes a descriptor. Fails with `ENOENT` if it is not in the set, and with `EBADF` if it is not open.
    /// In a child of fork(2) nothing is removed, because the parent may still use a socket that the child
    /// drops.
    pub(super) fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.process.check()?;
        // DEL ignores the event argument, which may be null since Linux 2.6.9.
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

    fn apply_removed_fds(&mut self) {
        for fd in self.removed_fds.take() {
            self.set_parked(fd, false);
        }
    }
}

impl AsFd for EpollSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[inline]
fn translate(event: &libc::epoll_event) -> Event {
    // The table has an entry for each set of the six flags: the lowest five bits, and RDHUP.
    let index = event.events & 0x1f | event.events >> 8 & 0x20;
    Event::new(event.u64, FLAGS[index as usize])
}

/// The meaning of each set of epoll's flags. It is a table because it is read for every event.
const FLAGS: [u8; 64] = {
    let mut table = [0; 64];
    let mut index = 0;
    while index < 64 {
        table[index] = meaning(index as u32 & 0x1f | (index as u32 & 0x20) << 8);
        index += 1;
    }
    table
};

/// Translates epoll's flags. Hang-up and error count as both directions, so that every waiting task learns of
/// them.
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
