//! The timeout of a direction on threads that have no runtime. The home of the socket counts the time, on its own clock.
//!
//! A wait begins when an operation would block, and ends with the operation. All callers of a direction share one wait.
//! For each wait that has a timeout, the home arms one timer, the *alarm*. It replaces the alarm of the wait before,
//! which is left in the wheel until then: when it fires, its number is out of date. So there is at most one alarm for
//! each direction, and an operation that succeeds sends no message.
//!
//! An alarm that fires wakes the waiters; its waker is in `home_waker.rs`. If no caller answers in time, the caller was dropped, and the next wait begins
//! anew: a late timeout is better than one for a caller that has not waited.

use crate::time::{Instant, TimerId};
use std::time::Duration;

/// The time within which a caller that was woken by the alarm has to poll. An executor that is slower than this gives
/// its callers the timeout once more.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// The timer of an alarm in the wheel of the home, and its deadline.
pub(super) type Timer = (TimerId, Instant);

#[derive(Default)]
pub(super) struct Deadline {
    /// The number of the latest wait.
    wait: u64,
    is_waiting: bool,
    /// True if the home has been asked to arm the alarm of this wait.
    is_asked: bool,
    /// The real time at which an alarm has fired, until a caller has answered.
    expired: Option<std::time::Instant>,
    alarm: Option<Timer>,
}

impl Deadline {
    /// Notes that a caller waits. Returns the number of the wait and its timeout if the home has to arm the alarm.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Option<(u64, Duration)> {
        if !self.is_waiting {
            self.is_waiting = true;
            self.is_asked = false;
            self.wait += 1;
        }
        let timeout = timeout.filter(|_| !self.is_asked)?;
        self.is_asked = true;
        Some((self.wait, timeout))
    }

    pub(super) fn end_wait(&mut self) {
        self.is_waiting = false;
        self.expired = None;
    }

    /// Returns true if the alarm has fired for a caller that had waited then.
    pub(super) fn take_expired(&mut self) -> bool {
        self.expired.take().is_some_and(|expired| expired.elapsed() <= ANSWER_TIME)
    }

    pub(super) fn take_alarm(&mut self) -> Option<Timer> {
        self.alarm.take()
    }

    /// Stores the timer of an alarm. Returns the one of the wait before, which the caller disarms.
    pub(super) fn replace_alarm(&mut self, alarm: Timer) -> Option<Timer> {
        self.alarm.replace(alarm)
    }

    /// Notes that the alarm of a wait has fired, or that it will not fire because its runtime has gone. Returns true if
    /// the waiters have to be woken: in the second case, they ask the next runtime for it.
    pub(super) fn end_alarm(&mut self, wait: u64, has_fired: bool) -> bool {
        let is_current = self.is_waiting && self.wait == wait;
        if is_current && has_fired {
            // A caller that comes from now on begins another wait.
            self.is_waiting = false;
            self.expired = Some(std::time::Instant::now());
        } else if is_current {
            self.is_asked = false;
        }
        is_current
    }
}

/// Removes an alarm from its wheel, on any thread.
pub(super) fn disarm(alarm: Option<Timer>) {
    if let Some((mut timer, deadline)) = alarm {
        timer.disarm(deadline);
    }
}
