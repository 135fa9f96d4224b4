//! Reports that lead nowhere, of level-triggered selectors, and how often one hears of them.
//!
//! Whoever waits for a closed side, or one with an error, is woken and finds the end or the error: then it
//! waits no more. But some states no read or write clears: an error queue that nobody empties
//! (`IP_RECVERR`, see ip(7)), a datagram socket shut for reading by way of a duplicate. There the try
//! says `EAGAIN`, the next wait reports the state again at once, and the loop would turn for ever. So
//! a source about which waiters are told such a thing too often *rests*, watched by nobody; then who waits
//! for it is to try, and has it watched again.

use super::id::Id;
use std::time::{Duration, Instant};

/// The time in which reports are counted, at the end of which those that rest are tried.
const PERIOD: Duration = Duration::from_millis(10);

/// So often within it a source may be reported closed to waiters. In vain that is 800 tries a second, which
/// are not felt; and whoever gets an error for each datagram that he sends gets as many.
const MOST: u32 = 8;

/// Counts such reports.
#[derive(Default)]
pub(crate) struct Futile {
    /// How many there have been of each source, until `end`. In the order of the ids' bits.
    counts: Vec<(u64, u32)>,
    end: Option<Instant>,
    /// Those that are to rest, and those that do.
    tired: Vec<Id>,
    resting: Vec<Id>,
}

impl Futile {
    /// Somebody who waits for a side is about to be told that it is closed. Whether that is once too
    /// often: then it is not told, and the source rests.
    #[cold]
    pub(crate) fn is_too_much(&mut self, id: Id, now: Instant) -> bool {
        if self.is_over(now) && self.is_awake() {
            self.counts.clear();
            self.end = Some(now + PERIOD);
        }
        let place = match self.counts.binary_search_by_key(&id.bits(), |(of, _)| *of) {
            Ok(place) => place,
            Err(place) => {
                self.counts.insert(place, (id.bits(), 0));
                place
            }
        };
        self.counts[place].1 += 1;
        let is_too_much = self.counts[place].1 > MOST;
        if is_too_much {
            self.tired.push(id);
        }
        is_too_much
    }

    /// Whether none rests, nor is to.
    #[inline]
    pub(crate) fn is_awake(&self) -> bool {
        self.resting.is_empty() && self.tired.is_empty()
    }

    /// The next one that is not to be watched from now on.
    pub(crate) fn next_tired(&mut self) -> Option<Id> {
        let id = self.tired.pop()?;
        self.resting.push(id);
        Some(id)
    }

    /// Those that have rested: each is to be tried once.
    pub(crate) fn rested(&mut self, now: Instant) -> Vec<Id> {
        if !self.is_over(now) {
            return Vec::new();
        }
        self.end = Some(now + PERIOD);
        self.counts.clear();
        std::mem::take(&mut self.resting)
    }

    /// A timeout that is over when the rest is, at the latest.
    #[inline]
    pub(crate) fn limit(&self, timeout: Option<Duration>) -> Option<Duration> {
        if self.resting.is_empty() { timeout } else { self.limit_by_rest(timeout) }
    }

    #[cold]
    fn limit_by_rest(&self, timeout: Option<Duration>) -> Option<Duration> {
        let rest = self.end.map_or(Duration::ZERO, |end| end.saturating_duration_since(Instant::now()));
        Some(timeout.map_or(rest, |timeout| timeout.min(rest)))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> Id {
        Id::new(1, 1, slot)
    }

    #[test]
    fn a_source_that_is_reported_too_often_rests_and_is_tried_after_that() {
        let (mut futile, mut now) = (Futile::default(), Instant::now());
        for _ in 0..5 {
            assert!((0..MOST).all(|_| !futile.is_too_much(id(1), now)));
            assert!(!futile.is_too_much(id(2), now), "each is counted by itself");
            assert!(futile.is_awake());
            assert_eq!(futile.limit(None), None);
            assert!(futile.is_too_much(id(1), now));
            assert!(!futile.is_awake());
            assert_eq!((futile.next_tired(), futile.next_tired()), (Some(id(1)), None));
            assert_eq!(futile.rested(now), []);
            assert!(futile.limit(None).is_some());
            assert_eq!(futile.limit(Some(Duration::ZERO)), Some(Duration::ZERO));
            now += PERIOD;
            // Another one does not prolong the rest.
            futile.is_too_much(id(2), now);
            assert_eq!(futile.rested(now), [id(1)]);
        }
    }

    #[test]
    fn what_is_reported_now_and_then_does_not_rest() {
        let (mut futile, mut now) = (Futile::default(), Instant::now());
        for _ in 0..10 * MOST {
            assert!(!futile.is_too_much(id(1), now));
            now += PERIOD / MOST;
        }
        assert!(futile.is_awake());
    }
}
