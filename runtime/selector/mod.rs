//! Selectors, which watch many descriptors and report which of them are ready.
//!
//! This module is for programs that write their own event loop. The runtime uses it too.
//!
//! A [`Selector`] watches descriptors. Each is registered under a *key* that the caller chooses, and for an
//! [`Interest`]. [`wait`](Selector::wait) fills [`Events`]. Each event carries the key and tells what is
//! ready. This module has no wakers, tasks or futures.
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
//! selector.deregister(&server)?; // Deregister it before it is closed.
//! # std::io::Result::Ok(())
//! ```
//!
//! `examples/selector_echo.rs` is a complete server that runs on any kind of selector.
//!
//! # Guarantees
//!
//! - A descriptor can be registered once. Registering it again fails with `EEXIST`. Modifying or
//!   deregistering a descriptor that is not registered fails with `ENOENT`. A descriptor that a selector
//!   cannot watch is refused at registration, never later.
//! - If a descriptor is ready when it is registered or [modified](Selector::modify), the next wait reports it.
//! - *Level-triggered* selectors report a descriptor in every wait for as long as it is ready.
//!   *Edge-triggered* selectors report each change once. A loop works with both if it reads and writes until
//!   `EAGAIN`, and removes an interest that it does not need.
//! - Events may be spurious. Only an operation tells whether a descriptor is ready, so use non-blocking
//!   descriptors. No event is missing: a direction of interest that becomes ready after an operation failed
//!   with `EAGAIN` is reported.
//! - Errors and hang-ups are reported whatever the interest is, as far as the system call reports them. They count as
//!   readiness of both directions.
//! - A descriptor must be deregistered *before* it is closed. [`Events`] that were filled before may still contain an
//!   event of the descriptor, so do not use its key for another descriptor before all of them are handled.
//! - A timeout is rounded up, never down, and limited to what the system call accepts. A wait with a timeout beyond
//!   that limit (24 days at least) may end early. A signal ends a wait without events, and so does the [`Notifier`].
//! - A wait does not fail if the kernel lacks memory, or if the limit on descriptors has been lowered below the number
//!   of watched descriptors. Until the kernel can report readiness again, each wait ends after 10 ms at most, and its
//!   events may be spurious.
//! - A selector belongs to the process that created it. In a child of fork(2) every call of it fails and changes
//!   nothing. If the child closes a descriptor that it has inherited, the parent still receives the events of that
//!   descriptor. The child may create another selector.
//!
//! # Differences
//!
//! | | `epoll` | `epoll-level` | `kqueue` | `poll` | `select` |
//! |---|---|---|---|---|---|
//! | systems | Linux, Android | Linux, Android | macOS, iOS, BSDs | every Unix | every Unix |
//! | reports | edge | level | edge | level | level |
//! | the time of a wait grows with | ready descriptors | ready descriptors | ready descriptors | watched descriptors | the highest watched number |
//! | descriptors | any | any | any | any | below 1024 (NetBSD: 256), else refused |
//! | both directions ready | one event | one event | two events | one event | one event |
//! | events for a direction without interest | on hang-up, error | on hang-up, error | never | on hang-up, error | on hang-up, error |
//! | `is_read_closed`, `is_write_closed` | yes | yes | yes | yes (half close: Linux) | yes (half close: Linux) |
//! | `is_priority` | yes | no | no | no | no |
//! | closed while registered, no duplicate open | no event | no event | no event | one event, closed; then removed | one event, closed; then removed |
//! | closed while registered, a duplicate open | events continue, and cannot be stopped | as `epoll` | no event | as above | as above |
//! | closed while registered, its number reused by a descriptor that is not registered | no event | no event | no event | watched under the old key | watched under the old key |
//! | regular file, directory | `EPERM` | `EPERM` | `EPERM` | `EPERM` | `EPERM` |
//! | `/dev/null` | `EPERM` | `EPERM` | depends on the system | always ready | always ready |
//! | timeouts | nanoseconds (Linux 5.11), else milliseconds | as `epoll` | nanoseconds | nanoseconds (macOS: milliseconds) | nanoseconds |
//!
//! Sources: epoll(7), epoll_ctl(2), epoll_wait(2), kqueue(2), poll(2), select(2) of the systems named.

// How to write a backend
//
// A backend is one file with one struct that has the functions of `Backend` below. Add an arm there and a
// line in the list of kinds (kind.rs); the table of tests then finds the backend. Besides the guarantees
// above, a backend must do the following:
//
// - Interest may be `None`. The descriptor is then known, and *nothing at all* is reported of it, not even
//   hang-up. The reactor needs that of level-triggered selectors, where it watches a direction only while a
//   task waits for it: a hang-up that no task reads would turn the loop forever.
// - `Deregistrar` removes a descriptor from another thread, before the descriptor is closed there.
// - The notifier's event, under `NOTIFIER_KEY`, is not handed out.
// - Events for which there is no room come with a later wait. No descriptor is always the last.

// A system that is neither Linux nor Android has kqueue: lib.rs admits no other systems.
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
#[cfg(any(target_os = "linux", target_os = "android"))]
mod notifier_fd;
mod pipe;
mod poll;
#[cfg(any(not(any(target_os = "linux", target_os = "android")), runtime_libkqueue))]
mod queue;
mod select;
mod timeout;
mod unsupported;

#[cfg(any(target_os = "linux", target_os = "android"))]
use epoll::{Epoll, EpollSet};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use unsupported::{Unsupported as Epoll, Unsupported as EpollSet};
#[cfg(all(any(target_os = "linux", target_os = "android"), not(runtime_libkqueue)))]
use unsupported::{Unsupported as Kqueue, Unsupported as KqueueFd};
#[cfg(any(not(any(target_os = "linux", target_os = "android")), runtime_libkqueue))]
use {kqueue::Kqueue, queue::KqueueFd};

pub(crate) use deregistrar::Deregistrar;
pub use event::{Event, Events};
pub(crate) use event::{READ_END, READ_MORE, READABLE, WRITABLE, WRITE_CLOSED};
pub(crate) use fork::Process;
pub use kind::{Kind, ParseKindError};
pub use notifier::Notifier;
#[cfg(feature = "signal")]
pub(crate) use notifier::NotifierFd;

use crate::runtime::io::interest::Interest;
use poll::Poll;
pub(crate) use poll::readiness_now;
use select::Select;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Calls a function of libc, and turns a result of -1 into the error that errno holds.
macro_rules! syscall {
    ($function:ident ( $($argument:expr),* $(,)? )) => {{
        // SAFETY: the call site says why its arguments are what this function expects.
        let result = unsafe { libc::$function($($argument),*) };
        if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
    }};
}
use syscall;

/// The key of the notifier. No source of the reactor has it, since ids are never all ones.
const NOTIFIER_KEY: u64 = u64::MAX;

/// The maximum number of events that one call asks for. The kernel refuses numbers above some millions, and
/// memory for so many events cannot be assumed to be available.
const MOST_EVENTS: usize = 1 << 16;

/// A set of watched descriptors, and the wait until some of them are ready.
///
/// A selector belongs to the loop that waits. Other threads can end its wait through a [`Notifier`]. The
/// [module documentation](self) lists the guarantees.
pub struct Selector {
    backend: Backend,
    kind: Kind,
    /// The maximum number of events that the reactor takes from one wait.
    room: usize,
    /// The events of the latest wait, except epoll's, which has a list of its own.
    listed: Vec<Event>,
    deregistrar: Deregistrar,
    process: Process,
}

enum Backend {
    Epoll(Epoll),
    Kqueue(Kqueue),
    Poll(Poll),
    // Boxed because of its sets, which are larger than everything else in it and in the other backends.
    Select(Box<Select>),
}

/// Calls the same function of whichever backend is in use.
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
    /// Creates a selector of the best kind that works.
    ///
    /// The first kind of [`Kind::available`] is tried first. If the kernel or a sandbox refuses it (`ENOSYS`, `EPERM`),
    /// the next kind is tried.
    ///
    /// # Errors
    ///
    /// Returns an error if the process or the system has no descriptors left (`EMFILE`, `ENFILE`).
    pub fn new() -> io::Result<Selector> {
        Selector::best(0)
    }

    /// Creates a selector as [`new`](Selector::new) does. [`wait_for_each`](Selector::wait_for_each) then
    /// hands out at most `room` events at once.
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

    /// Creates a selector of a given kind.
    ///
    /// # Errors
    ///
    /// Returns [`Unsupported`](io::ErrorKind::Unsupported) if this system does not have that kind. The
    /// message lists the kinds that it has. Fails with `EMFILE` or `ENFILE` if the process or the system has
    /// no descriptors left.
    pub fn with(kind: Kind) -> io::Result<Selector> {
        Selector::with_room(kind, 0)
    }

    /// Creates a selector of a given kind that hands out at most `room` events at once in
    /// [`wait_for_each`](Selector::wait_for_each).
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

    /// Returns the kind of this selector.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Starts to watch a descriptor. Its events carry `key`.
    ///
    /// # Errors
    ///
    /// - `EEXIST` if the descriptor is registered already.
    /// - `EPERM` if it is a regular file or a directory. With epoll this also applies to other files that
    ///   cannot be waited for, such as `/dev/null`.
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput) if the key is `u64::MAX`, which is reserved, or if the
    ///   descriptor is above the range of select.
    /// - `ENOMEM` or `ENOSPC` (see epoll_ctl(2)) if the kernel has no room for it.
    pub fn register(&mut self, fd: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        refuse_reserved(key)?;
        self.register_for(fd.as_fd(), key, Some(interest))
    }

    /// Changes the interest and the key of a registered descriptor. If the descriptor is ready, the next wait reports
    /// it again.
    ///
    /// # Errors
    ///
    /// Fails with `ENOENT` if the descriptor is not registered. Returns
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the key is `u64::MAX`.
    pub fn modify(&mut self, fd: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        refuse_reserved(key)?;
        self.modify_for(fd.as_fd().as_raw_fd(), key, Some(interest))
    }

    /// Stops watching a descriptor. Call this before the descriptor is closed.
    ///
    /// # Errors
    ///
    /// Fails with `ENOENT` if the descriptor is not registered.
    pub fn deregister(&mut self, fd: impl AsFd) -> io::Result<()> {
        self.deregister_fd(fd.as_fd().as_raw_fd())
    }

    /// Waits until a descriptor is ready, the timeout has passed, or the notifier is used, and fills `events`. A
    /// timeout of `None` means no limit.
    ///
    /// The wait may end without events before the timeout has passed: when it was notified, when a signal arrived, when
    /// the timeout was longer than the system call accepts, or when the kernel lacks the memory to report events. One
    /// wait returns at most 65,536 events, whatever the capacity of `events`.
    ///
    /// # Errors
    ///
    /// Returns the error of the system call. It means that the selector is broken, usually because its
    /// descriptor was closed by other code.
    pub fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.process.check()?;
        let room = events.capacity().min(MOST_EVENTS);
        dispatch!(&mut self.backend, backend => backend.wait(room, timeout, |event| events.push(event)))
    }

    /// Returns a handle through which any thread can end the wait.
    pub fn notifier(&self) -> Notifier {
        dispatch!(&self.backend, backend => backend.notifier())
    }

    /// Does the same as [`register`](Selector::register). With `None` the descriptor is known, and nothing at
    /// all is reported of it.
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

    /// Does the same as [`modify`](Selector::modify). With `None` nothing at all is reported of the descriptor.
    #[inline]
    pub(crate) fn modify_for(&mut self, fd: RawFd, key: u64, interest: Option<Interest>) -> io::Result<()> {
        self.process.check()?;
        dispatch!(&mut self.backend, backend => backend.modify(fd, key, interest))
    }

    /// Does the same as [`deregister`](Selector::deregister), for a raw descriptor.
    #[inline]
    pub(crate) fn deregister_fd(&mut self, fd: RawFd) -> io::Result<()> {
        self.process.check()?;
        dispatch!(&mut self.backend, backend => backend.deregister(fd))
    }

    /// Waits like [`wait`](Selector::wait), and calls `each` with every event instead of filling a list of
    /// the caller's. There is one loop for all backends, and `each` is inlined there, which saves a call per
    /// event.
    #[inline]
    pub(crate) fn wait_for_each(
        &mut self,
        timeout: Option<Duration>,
        each: impl FnMut(Event),
    ) -> io::Result<()> {
        self.process.check()?;
        let Selector { backend, room, listed, .. } = self;
        let events = match backend {
            Backend::Epoll(epoll) => BackendEvents::Epoll(epoll.ready(*room, timeout)?),
            _ => {
                listed.clear();
                dispatch!(backend, backend => backend.wait(*room, timeout, |event| listed.push(event)))?;
                BackendEvents::Listed(listed.iter())
            }
        };
        events.for_each(each);
        Ok(())
    }

    /// Returns true if there may be events that the latest [`wait_for_each`](Selector::wait_for_each) has left for the
    /// next one. The descriptor of the selector need not become readable for them again.
    pub(crate) fn has_more(&self) -> bool {
        match &self.backend {
            Backend::Epoll(epoll) => epoll.has_more(),
            Backend::Kqueue(kqueue) => kqueue.has_more(),
            Backend::Poll(_) | Backend::Select(_) => self.listed.len() >= self.room,
        }
    }

    /// Returns the part of the selector that other threads may use.
    pub(crate) fn deregistrar(&self) -> &Deregistrar {
        &self.deregistrar
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The events of one wait.
enum BackendEvents<A, B> {
    Epoll(A),
    Listed(B),
}

impl<'a, A: Iterator<Item = Event>, B: Iterator<Item = &'a Event>> Iterator for BackendEvents<A, B> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        match self {
            BackendEvents::Epoll(events) => events.next(),
            BackendEvents::Listed(events) => events.next().copied(),
        }
    }
}

/// Returns true if the error means that the system call does not exist. Old and emulated kernels report
/// `ENOSYS`. Some sandboxes report `EPERM` for calls that they do not know.
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
