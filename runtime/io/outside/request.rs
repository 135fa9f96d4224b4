//! The request to a home to watch a direction, to arm an alarm, or both.
//!
//! It holds the wakers that the home is to keep. If the request is dropped before it is made, because the home has been
//! dropped, they are dropped with it, and the waiters learn of it: see `home_waker.rs`.
#![expect(unsafe_code, reason = "the descriptor of a socket that belongs to another thread")]

use super::deadline;
use super::home_waker::{HomeWaker, Purpose};
use super::{Attempt, Shared};
use crate::runtime::context::{self, Context};
use crate::runtime::id::{RuntimeId, SourceId};
use crate::runtime::io::reactor::{Direction, Waiter};
use crate::runtime::waker;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

pub(super) struct Request {
    shared: Arc<Shared>,
    direction: Direction,
    source: SourceId,
    /// The number of the watch to begin, if any, and its waker.
    watch: Option<(u64, Arc<HomeWaker>)>,
    /// The alarm to be armed, if any, and its timeout.
    alarm: Option<(Arc<HomeWaker>, Duration)>,
    has_succeeded: bool,
}

impl Request {
    /// Creates a request to begin the watch with a number, and to arm the alarm of the wait with a number.
    pub(super) fn new(
        shared: &Arc<Shared>,
        attempt: &Attempt,
        watch: Option<u64>,
        alarm: Option<(u64, Duration)>,
        has_succeeded: bool,
    ) -> Request {
        let (direction, source) = (attempt.direction, attempt.source);
        let home_waker = |purpose| HomeWaker::new(shared, direction, purpose);
        let watch = watch.map(|number| (number, home_waker(Purpose::Watch(number))));
        let alarm = alarm.map(|(wait, timeout)| (home_waker(Purpose::Alarm(wait)), timeout));
        Request { shared: shared.clone(), direction, source, watch, alarm, has_succeeded }
    }

    /// Has the home make the request in one of its next turns. On the thread of the home it is made at once.
    pub(super) fn send(self, home: RuntimeId) {
        context::call_on(home, move |context| self.make(context));
    }

    /// Makes the request, on the thread of the home. This may run user code: foreign wakers.
    fn make(mut self, context: &Context) {
        if let Some((alarm, timeout)) = self.alarm.take() {
            self.arm_alarm(context, alarm, timeout);
        }
        let Some((number, watch)) = self.watch.take() else { return };
        // Kept until the waiters can find the error, if there is one.
        let mut error = self.watch(context, watch.clone().into()).err();
        let source = self.source;
        self.shared.change(self.direction, &mut |side| match error.take() {
            None => side.watch.begin(number),
            Some(error) => {
                side.error = Some((source, error));
                side.watch.end(number)
            }
        });
    }

    fn arm_alarm(&self, context: &Context, alarm: Arc<HomeWaker>, timeout: Duration) {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let fires_ns = context.time.now_ns().saturating_add(timeout_ns);
        match context.time.arm_at(fires_ns, Waker::from(alarm.clone())) {
            Some(timer) => {
                let disarmed = match self.shared.state.lock() {
                    Some(mut state) if state.fd.is_some() => {
                        state.side(self.direction).deadline.replace_alarm(timer)
                    }
                    // The owner has gone. Nobody would disarm it later.
                    _ => Some(timer),
                };
                // The wheel has the only reference.
                drop(alarm);
                deadline::disarm(disarmed);
            }
            None => waker::wake(alarm.into()),
        }
    }

    /// Leaves the waker of a watch in the reactor. If the source does not exist there any more, the waker is dropped, so
    /// that the waiters look for the home of the descriptor again.
    fn watch(&self, context: &Context, watch: Waker) -> io::Result<()> {
        let Some(source) = self.source_in(context)? else { return Ok(()) };
        let mut waiter = Waiter::Own(None);
        let mut reactor = context.reactor.borrow_mut();
        if self.has_succeeded {
            reactor.succeeded(source.id);
        }
        let (refused, armed) = reactor.set_waker(source.id, self.direction, &mut waiter, watch);
        drop(reactor);
        waker::discard_each(refused);
        armed
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
