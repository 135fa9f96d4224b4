//! Ticks at a fixed pace.

use super::instant::Instant;
use super::sleep::Sleep;
use crate::task::origin::NamedOrigin;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A tick that comes later than this has been missed. What is less late is on time: the pace does
/// not drift by the few microseconds that a wake takes.
const MISSED: Duration = Duration::from_millis(5);

/// Ticks every `period`, the first time at once. As [`interval_at`] otherwise.
///
/// # Examples
///
/// ```
/// use runtime::time::{self, Duration, Instant};
///
/// # runtime::block_on(async {
/// time::pause();
/// let start = Instant::now();
/// let mut interval = time::interval(Duration::from_millis(10));
/// for _ in 0..3 {
///     interval.tick().await;
/// }
/// assert_eq!(start.elapsed(), Duration::from_millis(20));
/// # });
/// ```
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks every `period`, the first time at `start`.
///
/// What happens after ticks were missed is up to [`Interval::set_missed_tick_behavior`].
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval must not be zero");
    let sleep = Sleep::new(start, NamedOrigin::caller("Interval::tick"));
    Interval { sleep, period, missed_tick_behavior: MissedTickBehavior::Burst }
}

/// What an [`Interval`] does after it was not polled in time for a tick.
///
/// With a period of 10 ms, and a stall from the tick at 10 until 45:
///
/// | | ticks at |
/// |---|---|
/// | `Burst` | 10, 45, 45, 45, 50, 60 … |
/// | `Delay` | 10, 45, 55, 65, 75 … |
/// | `Skip` | 10, 45, 50, 60, 70 … |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MissedTickBehavior {
    /// Ticks as often as it should have, at once, until it has caught up.
    #[default]
    Burst,
    /// Counts anew from the late tick.
    Delay,
    /// Leaves the missed ticks out, and keeps to the multiples of the period.
    Skip,
}

/// Ticks at a fixed pace. From [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed_tick_behavior: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and returns the instant for which it was due.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a tick is consumed only by the call that returns it.
    ///
    /// # Panics
    ///
    /// When polled on a thread without a runtime.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let due = self.sleep.deadline();
        let now = Instant::now();
        let next = if now.duration_since(due) > MISSED {
            self.after_missed(due, now)
        } else {
            due.saturating_add(self.period)
        };
        Pin::new(&mut self.sleep).reset(next);
        Poll::Ready(due)
    }

    fn after_missed(&self, due: Instant, now: Instant) -> Instant {
        match self.missed_tick_behavior {
            MissedTickBehavior::Burst => due.saturating_add(self.period),
            MissedTickBehavior::Delay => now.saturating_add(self.period),
            MissedTickBehavior::Skip => {
                let into_period = now.duration_since(due).as_nanos() % self.period.as_nanos();
                // Less than the period, so it fits: periods past 584 years are never missed.
                let into_period = Duration::from_nanos(u64::try_from(into_period).unwrap_or(u64::MAX));
                now.saturating_add(self.period.saturating_sub(into_period))
            }
        }
    }

    /// Ticks next after a whole period from now.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Ticks next at once.
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// Ticks next after `after`.
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(Instant::now().saturating_add(after));
    }

    /// Ticks next at `deadline`.
    pub fn reset_at(&mut self, deadline: Instant) {
        Pin::new(&mut self.sleep).reset(deadline);
    }

    /// What happens after ticks were missed.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed_tick_behavior
    }

    /// Says what is to happen after ticks were missed; `Burst` unless set.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed_tick_behavior = behavior;
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }
}
