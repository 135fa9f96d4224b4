//! Instants of a clock that can be stopped.

use super::driver;
use super::system_clock;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::OnceLock;
use std::time::Duration;

/// The substitute for [`Duration::MAX`] and other very long durations: 146 years, more than any process runs.
const FAR_NS: u64 = u64::MAX / 4;

/// The instant at which the system's clock reads zero. It is far enough from zero that earlier instants can be
/// represented too.
const ORIGIN_NS: u64 = u64::MAX / 4;

/// The number of pairs of readings that [`anchor`] compares.
const ANCHOR_READINGS: usize = 32;

/// An instant of the monotonic clock, or of the runtime's clock once that has been paused.
///
/// It corresponds to a [`std::time::Instant`], and converts from and into one. It can represent the instants
/// within 146 years of the start of the process.
// It is one word of nanoseconds, half as large as std's: the loop keeps timers by the hundred thousand, and
// compares and subtracts instants all the time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// Returns one instant as both types have it, for conversions.
///
/// The two clocks are read one after the other, several times, and the pair of readings counts that are closest to each
/// other. So an instant of std counts as later by the time between these two readings, some 20 ns: a deadline that was
/// read by std is not reached early, and a reading of std is not later than one of this type that follows it.
fn anchor() -> (std::time::Instant, Instant) {
    static ANCHOR: OnceLock<(std::time::Instant, Instant)> = OnceLock::new();
    *ANCHOR.get_or_init(|| {
        let (first, mut same) = (std::time::Instant::now(), Instant::real_now());
        for _ in 1..ANCHOR_READINGS {
            let since_first = nanoseconds(std::time::Instant::now().duration_since(first));
            same = same.min(Instant(Instant::real_now().0.saturating_sub(since_first)));
        }
        (first, same)
    })
}

impl Instant {
    /// Returns the current instant. If the clock of this thread's runtime is paused, or has been paused
    /// before, the instant is read from that clock.
    ///
    /// Within a runtime the result never goes back. If the system's clock goes back, the runtime's clock
    /// stands still until the system's clock has caught up, but for at most a second.
    #[inline]
    #[must_use]
    pub fn now() -> Instant {
        driver::try_current(|driver| driver.clock().now()).unwrap_or_else(Instant::real_now)
    }

    /// Reads the system's clock.
    #[inline]
    pub(super) fn real_now() -> Instant {
        Instant(ORIGIN_NS.wrapping_add(system_clock::read_ns()))
    }

    /// Converts an instant of the standard library.
    #[must_use]
    pub fn from_std(instant: std::time::Instant) -> Instant {
        let (std, same) = anchor();
        match instant.checked_duration_since(std) {
            Some(after) => Instant(same.0.saturating_add(nanoseconds(after))),
            None => Instant(same.0.saturating_sub(nanoseconds(std.duration_since(instant)))),
        }
    }

    /// Converts into an instant of the standard library.
    #[must_use]
    pub fn into_std(self) -> std::time::Instant {
        let (std, same) = anchor();
        let instant = match self.0.checked_sub(same.0) {
            Some(after) => std.checked_add(Duration::from_nanos(after)),
            None => std.checked_sub(Duration::from_nanos(same.0 - self.0)),
        };
        // On 64-bit Unix std can represent all these instants.
        instant.unwrap_or(std)
    }

    /// Returns the nanoseconds since a fixed instant.
    #[inline]
    pub(super) fn as_ns(self) -> u64 {
        self.0
    }

    /// Returns the nanoseconds since `earlier`, or zero if `earlier` is later than this instant.
    #[inline]
    pub(super) fn ns_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the instant `ns` nanoseconds later.
    #[inline]
    pub(super) fn after_ns(self, ns: u64) -> Instant {
        Instant(self.0.saturating_add(ns))
    }

    /// Adds `ns` nanoseconds modulo 2^64, so that the result may be earlier.
    #[inline]
    pub(super) fn wrapping_add_ns(self, ns: u64) -> Instant {
        Instant(self.0.wrapping_add(ns))
    }

    /// Returns the time since `earlier`, or zero if `earlier` is later than this instant.
    #[must_use]
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.ns_since(earlier))
    }

    /// Returns the time since `earlier`, or `None` if `earlier` is later than this instant.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    /// Returns the time since `earlier`, or zero if `earlier` is later than this instant.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.ns_since(earlier))
    }

    /// Returns the time since this instant, or zero if this instant is in the future.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }

    /// Returns the instant `duration` later, or `None` if it cannot be represented.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(u64::try_from(duration.as_nanos()).ok()?).map(Instant)
    }

    /// Returns the instant `duration` earlier, or `None` if it cannot be represented.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(u64::try_from(duration.as_nanos()).ok()?).map(Instant)
    }

    /// Returns the instant `duration` later. The duration is limited to 146 years, more than any process runs.
    #[inline]
    pub(crate) fn saturating_add(self, duration: Duration) -> Instant {
        self.after_ns(nanoseconds(duration).min(FAR_NS))
    }
}

/// Returns the duration in nanoseconds, limited to 584 years.
#[inline]
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

impl From<std::time::Instant> for Instant {
    fn from(instant: std::time::Instant) -> Instant {
        Instant::from_std(instant)
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> std::time::Instant {
        instant.into_std()
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Adds `duration`. If the result cannot be represented, it is the latest instant that can, some 400
    /// years from now.
    fn add(self, duration: Duration) -> Instant {
        self.after_ns(nanoseconds(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Returns the time since `earlier`, or zero if `earlier` is later than this instant.
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// Subtracts `duration`. If the result cannot be represented, it is the earliest instant that can, some
    /// 146 years ago.
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(nanoseconds(duration)))
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.into_std().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_from_and_into_that_of_std() {
        let now = std::time::Instant::now();
        let hour = Duration::from_secs(3600);
        let earlier = now.checked_sub(hour).unwrap_or(now);
        for instant in [earlier, now, now + hour, now + hour * 1_000_000] {
            assert_eq!(Instant::from_std(instant).into_std(), instant);
        }
        assert!(Instant::from_std(earlier) <= Instant::from_std(now));
        assert_eq!(Instant::from_std(now + hour) - Instant::from_std(now), hour);
    }

    #[test]
    fn what_std_has_read_is_neither_early_nor_in_the_future() {
        for _ in 0..1000 {
            let before = Instant::real_now();
            let std = Instant::from_std(std::time::Instant::now());
            assert!(before <= std, "a deadline of std would be reached early");
            let after = Instant::real_now();
            assert!(std.ns_since(after) < 1_000_000, "{} ns later than now", std.ns_since(after));
        }
    }

    #[test]
    fn whatever_is_too_far_saturates() {
        let now = Instant::now();
        assert!(now.saturating_add(Duration::MAX) > now + Duration::from_secs(1 << 31));
        assert!(now + Duration::MAX > now && now - Duration::MAX < now);
        assert_eq!(now.checked_add(Duration::MAX), None);
        assert_eq!(now.checked_sub(Duration::MAX), None);
        assert_eq!(now - (now + Duration::from_secs(1)), Duration::ZERO);
        for extreme in [now + Duration::MAX, now - Duration::MAX] {
            assert_eq!(Instant::from_std(extreme.into_std()), extreme);
            assert!(!format!("{extreme:?}").is_empty());
        }
    }
}
