//! Waits for a socket on threads that have no runtime.
//!
//! Such a thread tries operations itself. When one would block, it leaves its waker here, and asks the socket's *home*,
//! the runtime that the socket is bound to, to watch the direction. The request is a call in the home's inbox: see
//! `request.rs`. What the home leaves in its reactor is a waker like any other: the reactor does not know who waits. How
//! no wake is lost is in `watch.rs`.
//!
//! The home's record of the readiness is not used and does not change. So an operation on such a thread costs two
//! messages and one more attempt whenever it has to wait, and nothing changes for the operations on the home's thread.
//!
//! When the home is dropped, its reactor drops that waker, and so the waiters are woken and learn that the home has
//! gone. The same happens when a descriptor moves to another runtime: the next attempt asks that one.

mod deadline;
mod home_waker;
mod request;
mod watch;

use crate::runtime::id::{RuntimeId, SourceId};
use crate::runtime::io::reactor::{Direction, Waiter, WaiterKey, Waiters};
use crate::runtime::io::registration;
use crate::runtime::mutex::Mutex;
use crate::runtime::selector::Process;
use crate::runtime::{remote, waker};
use deadline::Deadline;
use request::Request;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use watch::{Next, Watch};

/// The waits for one descriptor. It must be dropped before the descriptor is closed.
pub(crate) struct Outside(Arc<Shared>);

/// The part that the requests to the home share with the owner.
struct Shared {
    /// The process whose threads wait. A forked child wakes nobody, because the threads are not its own.
    process: Process,
    state: Mutex<State>,
}

struct State {
    /// The descriptor, or `None` once the owner has gone.
    fd: Option<RawFd>,
    /// The source that a request has registered, until the owner [adopts](Outside::adopt) it.
    registered: SourceId,
    read: Side,
    write: Side,
    last_waiter: u64,
}

/// The waits for one direction.
struct Side {
    watch: Watch,
    waiters: Waiters,
    deadline: Deadline,
    /// The error that a request has met, and the source that the request was for.
    error: Option<(SourceId, io::Error)>,
    /// True if an operation has succeeded since the latest request.
    has_succeeded: bool,
}

/// An operation that would block.
pub(crate) struct Attempt {
    pub(crate) direction: Direction,
    /// The runtime that has to watch.
    pub(crate) home: RuntimeId,
    /// The source of the descriptor, if there is one.
    pub(crate) source: SourceId,
    /// The result of [`Outside::watch_in_place`] before the operation was tried.
    pub(crate) watch: u64,
    pub(crate) timeout: Option<Duration>,
}

/// The next step of a caller whose operation would block.
pub(crate) enum Waited {
    Pending,
    TryAgain,
}

impl Outside {
    pub(crate) fn new(fd: BorrowedFd<'_>) -> Outside {
        let side = || Side {
            watch: Watch::new(),
            waiters: Waiters::default(),
            deadline: Deadline::default(),
            error: None,
            has_succeeded: false,
        };
        let state = State {
            fd: Some(fd.as_raw_fd()),
            registered: SourceId::NONE,
            read: side(),
            write: side(),
            last_waiter: 0,
        };
        Outside(Arc::new(Shared { process: Process::counted_if_possible(), state: Mutex::new(state) }))
    }

    /// Returns the number of the watch that is in place for a direction, or zero.
    pub(crate) fn watch_in_place(&self, direction: Direction) -> u64 {
        self.0.state.lock().map_or(0, |mut state| state.side(direction).watch.present())
    }

    /// Leaves the waker of a caller whose operation would block, and asks the home to watch if needed.
    ///
    /// # Errors
    ///
    /// Returns an error if the home has gone, if it cannot watch the descriptor, or if the timeout has passed.
    pub(crate) fn wait(&self, attempt: Attempt, waiter: &mut Waiter, cx: &Context<'_>) -> io::Result<Waited> {
        if remote::find(attempt.home).is_none() {
            return Err(gone());
        }
        // Cloned before the lock is taken, since that is user code.
        let waker = cx.waker().clone();
        let Some(mut guard) = self.0.state.lock() else { return Err(gone()) };
        let state = &mut *guard;
        let side = match attempt.direction {
            Direction::Read => &mut state.read,
            Direction::Write => &mut state.write,
        };
        if let Some((source, error)) = side.error.take()
            && source == attempt.source
        {
            side.deadline.end_wait();
            return Err(error);
        }
        // A caller without a waiter has not waited yet.
        if *waiter != Waiter::Own(None) && side.deadline.take_expired() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let watch = match side.watch.failed(attempt.watch) {
            Next::TryAgain => return Ok(Waited::TryAgain),
            Next::Ask(number) => Some(number),
            Next::Wait => None,
        };
        let alarm = side.deadline.wait(attempt.timeout);
        let has_succeeded = std::mem::take(&mut side.has_succeeded);
        let last_waiter = &mut state.last_waiter;
        let earlier = side.waiters.set_waker(waiter, waker, || {
            *last_waiter += 1;
            *last_waiter
        });
        drop(guard);
        waker::discard_each(earlier);
        if watch.is_some() || alarm.is_some() {
            Request::new(&self.0, &attempt, watch, alarm, has_succeeded).send(attempt.home);
        }
        Ok(Waited::Pending)
    }

    /// Notes that an operation has ended, and with it the wait of its direction.
    pub(crate) fn end_wait(&self, direction: Direction, has_succeeded: bool) {
        if let Some(mut state) = self.0.state.lock() {
            let side = state.side(direction);
            side.has_succeeded |= has_succeeded;
            side.deadline.end_wait();
        }
    }

    /// Wakes the waiters of a direction, whose timeout has changed and counts from now.
    pub(crate) fn restart(&self, direction: Direction) {
        self.0.change(direction, &mut |side| {
            side.deadline.end_wait();
            true
        });
    }

    /// Removes the waiter of an `async` call. The caller drops the waker that was in it.
    pub(crate) fn remove_waker(&self, direction: Direction, key: WaiterKey) -> Option<Waker> {
        let mut state = self.0.state.lock()?;
        state.side(direction).waiters.remove_waker(key).map(|(waker, _)| waker)
    }

    /// Hands the source that a request has registered over to the owner. `adopt` is called under the lock, and runs no
    /// user code. If the owner has another registration already, it returns false, and the source is given up.
    pub(crate) fn adopt(&self, adopt: impl FnOnce(SourceId, RawFd) -> bool) {
        let Some(mut state) = self.0.state.lock() else { return };
        let Some(fd) = state.fd.filter(|_| !state.registered.is_none()) else { return };
        let source = std::mem::replace(&mut state.registered, SourceId::NONE);
        let is_adopted = adopt(source, fd);
        drop(state);
        if !is_adopted {
            registration::give_back(source, fd);
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let Some(mut guard) = self.0.state.lock() else { return };
        let state = &mut *guard;
        // From here on no request touches the descriptor.
        let fd = state.fd.take();
        let source = std::mem::replace(&mut state.registered, SourceId::NONE);
        let mut wakers = Vec::new();
        let alarms = [&mut state.read, &mut state.write].map(|side| {
            side.waiters.take_all(&mut wakers);
            side.deadline.end_wait();
            side.deadline.take_alarm()
        });
        drop(guard);
        if let Some(fd) = fd.filter(|_| !source.is_none()) {
            registration::give_back(source, fd);
        }
        alarms.into_iter().for_each(deadline::disarm);
        waker::discard_each(wakers);
    }
}

impl Shared {
    /// Changes a side. If `change` returns true, its waiters are woken, under no lock.
    fn change(&self, direction: Direction, change: &mut dyn FnMut(&mut Side) -> bool) {
        if !self.process.is_current() {
            return;
        }
        let Some(mut state) = self.state.lock() else { return };
        let side = state.side(direction);
        let mut wakers = Vec::new();
        if change(side) {
            side.waiters.take_all(&mut wakers);
        }
        drop(state);
        wakers.into_iter().for_each(waker::wake);
    }
}

impl State {
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the runtime that this socket is bound to has been dropped")
}
