//! epoll, edge-triggered. Linux and Android. See epoll(7), epoll_ctl(2), epoll_wait(2).
//!
//! - Both directions are registered at once, for the life of the descriptor: one `epoll_ctl` to
//!   begin, one to end.
//! - `epoll_pwait2` (Linux 5.11) takes nanoseconds. Where the kernel or a sandbox refuses it, or
//!   under Miri, `epoll_wait` serves, in whole milliseconds rounded up.
//! - Regular files and directories cannot be watched: `EPERM`.
//! - A registration belongs to the *open file description*: with a `dup` alive it outlives the
//!   close of the descriptor, still fires with the old token, and can no longer be removed
//!   (`EBADF`). Hence: deregister before close.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use super::{Event, NOTIFIER_TOKEN, Notifier, syscall};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// An epoll instance, and the room for the events of one wait.
pub(crate) struct Epoll {
    remote: Remote,
    events: Vec<libc::epoll_event>,
    ready: usize,
    has_pwait2: bool,
}

/// What of the instance other threads may use.
#[derive(Clone)]
pub(crate) struct Remote {
    epoll: Arc<OwnedFd>,
}

/// The kernel's mark of a read that stops at urgent data. Miri's epoll does not know it.
const URGENT: u32 = if cfg!(miri) { 0 } else { libc::EPOLLPRI as u32 };

const BOTH: u32 = libc::EPOLLET as u32 | (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP) as u32 | URGENT;

impl Epoll {
    /// Makes an instance that takes at most `capacity` events from one wait.
    pub(crate) fn new(capacity: usize) -> io::Result<Epoll> {
        let fd = syscall!(epoll_create1(libc::EPOLL_CLOEXEC))?;
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        let epoll = Arc::new(unsafe { OwnedFd::from_raw_fd(fd) });
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; capacity.clamp(1, i32::MAX as usize)];
        Ok(Epoll { remote: Remote { epoll }, events, ready: 0, has_pwait2: !cfg!(miri) })
    }

    /// Watches both directions of `fd`, reporting under `token`.
    pub(crate) fn register(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.remote.add(fd, token, BOTH)
    }

    /// Watches a notifier, under [`NOTIFIER_TOKEN`].
    pub(crate) fn register_notifier(&self, notifier: &Notifier) -> io::Result<()> {
        self.remote.add(notifier.as_fd(), NOTIFIER_TOKEN, (libc::EPOLLET | libc::EPOLLIN) as u32)
    }

    /// The part that other threads may use.
    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Waits until something is ready or the time is up; `None` waits without end.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.ready = 0;
        match self.wait_once(timeout) {
            Ok(ready) => self.ready = ready as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What the last wait brought.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events[..self.ready].iter().map(translate)
    }

    fn wait_once(&mut self, timeout: Option<Duration>) -> io::Result<i32> {
        if let Some(timeout) = timeout
            && !timeout.is_zero()
            && self.has_pwait2
        {
            match self.pwait2(timeout) {
                // Sandboxes that do not know the call yet say EPERM, old kernels ENOSYS.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    self.has_pwait2 = false;
                }
                result => return result,
            }
        }
        let (fd, room) = (self.remote.raw(), self.events.len() as i32);
        // The kernel writes at most `room` entries into `events`, which has that many.
        syscall!(epoll_wait(fd, self.events.as_mut_ptr(), room, timeout_ms(timeout)))
    }

    fn pwait2(&mut self, timeout: Duration) -> io::Result<i32> {
        let timespec = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos() as _,
        };
        // By number, since older C libraries lack the wrapper. The kernel writes at most as many
        // entries as `events` has, reads `timespec`, and takes the null for "no signal mask".
        let result = syscall!(syscall(
            libc::SYS_epoll_pwait2,
            self.remote.raw(),
            self.events.as_mut_ptr(),
            self.events.len() as i32,
            &raw const timespec,
            std::ptr::null::<libc::sigset_t>(),
            0usize,
        ));
        result.map(|ready| ready as i32)
    }
}

impl Remote {
    /// Stops watching `fd`, from any thread. To be called before the descriptor is closed.
    ///
    /// # Errors
    ///
    /// `EBADF` and `ENOENT` if somebody closed the descriptor behind its owner's back.
    pub(crate) fn deregister(&self, fd: RawFd) -> io::Result<()> {
        // The event argument is ignored for DEL, and may be null since Linux 2.6.9.
        syscall!(epoll_ctl(self.raw(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut())).map(drop)
    }

    fn add(&self, fd: BorrowedFd<'_>, token: u64, events: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // `event` outlives the call, which only reads it.
        syscall!(epoll_ctl(self.raw(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event)).map(drop)
    }

    fn raw(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

/// For `epoll_wait`: -1 is for ever. Ceil, so that a wait of 0.4 ms does not become a busy loop;
/// clamped, since a larger number would turn negative, which is for ever too (24.8 days at most,
/// then the loop looks again).
fn timeout_ms(timeout: Option<Duration>) -> i32 {
    match timeout {
        None => -1,
        Some(timeout) => i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    }
}

#[inline]
fn translate(event: &libc::epoll_event) -> Event {
    // The table has an entry for each set of the six flags: the lowest five bits, and RDHUP.
    let index = event.events & 0x1f | event.events >> 8 & 0x20;
    Event { token: event.u64, flags: FLAGS[index as usize] }
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

const fn meaning(events: u32) -> u8 {
    let mut flags = 0;
    if events & libc::EPOLLIN as u32 != 0 {
        flags |= Event::READABLE;
    }
    if events & (libc::EPOLLRDHUP | libc::EPOLLPRI) as u32 != 0 {
        flags |= Event::READABLE | Event::READ_CLOSED;
    }
    if events & libc::EPOLLOUT as u32 != 0 {
        flags |= Event::WRITABLE;
    }
    if events & (libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0 {
        flags |= Event::READABLE | Event::READ_CLOSED | Event::WRITABLE | Event::WRITE_CLOSED;
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up_and_clamped() {
        assert_eq!(timeout_ms(None), -1);
        assert_eq!(timeout_ms(Some(Duration::ZERO)), 0);
        assert_eq!(timeout_ms(Some(Duration::from_nanos(1))), 1);
        assert_eq!(timeout_ms(Some(Duration::from_micros(1500))), 2);
        assert_eq!(timeout_ms(Some(Duration::from_millis(i32::MAX as u64))), i32::MAX);
        assert_eq!(timeout_ms(Some(Duration::from_millis(1 << 31))), i32::MAX);
        assert_eq!(timeout_ms(Some(Duration::from_millis(1 << 32))), i32::MAX);
        assert_eq!(timeout_ms(Some(Duration::MAX)), i32::MAX);
    }

    #[test]
    fn a_wait_longer_than_the_kernel_can_count_is_no_error() {
        let mut epoll = Epoll::new(8).unwrap();
        let notifier = Notifier::new().unwrap();
        epoll.register_notifier(&notifier).unwrap();
        notifier.notify();
        epoll.wait(Some(Duration::MAX)).unwrap();
        assert_eq!(epoll.events().map(|event| event.token).collect::<Vec<_>>(), [NOTIFIER_TOKEN]);
    }

    #[test]
    fn hang_up_and_error_count_as_both_directions() {
        for flag in [libc::EPOLLHUP, libc::EPOLLERR] {
            let event = translate(&libc::epoll_event { events: flag as u32, u64: 7 });
            assert_eq!(event, Event { token: 7, flags: 0b1111 });
        }
        let half =
            translate(&libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLRDHUP) as u32, u64: 7 });
        assert_eq!(half.flags, Event::READABLE | Event::READ_CLOSED);
        let both = translate(&libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLOUT) as u32, u64: 7 });
        assert_eq!(both.flags, Event::READABLE | Event::WRITABLE);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses with an error of its own")]
    fn a_regular_file_is_refused_at_registration() {
        let file = std::fs::File::open("Cargo.toml").unwrap();
        let error = Epoll::new(8).unwrap().register(file.as_fd(), 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
}
