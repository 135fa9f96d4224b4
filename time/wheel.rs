//! The timer wheel: it finds the next deadline and the wakers of the timers that are due.
//!
//! It is a hierarchical timing wheel, after Varghese and Lauck ("Hashed and hierarchical timing wheels",
//! 1987). There are nine levels of 64 slots each. A slot of level 0 is one tick, and a slot of level *n*
//! covers 64^*n* ticks. A timer is on the level of the highest base-64 digit in which its tick differs from
//! `elapsed`, in the slot of its own digit there. So all timers of a level are due before any of the next
//! level, and the slots of a level are due in order. When `elapsed` enters a slot of a higher level, the
//! timers of that slot are inserted again on lower levels ("cascade"). Nine levels cover all possible ticks,
//! so nothing ever wraps.
//!
//! One word per level tells which slots are occupied. A slot is a list of entries that are linked by index.
//! Insert and remove take constant time, and allocate nothing besides the entry.
//!
//! The wheel knows neither clock nor tasks. It stores, moves and compares wakers, and never clones, wakes or
//! drops them.

use super::entries::{Entries, NONE, TimerEntry};
use std::hint::black_box;
use std::task::Waker;

const LEVELS: usize = 9;
const SLOTS: usize = 64;
const DIGIT_BITS: u32 = 6;

/// The length of a tick.
pub(crate) const NS_PER_TICK: u64 = 1000;

/// The last tick. Ticks have 54 bits, and later deadlines (after 570 years) count as this tick.
const MAX_TICK: u64 = (1 << (LEVELS as u32 * DIGIT_BITS)) - 1;

/// The level of a timer that has not been filed.
const NOT_FILED: u8 = LEVELS as u8;

/// The maximum number of timers that one [`Wheel::expire`] moves to lower levels. A million of them on one
/// tick would block the loop for tens of milliseconds.
const CASCADE_LIMIT: usize = 4096;

/// The maximum number of timers in a wheel that does not file them in each turn. To file so many takes some tens of
/// microseconds. The tests use both ways.
const FILED_LATE: usize = if cfg!(test) { 16 } else { 1024 };

/// Identifies a timer in this wheel, together with its deadline; see [`Wheel::find`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u16,
}

pub(crate) struct Wheel {
    /// The tick that has been reached. Every timer of an earlier tick has fired.
    elapsed: u64,
    /// The last deadline of that tick.
    elapsed_ns: u64,
    entries: Entries,
    /// The timers that have not been filed, in the order of their insertion.
    not_filed: List,
    levels: Box<[Level; LEVELS]>,
    /// A bit for each level that is not empty.
    occupied: u16,
    /// A lower bound: no timer is due before this deadline. Zero if the bound has to be computed.
    bound_ns: u64,
    /// The slot of a higher level whose cascade is not finished. Its timers are due before those of all other
    /// slots.
    cascading: Option<(u8, u8)>,
    last_generation: u16,
}

#[derive(Clone, Copy)]
struct Level {
    occupied: u64,
    slots: [List; SLOTS],
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: List = List { head: NONE, tail: NONE };
}

impl Wheel {
    /// Creates a wheel that has reached a tick.
    pub(crate) fn new(elapsed: u64) -> Wheel {
        let empty = Level { occupied: 0, slots: [List::EMPTY; SLOTS] };
        Wheel {
            elapsed,
            elapsed_ns: last_ns_of(elapsed),
            entries: Entries::new(),
            not_filed: List::EMPTY,
            // Create it on the heap, so that a small stack is enough.
            levels: vec![empty; LEVELS].try_into().unwrap_or_else(|_| unreachable!("the length is LEVELS")),
            occupied: 0,
            bound_ns: u64::MAX,
            cascading: None,
            last_generation: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the latest deadline that has been reached. Every timer with an earlier deadline is due or has fired.
    #[inline]
    pub(crate) fn elapsed_ns(&self) -> u64 {
        self.elapsed_ns
    }

    /// Inserts a timer. If its deadline has been reached, it is due at once.
    #[inline]
    pub(crate) fn insert(&mut self, ns: u64, waker: Waker) -> Key {
        self.last_generation = self.last_generation.wrapping_add(1);
        let generation = self.last_generation;
        self.bound_ns = self.bound_ns.min(ns);
        let slot = self.entries.insert(ns, generation, waker);
        self.keep_for_filing(slot);
        Key { slot, generation }
    }

    /// Returns the timer with that key and deadline, unless it has fired.
    ///
    /// Generations wrap, but the deadline prevents a mistake. The key of a fired timer comes with a deadline that has
    /// been reached, and any timer that has its slot now was inserted with one that had not been reached.
    #[inline]
    pub(crate) fn find(&mut self, key: Key, ns: u64) -> Option<&mut TimerEntry> {
        let entry = self.entries.get_mut(key.slot)?;
        (entry.generation == key.generation && entry.ns == ns).then_some(entry)
    }

    /// Removes a timer, unless it has fired.
    #[inline]
    pub(crate) fn remove(&mut self, key: Key, ns: u64) -> Option<Waker> {
        self.find(key, ns)?;
        self.unlink(key.slot);
        let waker = self.entries.remove(key.slot);
        if self.is_empty() {
            self.bound_ns = u64::MAX;
            self.cascading = None;
        }
        waker
    }

    /// Moves a timer to another deadline. It keeps its key and its waker. Returns false if it has fired.
    pub(crate) fn reset(&mut self, key: Key, ns: u64, new_ns: u64) -> bool {
        if self.find(key, ns).is_none() {
            return false;
        }
        self.unlink(key.slot);
        self.entries[key.slot].ns = new_ns;
        self.keep_for_filing(key.slot);
        self.bound_ns = self.bound_ns.min(new_ns);
        true
    }

    /// Moves the wakers of at most `limit` timers that are due at the time `now_ns` into `wakers`, in the order of their
    /// ticks. Returns their number. If that is `limit`, the caller has to call again.
    pub(crate) fn expire(&mut self, now_ns: u64, limit: usize, wakers: &mut Vec<Waker>) -> usize {
        if self.bound_ns > now_ns && self.is_filed_late() {
            return 0;
        }
        let now = (now_ns / NS_PER_TICK).min(MAX_TICK);
        if self.occupied == 0 {
            // No timer is due before the bound, and no slot is passed over: the earliest timers go to level 0 at once.
            self.advance_to(tick_of(self.bound_ns).min(now));
        }
        self.file();
        let mut fired = 0;
        let mut filed = 0;
        while let Some((level, slot, start)) = self.first_slot() {
            if start > now {
                break;
            }
            self.advance_to(start);
            if level == 0 {
                while let Some(index) = self.head(0, slot) {
                    if fired == limit {
                        return fired;
                    }
                    self.unlink_filed(index);
                    wakers.extend(self.entries.remove(index));
                    fired += 1;
                }
                self.bound_ns = 0;
            } else {
                if self.cascade(level, slot, &mut filed) {
                    return fired;
                }
            }
        }
        self.advance_to(now);
        if self.is_empty() {
            self.bound_ns = u64::MAX;
        } else if self.bound_ns <= self.elapsed_ns {
            self.bound_ns = 0;
        }
        fired
    }

    /// Notes that a tick has been reached.
    #[inline]
    fn advance_to(&mut self, tick: u64) {
        if tick > self.elapsed {
            self.elapsed = tick;
            self.elapsed_ns = last_ns_of(tick);
        }
    }

    /// Moves the timers of a slot, whose first tick has been reached, to lower levels. Returns true if some
    /// are left, because `filed` has reached its limit.
    fn cascade(&mut self, level: usize, slot: usize, filed: &mut usize) -> bool {
        let List { head: mut index, tail } =
            std::mem::replace(&mut self.levels[level].slots[slot], List::EMPTY);
        // The entries are scattered in memory, and only its neighbours in the list know where an entry is. So
        // a walk through the list waits for the memory of each entry. A second walk, which starts from the
        // tail and ends where the two meet, fetches half of the entries in the meantime.
        let mut fetched = tail;
        while index != NONE && *filed < CASCADE_LIMIT {
            let next = self.entries[index].next;
            if fetched != NONE {
                let is_met = fetched == index || fetched == next;
                fetched = if is_met { NONE } else { black_box(self.entries[fetched].previous) };
            }
            // The entry goes to a lower level: its tick does not differ from `elapsed` on this level any more.
            self.link(index);
            index = next;
            *filed += 1;
        }
        if index == NONE {
            self.cascading = None;
            self.vacate(level, slot);
            return false;
        }
        self.entries[index].previous = NONE;
        self.levels[level].slots[slot] = List { head: index, tail };
        self.cascading = Some((level as u8, slot as u8));
        true
    }

    /// Returns a time before which no timer is due. It is the tick of the next timer, unless that timer has
    /// been removed in the meantime. In that case the loop may wake once without need. That costs less than a
    /// search for the minimum each time that one of ten thousand timeouts is reset.
    pub(crate) fn next_ns(&mut self) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        if self.bound_ns == 0 || !self.is_filed_late() {
            self.file();
            let (level, slot, start) = self.first_slot()?;
            if level == 0 || self.cascading.is_some() {
                return Some(start * NS_PER_TICK);
            }
            if self.bound_ns == 0 {
                self.bound_ns = self.least_ns(level, slot);
            }
        }
        Some(tick_of(self.bound_ns).max(self.elapsed) * NS_PER_TICK)
    }

    /// Returns the earliest deadline in a slot.
    fn least_ns(&self, level: usize, slot: usize) -> u64 {
        let mut least = u64::MAX;
        let mut index = self.levels[level].slots[slot].head;
        while index != NONE {
            let entry = &self.entries[index];
            least = least.min(entry.ns);
            index = entry.next;
        }
        least
    }

    /// Frees the memory of many timers once there is no timer.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink();
    }

    /// Removes all timers.
    pub(crate) fn clear(&mut self, wakers: &mut Vec<Waker>) {
        self.entries.clear(wakers);
        *self = Wheel { last_generation: self.last_generation, ..Wheel::new(self.elapsed) };
    }

    /// Returns the slot that comes first: its level, its number, and its first tick, or `elapsed` if that is
    /// later.
    fn first_slot(&self) -> Option<(usize, usize, u64)> {
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

    fn head(&self, level: usize, slot: usize) -> Option<u32> {
        Some(self.levels[level].slots[slot].head).filter(|head| *head != NONE)
    }

    /// Appends an entry to the list of the timers that have not been filed.
    #[inline]
    fn keep_for_filing(&mut self, index: u32) {
        let tail = std::mem::replace(&mut self.not_filed.tail, index);
        let entry = &mut self.entries[index];
        entry.level = NOT_FILED;
        (entry.previous, entry.next) = (tail, NONE);
        match tail {
            NONE => self.not_filed.head = index,
            tail => self.entries[tail].next = index,
        }
    }

    /// Returns true if the timers are so few that new ones need not be filed until one is due.
    #[inline]
    fn is_filed_late(&self) -> bool {
        self.entries.len() <= FILED_LATE
    }

    /// Files the timers that have been inserted since the last call. They come after those that are filed already, so
    /// the timers of one tick stay in the order of their insertion.
    #[inline]
    fn file(&mut self) {
        let mut index = std::mem::replace(&mut self.not_filed, List::EMPTY).head;
        while index != NONE {
            let next = self.entries[index].next;
            self.link(index);
            index = next;
        }
    }

    /// Appends an entry to the list of its tick.
    fn link(&mut self, index: u32) {
        let entry = &mut self.entries[index];
        // A tick that has passed goes to the slot that is next in any case.
        let tick = tick_of(entry.ns).max(self.elapsed);
        let level = level_of(self.elapsed, tick);
        let slot = (tick >> (level as u32 * DIGIT_BITS)) as usize % SLOTS;
        let list = &mut self.levels[level].slots[slot];
        entry.level = level as u8;
        entry.slot = slot as u8;
        (entry.previous, entry.next) = (list.tail, NONE);
        let tail = std::mem::replace(&mut list.tail, index);
        match tail {
            NONE => list.head = index,
            tail => self.entries[tail].next = index,
        }
        self.levels[level].occupied |= 1 << slot;
        self.occupied |= 1 << level;
    }

    /// Removes an entry from its list.
    #[inline(always)]
    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index];
        if entry.level != NOT_FILED {
            return self.unlink_filed(index);
        }
        let (previous, next) = (entry.previous, entry.next);
        match previous {
            NONE => self.not_filed.head = next,
            previous => self.entries[previous].next = next,
        }
        match next {
            NONE => self.not_filed.tail = previous,
            next => self.entries[next].previous = previous,
        }
    }

    /// Removes an entry from the list of a slot.
    #[inline(never)]
    fn unlink_filed(&mut self, index: u32) {
        let entry = &self.entries[index];
        // On level 0 the next timer is found at no cost. On higher levels the bound stays as it is.
        if entry.level == 0 && entry.ns == self.bound_ns {
            self.bound_ns = 0;
        }
        let (previous, next) = (entry.previous, entry.next);
        let (level, slot) = (usize::from(entry.level), usize::from(entry.slot));
        let list = &mut self.levels[level].slots[slot];
        match previous {
            NONE => list.head = next,
            previous => self.entries[previous].next = next,
        }
        let list = &mut self.levels[level].slots[slot];
        match next {
            NONE => list.tail = previous,
            next => self.entries[next].previous = previous,
        }
        if self.levels[level].slots[slot].head == NONE {
            self.vacate(level, slot);
        }
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
fn tick_of(ns: u64) -> u64 {
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

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
