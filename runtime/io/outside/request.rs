//! The request to a home to watch a direction, and what the home leaves in its reactor.
//!
//! A request that is dropped before it is made, because the home has been dropped, ends its watch. So does the waker in
//! the reactor, whether it is woken by an event or dropped with its source.
#![expect(unsafe_code, reason = "the descriptor of a socket that belongs to another thread")]

use super::deadline::{self, Alarm};
use super::{Attempt, Shared};
use crate::runtime::context::{self, Context};
use crate::runtime::id::{RuntimeId, SourceId};
use crate::runtime::io::reactor::{Direction, Waiter};
use crate::runtime::waker;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

pub(super) struct Request {
    shared: Arc<Shared>,
    direction: Direction,
    source: SourceId,
    /// The number of the watch to begin, if any.
    watch: Option<u64>,
    /// The number of the wait whose alarm is to be armed, and its timeout.
    alarm: Option<(u64, Duration)>,
    has_succeeded: bool,
}

impl Request {
    pub(super) fn new(
        shared: &Arc<Shared>,
        attempt: &Attempt,
        watch: Option<u64>,
        alarm: Option<(u64, Duration)>,
        has_succeeded: bool,
    ) -> Request {
        let (direction, source) = (attempt.direction, attempt.source);
        Request { shared: shared.clone(), direction, source, watch, alarm, has_succeeded }
    }

    /// Has the home make the request in one of its next turns. On the thread of the home it is made at once.
    pub(super) fn send(self, home: RuntimeId) {
        context::call_on(home, move |context| self.make(context));
    }

    /// Makes the request, on the thread of the home. This may run user code: foreign wakers.
    fn make(mut self, context: &Context) {
        if let Some((wait, timeout)) = self.alarm.take() {
            self.arm_alarm(context, wait, timeout);
        }
        let Some(number) = self.watch else { return };
        match self.watch(context, number) {
            Ok(true) => {
                self.watch = None;
                self.shared.change(self.direction, |side| side.watch.begin(number));
            }
            // The watch ends when this is dropped, and the waiters look for the descriptor's home again.
            Ok(false) => {}
            Err(error) => self.shared.change(self.direction, |side| {
                side.error = Some((self.source, error));
                false
            }),
        }
    }

    fn arm_alarm(&self, context: &Context, wait: u64, timeout: Duration) {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let alarm = Alarm::new(self.shared.clone(), self.direction, wait);
        let fires_ns = context.time.now_ns().saturating_add(timeout_ns);
        match context.time.arm_at(fires_ns, Waker::from(alarm.clone())) {
            Some(timer) => deadline::disarm(Alarm::store(&self.shared, self.direction, timer)),
            None => alarm.wake(),
        }
    }

    /// Leaves a waker in the reactor. Returns false if the source does not exist there any more.
    fn watch(&self, context: &Context, number: u64) -> io::Result<bool> {
        let Some(source) = self.source_in(context)? else { return Ok(false) };
        let (shared, direction) = (self.shared.clone(), self.direction);
        let waker = Waker::from(Arc::new(Watcher { shared, direction, number }));
        let mut waiter = Waiter::Own(None);
        let mut reactor = context.reactor.borrow_mut();
        if self.has_succeeded {
            reactor.succeeded(source.id);
        }
        let (refused, armed) = reactor.set_waker(source.id, self.direction, &mut waiter, waker);
        drop(reactor);
        let is_left = refused.is_none();
        waker::discard_each(refused);
        armed.map(|()| is_left)
    }

    /// Returns the source of the descriptor. If the descriptor is not registered yet, it is registered here, and its
    /// owner adopts the source later.
    fn source_in(&self, context: &Context) -> io::Result<Option<SourceId>> {
        if !self.source.is_none() {
            return Ok(Some(self.source));
        }
        let Some(mut state) = self.shared.state.lock() else { return Ok(None) };
        if !state.registered.is_none() {
            return Ok(Some(state.registered));
        }
        let Some(fd) = state.fd else { return Ok(None) };
        // SAFETY: the owner drops its `Outside`, which takes the number out under the lock, before it closes the
        // descriptor. The number is there, and the lock is held until the descriptor is no longer used. Only owners
        // whose descriptor never changes are bound to a runtime without being registered.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let id = context.reactor.borrow_mut().register(fd, Some(self.direction))?;
        state.registered = SourceId { id, runtime: context.id };
        Ok(Some(state.registered))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(number) = self.watch {
            self.shared.change(self.direction, |side| side.watch.end(number));
        }
        if let Some((wait, _)) = self.alarm {
            self.shared.change(self.direction, |side| side.deadline.forget_request(wait));
        }
    }
}

/// The waker that a home leaves in its reactor.
struct Watcher {
    shared: Arc<Shared>,
    direction: Direction,
    number: u64,
}

impl Wake for Watcher {
    fn wake(self: Arc<Self>) {
        // The drop below does the rest. The reactor has the only reference.
        drop(self);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.change(self.direction, |side| side.watch.end(self.number));
    }
}
