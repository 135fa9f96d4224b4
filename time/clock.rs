//! The clock of a driver: the system's monotonic clock, or one moved by hand.
//!
//! Its readings never go back. The system's should not either, but a virtual machine that has been moved to
//! another host may find its clock some milliseconds back, and so may a thread on another processor. This clock then
//! stands still until the system's has caught up, so that no timer fires early. A step of more than
//! [`MAX_STANDSTILL_NS`] is not waited out: the clock goes on from where it stands, so that no timer hangs for an hour.
//!
//! A reading costs as much as the rest of what a poll of a sleep does, and most sleeps are far from their deadline when
//! they are polled. So for a deadline more than [`FAR_NS`] after the latest reading the clock is not read again, unless
//! the loop has slept or turned since then, or has trusted that reading [`TRUSTED`] times. Only while a poll of a task
//! blocks the loop for longer than that can it be wrong, and then until the next turn.

use super::instant::Instant;
use std::cell::Cell;

/// The clock stands still for a second at most.
const MAX_STANDSTILL_NS: u64 = 1_000_000_000;

/// A deadline so long after a reading is not expected to have passed within the same turn: a second.
const FAR_NS: u64 = 1_000_000_000;

/// So many times a reading is trusted at most: a future may poll a sleep for ever without giving the loop a turn.
const TRUSTED: u32 = 64;

/// Counts nanoseconds from its making on.
pub(crate) struct Clock {
    origin: Instant,
    is_paused: Cell<bool>,
    /// How far it is ahead of the system's clock while it goes; modulo 2^64, so that it may be behind as well.
    ahead_ns: Cell<u64>,
    /// The latest reading. A stopped clock stands there.
    latest: Cell<Instant>,
    /// How many more times the latest reading is trusted.
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

    /// Reads the clock while the system's says `real`.
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

    /// Whether the clock says `instant` by now. Reads it unless the latest reading is enough to know.
    #[inline]
    pub(crate) fn has_reached(&self, instant: Instant) -> bool {
        self.had_reached(instant) || (!self.is_far(instant) && self.reads_at_least(instant))
    }

    #[inline(never)]
    fn reads_at_least(&self, instant: Instant) -> bool {
        instant <= self.now()
    }

    /// Whether the clock said `instant` when it was last read.
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

    /// The loop turns, or sleeps: the latest reading does not tell anything about now.
    #[inline]
    pub(crate) fn forget(&self) {
        self.trusted.set(0);
    }

    /// The system's clock has stepped back; or this one is at its end, beyond which no instants can be told.
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

    /// How long after the origin an instant is; zero if it is before.
    #[inline]
    pub(crate) fn ns_of(&self, instant: Instant) -> u64 {
        instant.ns_since(self.origin)
    }

    /// The instant so many nanoseconds after the origin.
    #[inline]
    pub(crate) fn at(&self, ns: u64) -> Instant {
        self.origin.after_ns(ns)
    }

    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    /// Stops at the next whole microsecond, the wheel's tick: then a sleep of whole microseconds
    /// takes just that.
    pub(crate) fn pause(&self) {
        let now_ns = self.now_ns();
        self.latest.set(self.at(now_ns.checked_next_multiple_of(1000).unwrap_or(u64::MAX)));
        self.is_paused.set(true);
    }

    /// Goes on from where it stands.
    pub(crate) fn resume(&self) {
        self.go_on_from_latest(Instant::real_now());
        self.is_paused.set(false);
    }

    /// Moves a stopped clock forward; it never goes back.
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

    /// Reads a clock that goes, while the system's says the clock's origin plus `real_ns`.
    fn read(clock: &Clock, real_ns: u64) -> u64 {
        clock.ns_of(clock.read(clock.at(real_ns)))
    }

    fn going() -> Clock {
        let clock = Clock::new(false);
        // Earlier than the origin is the origin, so there has to be room for steps back.
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

    /// A thread moves between processors whose clocks differ: their difference must not add up.
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
