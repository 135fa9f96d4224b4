//! The readiness of a descriptor's two directions, as its owner has recorded it.
//!
//! The reactor hands out each event once, to the caller that looks for it. From then on the owner records the
//! readiness, because the owner reads and writes. So a transfer usually does not ask the reactor. A transfer that
//! follows a short transfer asks the reactor once whether there has been an event in the meantime.
//!
//! The readiness of both directions is one word, which also names the registration that it belongs to: `[runtime 16 |
//! generation 16 | write 16 | read 16]`. When the descriptor is registered again, with any runtime, the recorded
//! readiness becomes void. The next operation is then simply tried.

use crate::runtime::id::{SlotId, SourceId};
use crate::runtime::io::reactor::Direction;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The recorded readiness of the two directions of a registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Readiness(u64);

/// An operation found that the direction is not ready, or transferred all the data that was there.
const DRAINED: u64 = 1;
/// There has been an event.
const EVENT_SEEN: u64 = 2;
/// A short transfer does not mean that no data is left.
const CLOSED: u64 = 4;
/// A caller with a deadline waits, or has waited, and there has been no event since.
const WAITED: u64 = 8;
/// The latest event was returned to a caller that waits for readiness, and no operation has been tried since.
const FRESH: u64 = 16;
/// The bits from here on count events, so that only a caller that has seen the latest event clears the readiness.
const EVENT: u64 = 32;
/// The bit into which the count overflows. It is cleared, so that it does not reach the other direction's bits.
const OVER: u64 = 1 << 15;

const SIDE: u64 = 0xffff;
const REGISTRATION: u64 = !0 << 32;

impl Readiness {
    /// Returns true if it is better to wait for an event than to try an operation.
    #[inline]
    pub(crate) fn is_drained(self, direction: Direction) -> bool {
        self.0 & DRAINED << shift(direction) != 0
    }

    /// Returns true if there has been an event since the direction was last drained.
    pub(crate) fn is_ready(self, direction: Direction) -> bool {
        self.side(direction) & (DRAINED | EVENT_SEEN) == EVENT_SEEN
    }

    /// Records that an operation failed with `EAGAIN`.
    #[inline]
    pub(crate) fn not_ready(self, direction: Direction) -> Readiness {
        Readiness(self.0 | DRAINED << shift(direction))
    }

    /// Records a short transfer, after which no data is left, unless the direction is closed.
    #[inline]
    pub(crate) fn short(self, direction: Direction) -> Readiness {
        if self.0 & CLOSED << shift(direction) == 0 { self.not_ready(direction) } else { self }
    }

    /// Returns true if an error or a closure has been reported for either direction.
    pub(crate) fn is_closed(self) -> bool {
        self.0 & (CLOSED << shift(Direction::Read) | CLOSED << shift(Direction::Write)) != 0
    }

    /// Records an event.
    #[inline]
    pub(crate) fn event(self, direction: Direction, closed: bool) -> Readiness {
        let flags = EVENT_SEEN | if closed { CLOSED } else { 0 };
        let counted = (self.0 + (EVENT << shift(direction))) | flags << shift(direction);
        Readiness(counted & !((DRAINED | WAITED | FRESH | OVER) << shift(direction)))
    }

    /// Records that the latest event was returned to a caller that waits for readiness.
    pub(crate) fn fresh(self, direction: Direction) -> Readiness {
        Readiness(self.0 | FRESH << shift(direction))
    }

    /// Records that an operation has been tried since that event.
    pub(crate) fn tried(self, direction: Direction) -> Readiness {
        Readiness(self.0 & !(FRESH << shift(direction)))
    }

    /// Returns true if a successful operation has to end a wait, or has to clear the mark of a fresh event.
    #[inline]
    pub(crate) fn is_waited_or_fresh(self, direction: Direction) -> bool {
        self.0 & (WAITED | FRESH) << shift(direction) != 0
    }

    /// Returns true if no operation has been tried since the latest event was returned to a caller.
    #[inline]
    pub(crate) fn is_fresh(self, direction: Direction) -> bool {
        self.0 & FRESH << shift(direction) != 0
    }

    /// Records that a caller with a deadline has begun to wait.
    #[inline]
    pub(crate) fn waited(self, direction: Direction) -> Readiness {
        Readiness(self.0 | WAITED << shift(direction))
    }

    /// Records that this wait is over.
    pub(crate) fn unwaited(self, direction: Direction) -> Readiness {
        Readiness(self.0 & !(WAITED << shift(direction)))
    }

    /// Returns true if a caller with a deadline has begun to wait, and there has been no event since.
    #[inline]
    pub(crate) fn is_waited(self, direction: Direction) -> bool {
        self.0 & WAITED << shift(direction) != 0
    }

    /// Returns true if both have the same readiness for a direction, after the same event.
    pub(crate) fn is_same(self, other: Readiness, direction: Direction) -> bool {
        (self.0 ^ other.0) & (REGISTRATION | (SIDE & !(WAITED | FRESH)) << shift(direction)) == 0
    }

    #[inline]
    fn side(self, direction: Direction) -> u64 {
        self.0 >> shift(direction) & SIDE
    }
}

/// The atomic word that holds the readiness.
#[derive(Default)]
pub(crate) struct ReadinessCell {
    word: AtomicU64,
}

impl ReadinessCell {
    /// Returns the readiness of the registration `id`. The id is all zeros if there is no registration.
    #[inline]
    pub(crate) fn of(&self, id: SlotId) -> Readiness {
        let word = self.word.load(Relaxed);
        if (word ^ id.bits()) & REGISTRATION == 0 { Readiness(word) } else { nothing(id) }
    }

    /// Resets the readiness for a new registration. Nothing is known of its directions.
    pub(crate) fn reset(&self, id: SlotId) {
        self.set(nothing(id));
    }

    /// Records the readiness. Call this only on the thread of the registration, so that its words have one
    /// writer. A word that is written too late, because another thread has just registered the descriptor, is
    /// void.
    #[inline]
    pub(crate) fn set(&self, readiness: Readiness) {
        self.word.store(readiness.0, Relaxed);
    }
}

/// Returns the readiness of a registration of which nothing is known. If the descriptor is split, both directions count
/// as drained, so that no operation is tried before the cells of its directions are checked.
#[cold]
fn nothing(id: SlotId) -> Readiness {
    let readiness = Readiness(id.bits() & REGISTRATION);
    if id == SourceId::SPLIT.id {
        return readiness.not_ready(Direction::Read).not_ready(Direction::Write);
    }
    readiness
}

#[inline]
fn shift(direction: Direction) -> u32 {
    match direction {
        Direction::Read => 0,
        Direction::Write => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Read, Write};

    fn changed(
        readiness_cell: &ReadinessCell,
        id: SlotId,
        change: impl FnOnce(Readiness) -> Readiness,
    ) -> Readiness {
        readiness_cell.set(change(readiness_cell.of(id)));
        readiness_cell.of(id)
    }

    #[test]
    fn the_sides_are_recorded_separately() {
        let (readiness_cell, id) = (ReadinessCell::default(), SlotId::new(3, 9, 70_000));
        let first = changed(&readiness_cell, id, |readiness| readiness.not_ready(Read));
        let second = changed(&readiness_cell, id, |readiness| readiness.event(Write, true));
        assert!(second.is_drained(Read) && !second.is_drained(Write) && second.is_ready(Write));
        assert!(first.is_same(second, Read) && !first.is_same(second, Write));
        let third = changed(&readiness_cell, id, |readiness| readiness.event(Read, false));
        assert!(third.is_ready(Read) && third.is_ready(Write));
        assert!(third.short(Read).is_drained(Read) && !third.short(Write).is_drained(Write));
    }

    #[test]
    fn nothing_is_known_of_another_registration() {
        let (readiness_cell, id) = (ReadinessCell::default(), SlotId::new(3, 9, 5));
        let readiness = changed(&readiness_cell, id, |readiness| readiness.not_ready(Read).not_ready(Write));
        for other in [SlotId::new(4, 9, 5), SlotId::new(3, 10, 5), SlotId::from_bits(0)] {
            let nothing = readiness_cell.of(other);
            assert!(!nothing.is_drained(Read) && !nothing.is_drained(Write));
            assert!(!nothing.is_same(readiness, Read));
        }
    }

    #[test]
    fn both_sides_of_a_split_descriptor_count_as_drained() {
        let (readiness_cell, earlier) = (ReadinessCell::default(), SlotId::new(3, 9, 5));
        for late in [earlier, SourceId::NONE.id, SlotId::new(1, 1, u32::MAX)] {
            // A late write by a thread that has not noticed the split yet.
            readiness_cell.set(readiness_cell.of(late).event(Read, false));
            let readiness = readiness_cell.of(SourceId::SPLIT.id);
            assert!(readiness.is_drained(Read) && readiness.is_drained(Write) && !readiness.is_ready(Read));
        }
    }

    #[test]
    fn only_an_event_ends_the_drained_state() {
        let nothing = ReadinessCell::default().of(SlotId::new(3, 9, 5));
        for direction in [Read, Write] {
            assert!(!nothing.is_drained(direction) && !nothing.is_ready(direction));
            assert!(nothing.short(direction).is_drained(direction));
            let heard = nothing.not_ready(direction).event(direction, false);
            assert!(heard.is_ready(direction) && heard.short(direction).is_drained(direction));
            // An event ends a wait. A wait does not change whether a direction is ready.
            let waited = heard.not_ready(direction).waited(direction);
            assert!(waited.is_waited(direction) && waited.is_same(waited.unwaited(direction), direction));
            assert!(!waited.unwaited(direction).is_waited(direction));
            assert!(!waited.event(direction, false).is_waited(direction));
            // An event also ends the fresh mark, which does not change whether a direction is ready either.
            let fresh = heard.fresh(direction);
            assert!(fresh.is_fresh(direction) && fresh.is_same(fresh.tried(direction), direction));
            assert!(!fresh.tried(direction).is_fresh(direction));
            assert!(!fresh.event(direction, false).is_fresh(direction));
            assert!(!fresh.is_closed() && fresh.event(direction, true).is_closed());
            // The end of the stream has still to be read.
            let closed = heard.event(direction, true);
            assert!(!closed.short(direction).is_drained(direction));
            assert!(closed.not_ready(direction).is_drained(direction));
        }
    }

    #[test]
    fn the_events_of_each_side_are_counted_separately() {
        let mut readiness = ReadinessCell::default().of(SlotId::new(3, 9, 5)).event(Write, false);
        let before = readiness;
        for _ in 0..10_000 {
            let earlier = readiness;
            readiness = readiness.waited(Read).event(Read, false);
            assert!(!readiness.is_same(earlier, Read) && readiness.is_same(before, Write));
        }
    }
}
