//! Intervals, which tick at a fixed rate.

use super::instant::Instant;
use super::sleep::Sleep;
use crate::task::origin::NamedOrigin;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A tick that is later than this counts as missed. A tick that is less late counts as on time, so that the
/// few microseconds that a wake takes do not shift the ticks that follow.
const MISSED: Duration = Duration::from_millis(5);

/// Creates an interval that ticks every `period`. The first tick is due at once.
///
/// See [`interval_at`] for an interval that starts later.
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
/// Panics if `period` is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Creates an interval that ticks every `period`. The first tick is due at `start`.
///
/// [`Interval::set_missed_tick_behavior`] sets what the interval does after missed ticks.
///
/// # Panics
///
/// Panics if `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval must not be zero");
    let sleep = Sleep::new(start, NamedOrigin::caller("Interval::tick"));
    Interval { sleep, period, missed_tick_behavior: MissedTickBehavior::Burst }
}

/// The behavior of an [`Interval`] that was not polled in time for a tick.
///
/// The table shows an interval with a period of 10 ms that is not polled between the tick at 10 ms and 45 ms:
///
/// | | ticks at |
/// |---|---|
/// | `Burst` | 10, 45, 45, 45, 50, 60 … |
/// | `Delay` | 10, 45, 55, 65, 75 … |
/// | `Skip` | 10, 45, 50, 60, 70 … |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MissedTickBehavior {
    /// The interval makes up for the missed ticks at once, until it has caught up.
    #[default]
    Burst,
    /// The next tick is due one period after the late tick.
    Delay,
    /// The interval leaves out the missed ticks. The next tick is due at a multiple of the period.
    Skip,
}

/// A source of ticks at a fixed rate. It is returned by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed_tick_behavior: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and returns the instant at which it was due.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a tick is consumed only by the call that returns it.
    ///
    /// # Panics
    ///
    /// Panics when polled on a thread without a runtime.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick, and returns the instant at which it was due.
    ///
    /// # Panics
    ///
    /// Panics on a thread without a runtime.
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
                // This is less than the period, so it fits: with a period of more than 584 years no tick is
                // ever missed.
                let into_period = Duration::from_nanos(u64::try_from(into_period).unwrap_or(u64::MAX));
                now.saturating_add(self.period.saturating_sub(into_period))
            }
        }
    }

    /// Makes the next tick due one period from now.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Makes the next tick due at once.
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// Makes the next tick due when the duration `after` has passed from now on.
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(Instant::now().saturating_add(after));
    }

    /// Makes the next tick due at `deadline`.
    pub fn reset_at(&mut self, deadline: Instant) {
        Pin::new(&mut self.sleep).reset(deadline);
    }

    /// Returns what the interval does after missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed_tick_behavior
    }

    /// Sets what the interval does after missed ticks. The default is [`Burst`](MissedTickBehavior::Burst).
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed_tick_behavior = behavior;
    }

    /// Returns the time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }
}
