//! The helpers that the tests of the selectors share: the macro that makes a test of each kind, a selector with the events of its
//! waits, and descriptors to register.
#![expect(unsafe_code, reason = "descriptors of certain numbers, and limits")]

use super::watchdog;
use runtime::io::Interest;
use runtime::selector::{Event, Events, Kind, Selector};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

pub(crate) const READ: Interest = Interest::READABLE;
pub(crate) const WRITE: Interest = Interest::WRITABLE;
pub(crate) const BOTH: Interest = READ.add(WRITE);

/// A duration that is long enough to be distinguished from "at once", and short enough to wait for.
pub(crate) const A_WHILE: Duration = Duration::from_millis(20);

/// Makes a test of each kind from each of the functions that are named here. A function gets the kind.
macro_rules! laws {
    ($($law:ident)*) => {
        laws! { @of Epoll epoll ($($law)*) }
        laws! { @of EpollLevel epoll_level ($($law)*) }
        laws! { @of Kqueue kqueue ($($law)*) }
        laws! { @of Poll poll ($($law)*) }
        laws! { @of Select select ($($law)*) }
    };
    (@of $kind:ident $module:ident ($($law:ident)*)) => {
        mod $module {
            $(#[test]
            fn $law() {
                crate::common::selectors::on(runtime::selector::Kind::$kind, super::$law);
            })*
        }
    };
}

pub(crate) use laws;

/// Runs a law on a kind. If the system does not have the kind, checks that the error says so.
pub(crate) fn on(kind: Kind, law: fn(Kind)) {
    let _watchdog = watchdog();
    if Kind::available().contains(&kind) {
        return law(kind);
    }
    let error = Selector::with(kind).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for there_is in Kind::available() {
        assert!(error.to_string().contains(there_is.name()), "{error}");
    }
}

/// The flags that were reported under one key, by one event or by several.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Seen {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) read_closed: bool,
    pub(crate) write_closed: bool,
}

impl Seen {
    pub(crate) const READABLE: Seen =
        Seen { readable: true, writable: false, read_closed: false, write_closed: false };
    pub(crate) const WRITABLE: Seen =
        Seen { readable: false, writable: true, read_closed: false, write_closed: false };
    pub(crate) const CLOSED: Seen =
        Seen { readable: true, writable: true, read_closed: true, write_closed: true };

    pub(crate) fn add(&mut self, event: Event) {
        self.readable |= event.is_readable();
        self.writable |= event.is_writable();
        self.read_closed |= event.is_read_closed();
        self.write_closed |= event.is_write_closed();
    }
}

/// A selector, and the events of its waits.
pub(crate) struct Watch {
    pub(crate) selector: Selector,
    pub(crate) events: Events,
}

impl Watch {
    pub(crate) fn new(kind: Kind) -> Watch {
        let selector = Selector::with(kind).unwrap();
        assert_eq!(selector.kind(), kind);
        Watch { selector, events: Events::with_capacity(64) }
    }

    pub(crate) fn register(&mut self, fd: impl AsFd, key: u64, interest: Interest) {
        self.selector.register(fd, key, interest).unwrap();
    }

    /// Waits once, and returns what was reported.
    pub(crate) fn wait(&mut self, timeout: Duration) -> BTreeMap<u64, Seen> {
        self.selector.wait(&mut self.events, Some(timeout)).unwrap();
        let mut seen = BTreeMap::<u64, Seen>::new();
        for event in &self.events {
            seen.entry(event.key()).or_default().add(event);
        }
        seen
    }

    /// Returns what is ready now.
    pub(crate) fn now(&mut self) -> BTreeMap<u64, Seen> {
        self.wait(Duration::ZERO)
    }

    /// Waits until `key` is reported, and checks that no other key is.
    pub(crate) fn until(&mut self, key: u64) -> Seen {
        loop {
            let mut seen = self.wait(Duration::from_secs(5));
            if let Some(of_key) = seen.remove(&key) {
                assert!(seen.is_empty(), "besides {key}: {seen:?}");
                return of_key;
            }
            assert!(seen.is_empty(), "instead of {key}: {seen:?}");
        }
    }

    /// Waits until `key` is reported, and ignores all other keys.
    pub(crate) fn until_among(&mut self, key: u64) -> Seen {
        loop {
            if let Some(of_key) = self.wait(Duration::from_secs(5)).remove(&key) {
                return of_key;
            }
        }
    }

    /// Checks that a wait reports nothing and lasts its time: nothing turns the loop.
    #[track_caller]
    pub(crate) fn is_quiet(&mut self) {
        let start = Instant::now();
        let seen = self.wait(A_WHILE);
        assert!(seen.is_empty(), "{seen:?}");
        assert!(start.elapsed() >= A_WHILE, "broken after {:?}", start.elapsed());
    }
}

/// Returns whether the kind is libkqueue, which uses epoll: it does not notice that a descriptor is closed, reports
/// the end only after the data has been read, and takes the error of a socket away to report it.
pub(crate) fn is_emulated(kind: Kind) -> bool {
    cfg!(runtime_libkqueue) && kind == Kind::Kqueue
}

pub(crate) fn only(key: u64, seen: Seen) -> BTreeMap<u64, Seen> {
    BTreeMap::from([(key, seen)])
}

pub(crate) fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

pub(crate) fn read_all(mut stream: impl Read) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).unwrap_or(0) > 0 {}
}

pub(crate) fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

pub(crate) fn checked(number: libc::c_int) -> libc::c_int {
    assert!(number >= 0, "{}", io::Error::last_os_error());
    number
}

pub(crate) fn owned(fd: RawFd) -> File {
    // SAFETY: the caller has just made it, and it is checked.
    File::from(unsafe { OwnedFd::from_raw_fd(checked(fd)) })
}

/// Returns another descriptor of the same file, with that number or the next free one above it.
pub(crate) fn duplicate(fd: impl AsFd, number: RawFd) -> File {
    // SAFETY: a number goes in and a number comes out.
    owned(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) })
}

/// Limits the numbers of descriptors that are opened from now on.
pub(crate) fn limit_descriptors(limit: usize) {
    // SAFETY: zeros are a valid limit.
    let mut both: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one limit, and then reads it.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut both));
        both.rlim_cur = limit as libc::rlim_t;
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &both));
    }
}

/// Raises the limit on open descriptors to the most that the process may have.
pub(crate) fn raise_limit() {
    // SAFETY: zeros are a valid limit.
    let mut both: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one limit, and then reads it.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut both));
        both.rlim_cur = both.rlim_max;
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &both));
    }
}

/// Returns the CPU time that this thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one time.
    checked(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) });
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Sends a signal to this process.
pub(crate) fn raise(signal: libc::c_int) {
    // SAFETY: only a number is passed.
    checked(unsafe { libc::raise(signal) });
}
