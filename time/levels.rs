//! The levels of the wheel: where a timer is filed, by its tick.
//!
//! There are nine levels of 64 slots each. A slot of level 0 is one tick, and a slot of level *n* covers 64^*n* ticks. A
//! timer is on the level of the highest base-64 digit in which its tick differs from `elapsed`, in the slot of its own
//! digit there. So all timers of a level are due before any of the next level, and the slots of a level are due in
//! order. When `elapsed` enters a slot of a higher level, the timers of that slot are filed again on lower levels
//! ("cascade"). Nine levels cover all possible ticks, so nothing ever wraps.
//!
//! One word per level tells which slots are occupied. To file a timer and to remove it takes constant time.
//!
//! This file does not know which timers are due: the [wheel](super::wheel) asks for the first slot, and empties it.

use super::entries::{Entries, List, NONE};
use std::hint::black_box;
use std::mem;

pub(super) const LEVELS: usize = 9;
const SLOTS: usize = 64;
pub(super) const DIGIT_BITS: u32 = 6;

/// The length of a tick.
pub(crate) const NS_PER_TICK: u64 = 1000;

/// The last tick. Ticks have 54 bits, and later deadlines (after 570 years) count as this tick.
pub(super) const MAX_TICK: u64 = (1 << (LEVELS as u32 * DIGIT_BITS)) - 1;

/// The maximum number of timers that one call of [`Wheel::expire`](super::wheel::Wheel::expire) moves to lower levels. A
/// million of them on one tick would block the loop for tens of milliseconds.
pub(super) const CASCADE_LIMIT: usize = 4096;

pub(super) struct Levels {
    /// The tick that has been reached. Every timer of an earlier tick has fired.
    pub(super) elapsed: u64,
    /// The last deadline of that tick.
    elapsed_ns: u64,
    levels: Box<[Level; LEVELS]>,
    /// A bit for each level that is not empty.
    pub(super) occupied: u16,
    /// The slot of a higher level whose cascade is not finished. Its timers are due before those of all other
    /// slots.
    pub(super) cascading: Option<(u8, u8)>,
}

#[derive(Clone, Copy)]
struct Level {
    occupied: u64,
    slots: [List; SLOTS],
}

impl Levels {
    pub(super) fn new(elapsed: u64) -> Levels {
        let empty = Level { occupied: 0, slots: [List::EMPTY; SLOTS] };
        Levels {
            elapsed,
            elapsed_ns: last_ns_of(elapsed),
            // Create it on the heap, so that a small stack is enough.
            levels: vec![empty; LEVELS].try_into().unwrap_or_else(|_| unreachable!("the length is LEVELS")),
            occupied: 0,
            cascading: None,
        }
    }

    /// Returns the latest deadline that has been reached.
    #[inline]
    pub(super) fn elapsed_ns(&self) -> u64 {
        self.elapsed_ns
    }

    /// Notes that a tick has been reached. The slots that are passed over are empty.
    #[inline]
    pub(super) fn advance_to(&mut self, tick: u64) {
        if tick > self.elapsed {
            self.elapsed = tick;
            self.elapsed_ns = last_ns_of(tick);
        }
    }

    /// Returns true if no timer is filed.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Returns the slot that comes first: its level, its number, and its first tick, or `elapsed` if that is
    /// later.
    pub(super) fn first_slot(&self) -> Option<(usize, usize, u64)> {
        if let Some((level, slot)) = self.cascading {
            return Some((usize::from(level), usize::from(slot), self.elapsed));
        }
        if self.occupied == 0 {
            return None;
        }
        let level = self.occupied.trailing_zeros();
        let slot = self.levels[level as usize].occupied.trailing_zeros();
        let shift = level * DIGIT_BITS;
        let above = self.elapsed >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        let start = above | u64::from(slot) << shift;
        Some((level as usize, slot as usize, start.max(self.elapsed)))
    }

    /// Returns the first timer of a slot.
    pub(super) fn head(&self, level: usize, slot: usize) -> Option<u32> {
        Some(self.levels[level].slots[slot].head).filter(|head| *head != NONE)
    }

    /// Returns the earliest deadline in a slot.
    pub(super) fn least_ns(&self, entries: &Entries, level: usize, slot: usize) -> u64 {
        let mut least = u64::MAX;
        let mut index = self.levels[level].slots[slot].head;
        while index != NONE {
            let entry = &entries[index];
            least = least.min(entry.ns);
            index = entry.next;
        }
        least
    }

    /// Appends a timer to the list of its slot.
    pub(super) fn file(&mut self, entries: &mut Entries, index: u32) {
        let entry = &mut entries[index];
        // A tick that has passed goes to the slot that is next in any case.
        let tick = tick_of(entry.ns).max(self.elapsed);
        let level = level_of(self.elapsed, tick);
        let slot = (tick >> (level as u32 * DIGIT_BITS)) as usize % SLOTS;
        entry.level = level as u8;
        entry.slot = slot as u8;
        self.levels[level].slots[slot].append(entries, index);
        self.levels[level].occupied |= 1 << slot;
        self.occupied |= 1 << level;
    }

    /// Removes a timer from the list of its slot.
    pub(super) fn unlink(&mut self, entries: &mut Entries, index: u32) {
        let entry = &entries[index];
        let (level, slot) = (usize::from(entry.level), usize::from(entry.slot));
        let list = &mut self.levels[level].slots[slot];
        list.unlink(entries, index);
        if list.is_empty() {
            self.vacate(level, slot);
        }
    }

    /// Moves the timers of a slot, whose first tick has been reached, to lower levels. Returns true if some
    /// are left, because `moved` has reached its limit.
    pub(super) fn cascade(
        &mut self,
        entries: &mut Entries,
        level: usize,
        slot: usize,
        moved: &mut usize,
    ) -> bool {
        let List { head: mut index, tail } = mem::replace(&mut self.levels[level].slots[slot], List::EMPTY);
        // The entries are scattered in memory, and only its neighbours in the list know where an entry is. So
        // a walk through the list waits for the memory of each entry. A second walk, which starts from the
        // tail and ends where the two meet, fetches half of the entries in the meantime.
        let mut fetched = tail;
        while index != NONE && *moved < CASCADE_LIMIT {
            let next = entries[index].next;
            if fetched != NONE {
                let is_met = fetched == index || fetched == next;
                fetched = if is_met { NONE } else { black_box(entries[fetched].previous) };
            }
            // The entry goes to a lower level: its tick does not differ from `elapsed` on this level any more.
            self.file(entries, index);
            index = next;
            *moved += 1;
        }
        if index == NONE {
            self.cascading = None;
            self.vacate(level, slot);
            return false;
        }
        entries[index].previous = NONE;
        self.levels[level].slots[slot] = List { head: index, tail };
        self.cascading = Some((level as u8, slot as u8));
        true
    }

    /// Clears the bit of a slot whose list has become empty.
    fn vacate(&mut self, level: usize, slot: usize) {
        self.levels[level].occupied &= !(1 << slot);
        if self.levels[level].occupied == 0 {
            self.occupied &= !(1 << level);
        }
    }
}

/// Returns the tick of a deadline. It is rounded up, so that no timer fires early.
#[inline]
pub(super) fn tick_of(ns: u64) -> u64 {
    ns.div_ceil(NS_PER_TICK).min(MAX_TICK)
}

/// Returns the latest deadline of a tick.
#[inline]
fn last_ns_of(tick: u64) -> u64 {
    if tick < MAX_TICK { tick * NS_PER_TICK } else { u64::MAX }
}

/// Returns the number of the highest base-64 digit in which the two ticks differ.
fn level_of(elapsed: u64, tick: u64) -> usize {
    let differing = (elapsed ^ tick) | 1;
    (differing.ilog2() / DIGIT_BITS) as usize
}
