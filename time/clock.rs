//! The clock of a driver: the system's monotonic clock, or a clock that is moved by hand.
//!
//! Its readings never go back. The system's clock should not go back either. But after a virtual machine has been moved
//! to another host, or a thread to another processor, the system's clock may be some milliseconds behind. This clock
//! then stands still until the system's clock has caught up, so that no timer fires early. If the system's clock goes
//! back by more than [`MAX_STANDSTILL_NS`], this clock does not wait: it goes on from its latest reading, so that no
//! timer hangs for an hour.
//!
//! A reading costs as much as everything else in a poll of a sleep, and most sleeps are far from their deadline when
//! they are polled. So if a deadline is more than [`FAR_NS`] after the latest reading, the clock is not read again,
//! unless the loop has slept or begun a turn since that reading, or the reading has been trusted [`TRUSTED`] times. The
//! answer is wrong only if a poll of a task has blocked the loop for longer than [`FAR_NS`], and only until the next
//! turn.

use super::instant::Instant;
use std::cell::Cell;

/// The longest time for which the clock stands still: one second.
const MAX_STANDSTILL_NS: u64 = 1_000_000_000;

/// A deadline that is later than a reading by more than this, one second, is not expected to pass within the
/// same turn.
const FAR_NS: u64 = 1_000_000_000;

/// The maximum number of times that a reading is trusted, because a future may poll a sleep forever without a
/// turn of the loop.
const TRUSTED: u32 = 64;

/// A clock that counts nanoseconds from its creation.
pub(crate) struct Clock {
    origin: Instant,
    is_paused: Cell<bool>,
    /// The time by which this clock is ahead of the system's while it is not paused, modulo 2^64, so that it
    /// may also be behind.
    ahead_ns: Cell<u64>,
    /// The latest reading. A paused clock stands there.
    latest: Cell<Instant>,
    /// The number of times that the latest reading may still be trusted.
    trusted: Cell<u32>,
}

impl Clock {
    pub(crate) fn new(paused: bool) -> Clock {
        let origin = Instant::real_now();
        Clock {
            origin,
            is_paused: Cell::new(paused),
            ahead_ns: Cell::new(0),
            latest: Cell::new(origin),
            trusted: Cell::new(0),
        }
    }

    /// Reads the clock.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        if self.is_paused() { self.latest.get() } else { self.read(Instant::real_now()) }
    }

    /// Reads the clock, in nanoseconds after the origin.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        self.ns_of(self.now())
    }

    /// Reads the clock, with `real` as the reading of the system's clock.
    #[inline]
    fn read(&self, real: Instant) -> Instant {
        let now = real.wrapping_add_ns(self.ahead_ns.get());
        if now < self.latest.get() {
            return self.stand_still(now, real);
        }
        self.latest.set(now);
        self.trusted.set(TRUSTED);
        now
    }

    /// Returns true if the clock has reached `instant`. Reads the clock unless the latest reading is sufficient.
    #[inline]
    pub(crate) fn has_reached(&self, instant: Instant) -> bool {
        self.had_reached(instant) || (!self.is_far(instant) && self.reads_at_least(instant))
    }

    #[inline(never)]
    fn reads_at_least(&self, instant: Instant) -> bool {
        instant <= self.now()
    }

    /// Returns true if the latest reading of the clock has reached `instant`.
    #[inline]
    pub(crate) fn had_reached(&self, instant: Instant) -> bool {
        instant <= self.latest.get()
    }

    #[inline]
    fn is_far(&self, instant: Instant) -> bool {
        let trusted = self.trusted.get();
        let is_far = trusted > 0 && instant.ns_since(self.latest.get()) > FAR_NS;
        if is_far {
            self.trusted.set(trusted - 1);
        }
        is_far
    }

    /// Stops trusting the latest reading, because the loop begins a turn or sleeps.
    #[inline]
    pub(crate) fn forget(&self) {
        self.trusted.set(0);
    }

    /// Returns the latest reading again. The system's clock has gone back, or this clock has reached its end,
    /// beyond which no instant can be represented.
    #[cold]
    fn stand_still(&self, now: Instant, real: Instant) -> Instant {
        let latest = self.latest.get();
        if latest.ns_since(now) > MAX_STANDSTILL_NS {
            self.go_on_from_latest(real);
        }
        self.trusted.set(TRUSTED);
        latest
    }

    fn go_on_from_latest(&self, real: Instant) {
        self.ahead_ns.set(self.latest.get().as_ns().wrapping_sub(real.as_ns()));
    }

    /// Returns the time from the origin to an instant, or zero if the instant is before the origin.
    #[inline]
    pub(crate) fn ns_of(&self, instant: Instant) -> u64 {
        instant.ns_since(self.origin)
    }

    /// Returns the instant `ns` nanoseconds after the origin.
    #[inline]
    pub(crate) fn at(&self, ns: u64) -> Instant {
        self.origin.after_ns(ns)
    }

    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    /// Pauses the clock at the next whole microsecond, which is a tick of the wheel. So a sleep of whole
    /// microseconds takes exactly that long.
    pub(crate) fn pause(&self) {
        let now_ns = self.now_ns();
        self.latest.set(self.at(now_ns.checked_next_multiple_of(1000).unwrap_or(u64::MAX)));
        self.is_paused.set(true);
    }

    /// Resumes the clock from the instant at which it stands.
    pub(crate) fn resume(&self) {
        self.go_on_from_latest(Instant::real_now());
        self.is_paused.set(false);
    }

    /// Moves the paused clock forward. It never goes back.
    pub(crate) fn move_to(&self, ns: u64) {
        if self.is_paused() {
            self.latest.set(self.latest.get().max(self.at(ns)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Reads a clock that is not paused, while the system's clock reads the clock's origin plus `real_ns`.
    fn read(clock: &Clock, real_ns: u64) -> u64 {
        clock.ns_of(clock.read(clock.at(real_ns)))
    }

    fn going() -> Clock {
        let clock = Clock::new(false);
        // An instant before the origin counts as the origin, so there has to be room for steps back.
        assert_eq!(read(&clock, 100 * MS), 100 * MS);
        clock
    }

    #[test]
    fn a_step_back_counts_as_standing_still() {
        let clock = going();
        let readings = [103, 100, 102, 103, 104].map(|ms| read(&clock, ms * MS) / MS);
        assert_eq!(readings, [103, 103, 103, 103, 104]);
        assert_eq!(read(&clock, 0), 104 * MS, "not before it was made");
    }

    /// A thread moves between processors whose clocks differ. The differences must not add up.
    #[test]
    fn small_steps_back_and_forth_leave_the_clock_with_the_system() {
        let clock = going();
        for ms in 101..10_000 {
            let now_ms = read(&clock, (ms - ms % 2 * 7) * MS) / MS;
            assert!(now_ms.abs_diff(ms) <= 8, "{now_ms} at {ms}");
        }
    }

    #[test]
    fn after_a_large_step_back_the_clock_goes_on_from_where_it_stands() {
        let clock = going();
        let hour = 3_600_000;
        let readings = [hour, 101, 121, 141, hour + 100].map(|ms| read(&clock, ms * MS) / MS);
        assert_eq!(readings, [hour, hour, hour + 20, hour + 40, 2 * hour - 1], "20 ms are 20 ms");
    }

    #[test]
    fn a_reading_is_trusted_for_what_is_far_a_few_times_in_one_turn() {
        let clock = going();
        let far = clock.at(1101 * MS);
        assert!((0..TRUSTED).all(|_| !clock.is_far(clock.at(1100 * MS)) && clock.is_far(far)));
        assert!(!clock.is_far(far), "it has to be read again");
        assert!(!clock.has_reached(far), "it has been read");
        assert!(clock.is_far(clock.latest.get().after_ns(FAR_NS + 1)));
        clock.forget();
        assert!(!clock.is_far(clock.at(u64::MAX)));
    }

    #[test]
    fn at_its_end_the_clock_stands_still() {
        let clock = going();
        let end = clock.at(u64::MAX);
        clock.pause();
        clock.move_to(clock.ns_of(end) - 1);
        for _ in 0..3 {
            clock.resume();
            for real_ms in [3000, 4000, 5000] {
                assert!(read(&clock, real_ms * MS) >= clock.ns_of(end) - 1);
            }
            clock.pause();
            assert_eq!(clock.now(), end);
        }
    }

    #[test]
    fn a_stopped_clock_goes_on_from_where_it_stands() {
        let clock = Clock::new(true);
        clock.move_to(5000 * MS);
        clock.move_to(4000 * MS);
        assert_eq!(clock.now_ns(), 5000 * MS);
        for real_ms in [3, 8000] {
            clock.go_on_from_latest(clock.at(real_ms * MS));
            assert_eq!(read(&clock, (real_ms + 2) * MS), clock.now_ns());
        }
        assert_eq!(clock.now_ns(), 5004 * MS);
    }
}
