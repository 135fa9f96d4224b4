//! The timer wheel: it finds the next deadline and the wakers of the timers that are due.
//!
//! It is a hierarchical timing wheel, after Varghese and Lauck ("Hashed and hierarchical timing wheels", 1987). Its
//! [levels](super::levels) keep the timers in the order of their ticks.
//!
//! Most timers are timeouts, and most of those are removed soon. So a new timer only joins a list, and goes to its slot
//! on a level ("is filed") when a timer becomes due, or when the next deadline is not known any more. If there are many
//! timers, the new ones are filed in each turn of the loop, so that no turn has to file very many. Until then the tick of
//! a timer need not be known either: callers have deadlines in nanoseconds, which are rounded up to ticks.
//!
//! Insert and remove take constant time, and allocate nothing besides the entry.
//!
//! The wheel knows neither clock nor tasks. It stores, moves and compares wakers, and never clones, wakes or drops them.

use super::entries::{Entries, List, NONE, TimerEntry};
pub(crate) use super::levels::NS_PER_TICK;
use super::levels::{LEVELS, Levels, MAX_TICK, tick_of};
use std::mem;
use std::task::Waker;

/// The level of a timer that has not been filed.
const NOT_FILED: u8 = LEVELS as u8;

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
    entries: Entries,
    /// The timers that have not been filed, in the order of their insertion.
    not_filed: List,
    levels: Levels,
    /// A lower bound: no timer is due before this deadline. Zero if the bound has to be computed.
    bound_ns: u64,
    last_generation: u16,
}

impl Wheel {
    /// Creates a wheel that has reached a tick.
    pub(crate) fn new(elapsed: u64) -> Wheel {
        Wheel {
            entries: Entries::new(),
            not_filed: List::EMPTY,
            levels: Levels::new(elapsed),
            bound_ns: u64::MAX,
            last_generation: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the latest deadline that has been reached. Every timer with an earlier deadline is due or has fired.
    #[inline]
    pub(crate) fn elapsed_ns(&self) -> u64 {
        self.levels.elapsed_ns()
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
            self.levels.cascading = None;
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
        if self.levels.is_empty() {
            // No timer is due before the bound, and no slot is passed over: the earliest timers go to level 0 at once.
            self.levels.advance_to(tick_of(self.bound_ns).min(now));
        }
        self.file();
        let mut fired = 0;
        let mut moved = 0;
        while let Some((level, slot, start)) = self.levels.first_slot() {
            if start > now {
                break;
            }
            self.levels.advance_to(start);
            if level == 0 {
                while let Some(index) = self.levels.head(0, slot) {
                    if fired == limit {
                        return fired;
                    }
                    self.unlink_filed(index);
                    wakers.extend(self.entries.remove(index));
                    fired += 1;
                }
                self.bound_ns = 0;
            } else {
                if self.levels.cascade(&mut self.entries, level, slot, &mut moved) {
                    return fired;
                }
            }
        }
        self.levels.advance_to(now);
        if self.is_empty() {
            self.bound_ns = u64::MAX;
        } else if self.bound_ns <= self.levels.elapsed_ns() {
            self.bound_ns = 0;
        }
        fired
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
            let (level, slot, start) = self.levels.first_slot()?;
            if level == 0 || self.levels.cascading.is_some() {
                return Some(start * NS_PER_TICK);
            }
            if self.bound_ns == 0 {
                self.bound_ns = self.levels.least_ns(&self.entries, level, slot);
            }
        }
        Some(tick_of(self.bound_ns).max(self.levels.elapsed) * NS_PER_TICK)
    }

    /// Frees the memory of many timers once there is no timer.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink();
    }

    /// Removes all timers.
    pub(crate) fn clear(&mut self, wakers: &mut Vec<Waker>) {
        self.entries.clear(wakers);
        *self = Wheel { last_generation: self.last_generation, ..Wheel::new(self.levels.elapsed) };
    }

    /// Appends an entry to the list of the timers that have not been filed.
    #[inline]
    fn keep_for_filing(&mut self, index: u32) {
        self.entries[index].level = NOT_FILED;
        self.not_filed.append(&mut self.entries, index);
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
        let mut index = mem::replace(&mut self.not_filed, List::EMPTY).head;
        while index != NONE {
            let next = self.entries[index].next;
            self.levels.file(&mut self.entries, index);
            index = next;
        }
    }

    /// Removes an entry from its list.
    #[inline(always)]
    fn unlink(&mut self, index: u32) {
        match self.entries[index].level {
            NOT_FILED => self.not_filed.unlink(&mut self.entries, index),
            _ => self.unlink_filed(index),
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
        self.levels.unlink(&mut self.entries, index);
    }
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
