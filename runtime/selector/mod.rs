//! The multiplexers of the operating system: which of many descriptors are ready? For those who
//! write a loop of their own; the runtime's stands on it too.
//!
//! A [`Selector`] watches descriptors, each registered under a *key* of the caller's choice and for
//! an [`Interest`]; [`wait`](Selector::wait) fills [`Events`], each of which carries the key and says
//! what is ready. There are no wakers, tasks or futures here.
//!
//! # Examples
//!
//! ```
//! use runtime::io::Interest;
//! use runtime::selector::{Events, Selector};
//! use std::io::Write;
//! use std::net::{TcpListener, TcpStream};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! let (server, _) = listener.accept()?;
//! server.set_nonblocking(true)?;
//!
//! let mut selector = Selector::new()?;
//! selector.register(&server, 7, Interest::READABLE)?;
//! client.write_all(b"hello")?;
//!
//! let mut events = Events::with_capacity(64);
//! selector.wait(&mut events, None)?;
//! let event = events.iter().next().unwrap();
//! assert!(event.key() == 7 && event.is_readable());
//!
//! selector.deregister(&server)?; // before it is closed
//! # std::io::Result::Ok(())
//! ```
//!
//! `examples/selector_echo.rs` is a whole server on it, for any mechanism.
//!
//! # What is promised
//!
//! - A descriptor is registered once. Registering it again is `EEXIST`, and to modify or deregister
//!   one that is not registered is `ENOENT`. What a mechanism cannot watch it refuses at
//!   registration, never later.
//! - What is ready already at registration is reported by the next wait, and so it is after
//!   [`modify`](Selector::modify).
//! - *Level*-triggered mechanisms report with every wait, for as long as a state lasts; *edge*-triggered
//!   ones report each change once. A loop that reads and writes until `EAGAIN`, and drops an interest
//!   that it has no use for, works with both.
//! - Events may be spurious: only an operation tells for sure, so let descriptors be non-blocking.
//!   None is missing: a direction of interest that becomes ready after an operation said `EAGAIN` is
//!   reported.
//! - Error and hang-up are reported with any interest, and count as both directions, as far as the
//!   mechanism can tell.
//! - A descriptor must be deregistered *before* it is closed. An event that was already collected may
//!   still come out afterwards, so do not give a key to another one within a batch of events.
//! - A timeout is rounded up, never down, and clamped to what the system call can say; a wait that
//!   long (24 days at least) may end early. A signal ends a wait with no events, and so does the
//!   [`Notifier`].
//! - Want of memory is no error, nor is a limit on descriptors that has been lowered since: until the
//!   kernel can say again what is ready, waits end after 10 ms at most, and their events may be spurious.
//! - A selector belongs to the process that made it. In a child of fork(2) each of these calls is an error, and
//!   whatever is closed or dropped there, the parent goes on hearing of its own. The child may make another.
//!
//! # What differs
//!
//! | | `epoll` | `epoll-level` | `kqueue` | `poll` | `select` |
//! |---|---|---|---|---|---|
//! | systems | Linux, Android | Linux, Android | macOS, iOS, BSDs | every Unix | every Unix |
//! | reports | edge | level | edge | level | level |
//! | a wait costs by the number of | ready | ready | ready | watched | highest watched |
//! | descriptors | any | any | any | any | below 1024 (NetBSD: 256), else refused |
//! | both directions ready | one event | one event | two events | one event | one event |
//! | a direction nobody asked for | on hang-up, error | on hang-up, error | never | on hang-up, error | on hang-up, error |
//! | `is_read_closed`, `is_write_closed` | yes | yes | yes | yes (half close: Linux) | yes (half close: Linux) |
//! | `is_priority` | yes | no | no | no | no |
//! | closed while registered, no `dup` left | silence | silence | silence | one event, closed; struck off | one event, closed; struck off |
//! | …with a `dup` left | events go on, and cannot be ended | likewise | silence | as above | as above |
//! | …and its number used again, deregistered | silence | silence | silence | watched under the old key | watched under the old key |
//! | regular file, directory | `EPERM` | `EPERM` | `EPERM` | `EPERM` | `EPERM` |
//! | `/dev/null` | `EPERM` | `EPERM` | depends on the system | always ready | always ready |
//! | timeouts | nanoseconds (Linux 5.11), else milliseconds | likewise | nanoseconds | nanoseconds (macOS: milliseconds) | nanoseconds |
//!
//! Sources: epoll(7), epoll_ctl(2), epoll_wait(2), kqueue(2), poll(2), select(2) of the systems named.

// For those who write a backend
//
// One file, one struct, with the functions of `Backend` below; then an arm there, a line in the
// ladder (kind.rs), and the table of tests finds it. Besides what is promised above:
//
// - Interest may be `None`: the descriptor is known, and *nothing at all* is reported of it, not even
//   hang-up. The reactor needs that of level-triggered mechanisms, where it watches a direction only
//   while somebody waits for it: a hang-up that nobody reads would turn the loop for ever.
// - `Deregistrar` takes a descriptor out from another thread, before it is closed there.
// - The notifier's event, under `NOTIFIER_KEY`, is not handed out.
// - What finds no room comes with a later wait, and none is always the last.

// Where there is neither Linux nor Android there is kqueue: lib.rs admits no other systems.
mod absent;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod channel;
mod deregistrar;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
mod event;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod eventfd;
mod file;
mod fork;
#[cfg(any(not(any(target_os = "linux", target_os = "android")), runtime_libkqueue, test))]
mod kevent;
mod kind;
#[cfg(any(not(any(target_os = "linux", target_os = "android")), runtime_libkqueue, test))]
mod kqueue;
#[cfg(all(any(target_os = "linux", target_os = "android"), any(runtime_libkqueue, test)))]
mod libkqueue;
mod notifier;
mod pipe;
mod poll;
#[cfg(any(not(any(target_os = "linux", target_os = "android")), runtime_libkqueue))]
mod queue;
mod select;
mod timeout;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use absent::{Absent as Epoll, Absent as EpollSet};
#[cfg(all(any(target_os = "linux", target_os = "android"), not(runtime_libkqueue)))]
use absent::{Absent as Kqueue, Absent as KqueueFd};
#[cfg(any(target_os = "linux", target_os = "android"))]
use epoll::{Epoll, EpollSet};
#[cfg(any(not(any(target_os = "linux", target_os = "android")), runtime_libkqueue))]
use {kqueue::Kqueue, queue::KqueueFd};

pub(crate) use deregistrar::Deregistrar;
pub use event::{Event, Events};
pub(crate) use event::{READ_END, READ_MORE, READABLE, WRITABLE, WRITE_CLOSED};
pub(crate) use fork::Process;
pub use kind::{Kind, ParseKindError};
pub use notifier::Notifier;

use crate::runtime::io::interest::Interest;
use poll::Poll;
use select::Select;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Calls a function of libc, and turns its -1 into the error that errno holds.
macro_rules! syscall {
    ($function:ident ( $($argument:expr),* $(,)? )) => {{
        // SAFETY: the call site says why its arguments are what this function expects.
        let result = unsafe { libc::$function($($argument),*) };
        if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
    }};
}
use syscall;

/// The key of the notifier; no source of the reactor has it, since ids are never all ones.
const NOTIFIER_KEY: u64 = u64::MAX;

/// As many events as one call is asked for at most: the kernel refuses some millions, and memory for
/// them is not to be had for the asking.
const MOST_EVENTS: usize = 1 << 16;

/// Watches descriptors, and waits until some of them are ready.
///
/// It belongs to the loop that waits; other threads reach it through its [`Notifier`]. The
/// [module](self) says what is promised.
pub struct Selector {
    backend: Backend,
    kind: Kind,
    /// How many events the reactor takes from one wait.
    room: usize,
    /// Those events, except epoll's, which has a list of its own.
    listed: Vec<Event>,
    deregistrar: Deregistrar,
    process: Process,
}

enum Backend {
    Epoll(Epoll),
    Kqueue(Kqueue),
    Poll(Poll),
    // Boxed for its sets, which are larger than all the rest.
    Select(Box<Select>),
}

/// Calls the same function of whichever backend it is.
macro_rules! dispatch {
    ($selector:expr, $backend:ident => $call:expr) => {
        match $selector {
            Backend::Epoll($backend) => $call,
            Backend::Kqueue($backend) => $call,
            Backend::Poll($backend) => $call,
            Backend::Select($backend) => $call,
        }
    };
}

impl Selector {
    /// The best that works: the first of [`Kind::available`], unless the kernel or a sandbox refuses
    /// it (`ENOSYS`, `EPERM`); then the next one.
    ///
    /// # Errors
    ///
    /// If the process or the system has no descriptors left (`EMFILE`, `ENFILE`).
    pub fn new() -> io::Result<Selector> {
        Selector::best(0)
    }

    /// As [`new`](Selector::new), for at most `room` events at once in
    /// [`wait_for_each`](Selector::wait_for_each).
    pub(crate) fn best(room: usize) -> io::Result<Selector> {
        let mut kinds = Kind::available().iter().peekable();
        while let Some(kind) = kinds.next() {
            match Selector::with_room(*kind, room) {
                Err(error) if kinds.peek().is_some() && is_refused(&error) => {}
                result => return result,
            }
        }
        unreachable!("every system has one")
    }

    /// A selector of a certain kind.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) if this system does not have it: the message lists
    /// what it has. `EMFILE` and `ENFILE` as for [`new`](Selector::new).
    pub fn with(kind: Kind) -> io::Result<Selector> {
        Selector::with_room(kind, 0)
    }

    /// One that hands out at most `room` events at once in [`wait_for_each`](Selector::wait_for_each).
    pub(crate) fn with_room(kind: Kind, room: usize) -> io::Result<Selector> {
        if !kind.is_available() {
            return Err(kind.unsupported());
        }
        let room = room.min(MOST_EVENTS);
        let process = Process::counted()?;
        let backend = backend(kind, room)?;
        let deregistrar = dispatch!(&backend, backend => backend.deregistrar());
        Ok(Selector { backend, kind, room, listed: Vec::new(), deregistrar, process })
    }

    /// Which mechanism it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Watches a descriptor; its events will carry `key`.
    ///
    /// # Errors
    ///
    /// - `EEXIST` if it is registered already.
    /// - `EPERM` if it is a regular file or a directory. With epoll also for other files that cannot
    ///   be waited for, such as `/dev/null`.
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput) if the key is `u64::MAX`, which is reserved, or
    ///   if the descriptor is above what select can watch.
    /// - `ENOMEM` and `ENOSPC` (see epoll_ctl(2)) if the kernel has no room for it.
    pub fn register(&mut self, fd: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        refuse_reserved(key)?;
        self.register_for(fd.as_fd(), key, Some(interest))
    }

    /// Gives a watched descriptor another interest, and a key. What is ready is reported anew.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it is not registered; [`InvalidInput`](io::ErrorKind::InvalidInput) if the key is
    /// `u64::MAX`.
    pub fn modify(&mut self, fd: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        refuse_reserved(key)?;
        self.modify_for(fd.as_fd().as_raw_fd(), key, Some(interest))
    }

    /// Stops watching a descriptor. To be called before it is closed.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it is not registered.
    pub fn deregister(&mut self, fd: impl AsFd) -> io::Result<()> {
        self.deregister_fd(fd.as_fd().as_raw_fd())
    }

    /// Waits until something is ready, the time is up, or the notifier is used, and fills `events`
    /// with what is ready. `None` waits without end.
    ///
    /// It may end with no events before its time: when it was notified, when a signal came, when the
    /// timeout was longer than the system call can say, or when the kernel has no memory to say more. One
    /// wait brings 65,536 events at most, whatever the room.
    ///
    /// # Errors
    ///
    /// Those of the system call: a broken selector, as a rule because somebody closed its descriptor.
    pub fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.process.check()?;
        let room = events.capacity().min(MOST_EVENTS);
        dispatch!(&mut self.backend, backend => backend.wait(room, timeout, |event| events.push(event)))
    }

    /// A handle by which any thread can break the wait.
    pub fn notifier(&self) -> Notifier {
        dispatch!(&self.backend, backend => backend.notifier())
    }

    /// As [`register`](Selector::register). With `None` the descriptor is known, and nothing at all is
    /// reported of it.
    #[inline]
    pub(crate) fn register_for(
        &mut self,
        fd: BorrowedFd<'_>,
        key: u64,
        interest: Option<Interest>,
    ) -> io::Result<()> {
        self.process.check()?;
        dispatch!(&mut self.backend, backend => backend.register(fd, key, interest))
    }

    /// As [`modify`](Selector::modify). With `None` nothing at all is reported of the descriptor.
    #[inline]
    pub(crate) fn modify_for(&mut self, fd: RawFd, key: u64, interest: Option<Interest>) -> io::Result<()> {
        self.process.check()?;
        dispatch!(&mut self.backend, backend => backend.modify(fd, key, interest))
    }

    /// As [`deregister`](Selector::deregister).
    #[inline]
    pub(crate) fn deregister_fd(&mut self, fd: RawFd) -> io::Result<()> {
        self.process.check()?;
        dispatch!(&mut self.backend, backend => backend.deregister(fd))
    }

    /// As [`wait`](Selector::wait), with no list of the caller's. There is one loop for all backends, and
    /// `each` is compiled in line there: that spares each event a call.
    #[inline]
    pub(crate) fn wait_for_each(
        &mut self,
        timeout: Option<Duration>,
        each: impl FnMut(Event),
    ) -> io::Result<()> {
        self.process.check()?;
        let Selector { backend, room, listed, .. } = self;
        let found = match backend {
            Backend::Epoll(epoll) => Found::Epoll(epoll.ready(*room, timeout)?),
            _ => {
                listed.clear();
                dispatch!(backend, backend => backend.wait(*room, timeout, |event| listed.push(event)))?;
                Found::Listed(listed.iter())
            }
        };
        found.for_each(each);
        Ok(())
    }

    /// The part that other threads may use.
    pub(crate) fn deregistrar(&self) -> &Deregistrar {
        &self.deregistrar
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What a wait has found.
enum Found<A, B> {
    Epoll(A),
    Listed(B),
}

impl<'a, A: Iterator<Item = Event>, B: Iterator<Item = &'a Event>> Iterator for Found<A, B> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        match self {
            Found::Epoll(found) => found.next(),
            Found::Listed(found) => found.next().copied(),
        }
    }
}

/// Whether there is no such call: old and emulated kernels say `ENOSYS`, and some sandboxes say `EPERM` of
/// what they do not know.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

fn refuse_reserved(key: u64) -> io::Result<()> {
    if key == NOTIFIER_KEY {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the key u64::MAX is reserved"));
    }
    Ok(())
}

fn backend(kind: Kind, room: usize) -> io::Result<Backend> {
    Ok(match kind {
        Kind::Epoll => Backend::Epoll(Epoll::edge(room)?),
        Kind::EpollLevel => Backend::Epoll(Epoll::level(room)?),
        Kind::Kqueue => Backend::Kqueue(Kqueue::new(room)?),
        Kind::Poll => Backend::Poll(Poll::new()?),
        Kind::Select => Backend::Select(Box::new(Select::new()?)),
    })
}

#[cfg(test)]
#[path = "selector_tests.rs"]
mod tests;
