//! The throttle of level-triggered selectors. It mutes a source whose reports do not lead to progress.
//!
//! A task that waits for a direction is woken when the direction is closed or has an error. It finds the end or the
//! error, and stops waiting. But no read or write clears some states: an error queue that no task reads (`IP_RECVERR`,
//! `MSG_ZEROCOPY`, see ip(7)), or a datagram socket that is shut down for reading through a duplicate. In these states
//! the operation fails with `EAGAIN`, and the next wait reports the same state again at once, so the loop would never
//! sleep.
//!
//! So such a source is *muted*: the selector does not watch it for a while. Then the waiting tasks try again, and the
//! source is watched again. The longer no operation on the source has succeeded, the longer it is muted. When an
//! operation succeeds, the source is watched again at once. So when an event of a muted source is reported, its task
//! has waited at most about twice as long as without muting, and never longer by more than [`LONGEST`].
//!
//! This module does not know which tasks wait, and what an operation is. The owner of a descriptor reports
//! successes, see `registered/operations.rs`.

use crate::runtime::id::SlotId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// The time after a success in which every report is passed on. It limits how much time the loop can spend on reports
/// for each success. A timeout of the kernel is hardly more accurate than this (see `PR_SET_TIMERSLACK` in prctl(2)).
const GRACE: Duration = Duration::from_micros(100);

/// The number of reports that are passed on in any case, for machines on which a turn takes longer than
/// [`GRACE`].
const LEAST_REPORTS: u32 = 8;

/// The longest time for which a source is muted. A hundred failing attempts per second cost little.
const LONGEST: Duration = Duration::from_millis(10);

/// If there is no report for this time, earlier reports are forgotten.
const FORGOTTEN: Duration = Duration::from_millis(50);

/// Counts the reports of closed directions and errors, and chooses the sources to mute.
///
/// The lists are sorted and searched, since such sources are few, and the trees of std would add 13 KB of code.
#[derive(Default)]
pub(crate) struct Throttle {
    /// The records, sorted by source.
    records: Vec<Record>,
    /// The sources that the selector has to stop watching.
    to_mute: Vec<SlotId>,
    /// The muted sources, ordered by the time until which they are muted. An entry counts only if the record of its
    /// source contains the same time.
    muted: BinaryHeap<Reverse<(Instant, u64)>>,
    /// The sources that were muted when an operation on them succeeded.
    to_unmute: Vec<SlotId>,
}

/// The reports of a source since an operation on it succeeded.
struct Record {
    /// The bits of the source's id.
    source: u64,
    reports: u32,
    first: Instant,
    latest: Instant,
    muted_until: Option<Instant>,
}

impl Record {
    fn new(source: u64, now: Instant) -> Record {
        Record { source, reports: 0, first: now, latest: now, muted_until: None }
    }
}

impl Throttle {
    /// Records that a closed direction or an error is reported to a waiting task. Returns true if the source has to be
    /// muted instead.
    #[cold]
    pub(crate) fn needs_muting(&mut self, id: SlotId, now: Instant) -> bool {
        let index = self.find(id.bits()).unwrap_or_else(|index| {
            self.records.insert(index, Record::new(id.bits(), now));
            index
        });
        let record = &mut self.records[index];
        if record.muted_until.is_none() && now.saturating_duration_since(record.latest) > FORGOTTEN {
            *record = Record::new(id.bits(), now);
        }
        record.latest = now;
        record.reports = record.reports.saturating_add(1);
        let failing_time = now.saturating_duration_since(record.first);
        if record.reports <= LEAST_REPORTS || failing_time < GRACE {
            return false;
        }
        // A new waiter may have caused the source to be watched again in the meantime.
        if record.muted_until.is_none() {
            let until = now + failing_time.min(LONGEST);
            record.muted_until = Some(until);
            self.muted.push(Reverse((until, id.bits())));
        }
        self.to_mute.push(id);
        true
    }

    /// Records that an operation on a source has succeeded. If the source is muted, that ends now.
    #[cold]
    pub(crate) fn succeeded(&mut self, id: SlotId) {
        if self.remove(id).is_some_and(|record| record.muted_until.is_some()) {
            self.to_unmute.push(id);
        }
    }

    /// Forgets a source that is deregistered.
    #[inline]
    pub(crate) fn forget(&mut self, id: SlotId) {
        if !self.records.is_empty() {
            self.remove(id);
        }
    }

    #[cold]
    fn remove(&mut self, id: SlotId) -> Option<Record> {
        let index = self.find(id.bits()).ok()?;
        Some(self.records.remove(index))
    }

    /// Returns the index of the record of a source or, as an error, the index at which it belongs.
    fn find(&self, source: u64) -> Result<usize, usize> {
        self.records.binary_search_by_key(&source, |record| record.source)
    }

    /// Returns true if no source is muted or has to be muted.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.muted.is_empty() && self.to_mute.is_empty() && self.to_unmute.is_empty()
    }

    /// Takes the next source that the selector has to stop watching.
    pub(crate) fn next_to_mute(&mut self) -> Option<SlotId> {
        self.to_mute.pop()
    }

    /// Takes a source that has been muted long enough. Its waiters have to try again.
    pub(crate) fn next_to_unmute(&mut self, now: Instant) -> Option<SlotId> {
        if let Some(id) = self.to_unmute.pop() {
            return Some(id);
        }
        let (until, index) = self.first_muted()?;
        if until > now {
            return None;
        }
        self.muted.pop();
        let record = &mut self.records[index];
        record.muted_until = None;
        record.latest = now;
        Some(SlotId::from_bits(record.source))
    }

    /// Returns when the first of the muted sources is no longer muted, and where its record is.
    fn first_muted(&mut self) -> Option<(Instant, usize)> {
        loop {
            let Reverse((until, source)) = *self.muted.peek()?;
            match self.find(source) {
                Ok(index) if self.records[index].muted_until == Some(until) => return Some((until, index)),
                // The source has been forgotten, or was muted again.
                _ => self.muted.pop(),
            };
        }
    }

    /// Returns the timeout, shortened if necessary so that the wait ends when the next source must no longer be muted.
    #[inline(never)]
    pub(crate) fn limit(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        if self.is_idle() { timeout } else { self.limit_by_muted(timeout) }
    }

    #[cold]
    fn limit_by_muted(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        if !self.to_unmute.is_empty() {
            return Some(Duration::ZERO);
        }
        let Some((until, _)) = self.first_muted() else { return timeout };
        let left = until.saturating_duration_since(Instant::now());
        Some(timeout.map_or(left, |timeout| timeout.min(left)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> SlotId {
        SlotId::new(1, 1, slot)
    }

    /// Reports a source as often as is allowed, within no time.
    fn exhaust(throttle: &mut Throttle, id: SlotId, now: Instant) {
        assert!((0..LEAST_REPORTS).all(|_| !throttle.needs_muting(id, now)));
    }

    #[test]
    fn a_source_is_muted_for_as_long_as_nothing_has_succeeded() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        exhaust(&mut throttle, id(1), start);
        assert!(!throttle.needs_muting(id(1), start), "many reports, but within no time");
        assert!(throttle.is_idle());
        assert_eq!(throttle.limit(None), None);
        let mut now = start + GRACE;
        let mut total = GRACE;
        while total < 20 * LONGEST {
            let before = now;
            assert!(throttle.needs_muting(id(1), now));
            assert_eq!((throttle.next_to_mute(), throttle.next_to_mute()), (Some(id(1)), None));
            assert!(throttle.limit(None).is_some());
            assert_eq!(throttle.limit(Some(Duration::ZERO)), Some(Duration::ZERO));
            let length = total.min(LONGEST);
            assert_eq!(throttle.next_to_unmute(now + length - Duration::from_nanos(1)), None);
            now += length;
            assert_eq!((throttle.next_to_unmute(now), throttle.next_to_unmute(now)), (Some(id(1)), None));
            assert!(throttle.is_idle());
            total += now - before;
        }
    }

    #[test]
    fn a_success_ends_it_at_once() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            let now = Instant::now();
            exhaust(&mut throttle, id(1), now);
            let later = now + GRACE;
            assert!(throttle.needs_muting(id(1), later));
            throttle.succeeded(id(1));
            assert_eq!(throttle.next_to_mute(), Some(id(1)));
            assert_eq!(throttle.limit(None), Some(Duration::ZERO), "its waiters try again in the same turn");
            assert_eq!((throttle.next_to_unmute(later), throttle.next_to_unmute(later)), (Some(id(1)), None));
        }
        let start = Instant::now();
        for n in 0..100 {
            assert!(!throttle.needs_muting(id(1), start + n * GRACE));
            throttle.succeeded(id(1));
        }
        assert!(throttle.is_idle());
    }

    #[test]
    fn sources_are_counted_separately_and_forgotten_when_they_are_deregistered() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for slot in 0..3 {
            exhaust(&mut throttle, id(slot), now);
        }
        throttle.forget(id(2));
        exhaust(&mut throttle, id(2), now + GRACE);
        for slot in 0..2 {
            assert!(throttle.needs_muting(id(slot), now + GRACE));
        }
        // A source that is reported again while it is muted, because another task waits now, is not muted for
        // longer.
        assert!(throttle.needs_muting(id(0), now + GRACE));
        throttle.forget(id(1));
        assert_eq!(
            (throttle.next_to_unmute(now + 2 * GRACE), throttle.next_to_unmute(now + LONGEST)),
            (Some(id(0)), None)
        );
    }

    #[test]
    fn a_source_that_is_reported_now_and_then_is_not_muted() {
        let (mut throttle, mut now) = (Throttle::default(), Instant::now());
        for _ in 0..10 * LEAST_REPORTS {
            assert!(!throttle.needs_muting(id(1), now));
            now += FORGOTTEN + Duration::from_millis(1);
        }
        assert!(throttle.is_idle());
    }
}
