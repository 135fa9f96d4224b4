//! The times of past turns: a log of the clock's readings, which becomes less dense with age.
//!
//! The loop reads its clock once per turn while a timer is armed. A caller that may need the time of an event
//! later, and does not want to pay for a reading of its own, notes the number of the turn. The next reading
//! of the clock is then the first one after the event. The log returns that reading, or one that is later
//! than it by no more than [`GRAIN_NS`], or by a 32nd ([`SHARE`]) of the time that has passed since.
//!
//! So the log keeps some 20 entries for each doubling of its age: a few hundred readings cover an hour.

/// Readings closer to each other than this count as one: 0.1 ms.
const GRAIN_NS: u64 = 100_000;

/// The divisor of an entry's age that limits the error: a missing entry adds at most a 32nd of its age.
const SHARE: u64 = 32;

/// The number of entries at which the log removes those that are not needed: 16 KB.
const FULL: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    turn: u64,
    ns: u64,
}

pub(super) struct TurnLog {
    /// The readings in order, without the latest.
    kept: Vec<Reading>,
    latest: Reading,
    /// The time of the first of the readings that `latest` stands for.
    since_ns: u64,
    full: usize,
}

impl TurnLog {
    /// Creates a log that begins with the reading of a turn.
    pub(super) fn new(turn: u64, ns: u64) -> TurnLog {
        TurnLog { kept: Vec::new(), latest: Reading { turn, ns }, since_ns: ns, full: FULL }
    }

    /// Records the reading of a turn.
    #[inline]
    pub(super) fn note(&mut self, turn: u64, ns: u64) {
        // Careful: of readings that are close together, keep the last one. An event after the first of them
        // must not be dated to a reading that was made only after a long wait.
        if ns.saturating_sub(self.since_ns) >= GRAIN_NS {
            self.keep(ns);
        }
        self.latest = Reading { turn, ns };
    }

    #[cold]
    fn keep(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
        if self.kept.len() >= self.full {
            self.thin(now_ns);
        }
        self.kept.push(self.latest);
    }

    /// Returns the first reading after a turn, or one that is not much later.
    pub(super) fn after(&self, turn: u64) -> u64 {
        let index = self.kept.partition_point(|reading| reading.turn <= turn);
        self.kept.get(index).unwrap_or(&self.latest).ns
    }

    /// Removes each reading whose successor can replace it: the error that this causes is small enough for
    /// its age.
    fn thin(&mut self, now_ns: u64) {
        let mut next = self.latest;
        let mut kept = Vec::with_capacity(self.full / 2);
        for (index, reading) in self.kept.iter().enumerate().rev() {
            let before = index.checked_sub(1).map(|index| self.kept[index]);
            // If this reading is removed, a caller that asks for the first reading after `before` gets `next`
            // instead.
            let gap_ns = before.map_or(u64::MAX, |before| next.ns.saturating_sub(before.ns));
            if gap_ns > now_ns.saturating_sub(next.ns) / SHARE {
                kept.push(*reading);
                next = *reading;
            }
        }
        kept.reverse();
        self.full = FULL.max(2 * kept.len());
        self.kept = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records the readings, and now and then checks the log for every turn so far.
    fn check(readings: &[u64]) {
        let mut log = TurnLog::new(0, readings[0]);
        for (turn, ns) in readings.iter().enumerate().skip(1) {
            log.note(turn as u64, *ns);
            if turn % 997 == 0 || turn + 1 == readings.len() {
                for (asked, exact) in readings[1..=turn].iter().enumerate() {
                    let told = log.after(asked as u64);
                    let age = ns - exact;
                    assert!(told >= *exact, "never early");
                    assert!(
                        told - exact <= age / SHARE + GRAIN_NS,
                        "{asked} of {turn}: {exact}, told {told}"
                    );
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many readings for an interpreter")]
    fn a_reading_is_found_never_early_and_little_late() {
        // The readings are regular, dense, and in bursts with gaps of all lengths.
        check(&(0..3000).map(|n| n * 1_000_000).collect::<Vec<_>>());
        check(&(0..5000).map(|n| n * 7_000).collect::<Vec<_>>());
        let mut state = 1u64;
        let mut now = 0;
        let fits: Vec<u64> = (0..6000)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                now += 1 << ((state >> 32) % 34);
                now
            })
            .collect();
        check(&fits);
    }

    #[test]
    fn an_event_just_before_a_long_wait_is_not_dated_after_it() {
        let mut log = TurnLog::new(0, 0);
        for (turn, ns) in [(1, 10), (2, 20), (3, 10_000_000_000), (4, 10_000_000_010)] {
            log.note(turn, ns);
        }
        assert_eq!(
            [log.after(0), log.after(1), log.after(2), log.after(3)],
            [20, 20, 10_000_000_010, 10_000_000_010]
        );
    }

    /// The driver's clock never goes back. If it did, the log would only be less exact.
    #[test]
    #[cfg_attr(miri, ignore = "too many readings for an interpreter")]
    fn readings_that_step_back_do_no_harm() {
        let mut log = TurnLog::new(0, 0);
        let mut ns = 10_000_000;
        for turn in 1..10_000 {
            ns = match turn % 100 {
                98 => ns - 3_000_000,
                99 => ns + 5_000_000,
                _ => ns + 150_000,
            };
            log.note(turn, ns);
            assert!(log.after(turn - 1) <= ns + 3_000_000);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many readings for an interpreter")]
    fn the_log_stays_small() {
        let mut log = TurnLog::new(0, 0);
        for turn in 0..1_000_000u64 {
            // All turns together take a day.
            log.note(turn, turn * 86_400_000);
        }
        assert!(log.kept.capacity() <= 2 * FULL, "{}", log.kept.capacity());
    }
}
