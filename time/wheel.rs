//! The timer wheel: which deadline comes next, and whom to wake then.
//!
//! Hierarchical and hashed, after Varghese and Lauck ("Hashed and hierarchical timing wheels",
//! 1987). Nine levels of 64 slots each: a slot of level 0 is one tick, a slot of level *n* covers
//! 64^*n* of them. A timer lies on the level of the highest base-64 digit in which its tick differs
//! from `elapsed`, in the slot of its own digit there; so all of a level is due before any of the
//! next, and the slots of a level in order. When `elapsed` enters a slot of a higher level, its
//! timers are filed anew, lower down ("cascade"). Nine levels cover all ticks there are, so nothing
//! ever wraps.
//!
//! Occupancy is one word a level; slots are lists linked by index through the entries. Insert and
//! remove take constant time and allocate nothing beyond an entry.
//!
//! The wheel knows neither clock nor tasks. Wakers are stored, moved and compared here, never
//! cloned, woken or dropped.

use super::entries::{Entries, NONE, TimerEntry};
use std::hint::black_box;
use std::task::Waker;

const LEVELS: usize = 9;
const SLOTS: usize = 64;
const DIGIT_BITS: u32 = 6;

/// Ticks have 54 bits; later deadlines (after 570 years) are filed here.
pub(crate) const MAX_TICK: u64 = (1 << (LEVELS as u32 * DIGIT_BITS)) - 1;

/// Timers filed anew at most in one [`Wheel::expire`]: a million of them on one tick would stop
/// everything else for tens of milliseconds.
const CASCADE_LIMIT: usize = 4096;

/// Names a timer in this wheel, as long as its tick is known too; see [`Wheel::find`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u16,
}

pub(crate) struct Wheel {
    /// Every timer of an earlier tick has fired.
    elapsed: u64,
    entries: Entries,
    levels: Box<[Level; LEVELS]>,
    /// A bit for each level that is not empty.
    occupied: u16,
    /// No timer is due before this; `None` if that is to be found out.
    bound: Option<u64>,
    /// A slot of a higher level that is being filed anew; it comes before all else.
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
    pub(crate) fn new(elapsed: u64) -> Wheel {
        let empty = Level { occupied: 0, slots: [List::EMPTY; SLOTS] };
        Wheel {
            elapsed: elapsed.min(MAX_TICK),
            entries: Entries::new(),
            // By way of the heap, so that a small stack is enough.
            levels: vec![empty; LEVELS].try_into().unwrap_or_else(|_| unreachable!("the length is LEVELS")),
            occupied: 0,
            bound: None,
            cascading: None,
            last_generation: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every timer of an earlier tick has fired.
    pub(crate) fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// Files a timer. A tick that has passed is due at once.
    #[inline]
    pub(crate) fn insert(&mut self, tick: u64, waker: Waker) -> Key {
        self.last_generation = self.last_generation.wrapping_add(1);
        let generation = self.last_generation;
        self.bound = if self.is_empty() { Some(tick) } else { self.bound.map(|bound| bound.min(tick)) };
        let slot = self.entries.insert(tick, generation, waker);
        self.link(slot);
        Key { slot, generation }
    }

    /// The timer of that key and tick, unless it has fired.
    ///
    /// Generations wrap, but the tick makes sure: the key of a timer that has fired comes with a
    /// tick that has passed, and whatever timer has its slot now was filed with one to come.
    #[inline]
    pub(crate) fn find(&mut self, key: Key, tick: u64) -> Option<&mut TimerEntry> {
        let entry = self.entries.get_mut(key.slot)?;
        (entry.generation == key.generation && entry.tick == tick).then_some(entry)
    }

    /// Takes a timer out, unless it has fired.
    #[inline]
    pub(crate) fn remove(&mut self, key: Key, tick: u64) -> Option<Waker> {
        let level = self.find(key, tick)?.level;
        self.unlink(key.slot);
        let waker = self.entries.remove(key.slot);
        self.forget_bound(tick, level);
        if self.is_empty() {
            self.cascading = None;
        }
        waker
    }

    /// Files a timer anew under another tick; its key and its waker stay. False if it has fired.
    pub(crate) fn reset(&mut self, key: Key, tick: u64, new_tick: u64) -> bool {
        let Some(entry) = self.find(key, tick) else {
            return false;
        };
        let level = entry.level;
        entry.tick = new_tick;
        self.unlink(key.slot);
        self.link(key.slot);
        self.forget_bound(tick, level);
        self.bound = self.bound.map(|bound| bound.min(new_tick));
        true
    }

    /// Moves to tick `now`, and the wakers of at most `limit` timers that are due into `wakers`, in
    /// the order of their ticks. Returns how many; call again if it is `limit`.
    pub(crate) fn expire(&mut self, now: u64, limit: usize, wakers: &mut Vec<Waker>) -> usize {
        let now = now.min(MAX_TICK);
        let mut fired = 0;
        let mut filed = 0;
        while let Some((level, slot, start)) = self.first_slot() {
            if start > now {
                break;
            }
            self.elapsed = self.elapsed.max(start);
            if level == 0 {
                while let Some(index) = self.head(0, slot) {
                    if fired == limit {
                        return fired;
                    }
                    self.unlink(index);
                    wakers.extend(self.entries.remove(index));
                    fired += 1;
                }
                self.bound = None;
            } else {
                if self.cascade(level, slot, &mut filed) {
                    return fired;
                }
            }
        }
        self.elapsed = self.elapsed.max(now);
        if self.bound.is_some_and(|bound| bound <= now) {
            self.bound = None;
        }
        fired
    }

    /// Files the timers of a slot anew, whose first tick has come. True if some are left, since
    /// `filed` has reached its limit.
    fn cascade(&mut self, level: usize, slot: usize, filed: &mut usize) -> bool {
        let List { head: mut index, tail } =
            std::mem::replace(&mut self.levels[level].slots[slot], List::EMPTY);
        // Entries lie about in memory, and only its neighbours know where one is: a walk waits for
        // each. A second walk, from the tail to where they meet, fetches half of them meanwhile.
        let mut fetched = tail;
        while index != NONE && *filed < CASCADE_LIMIT {
            let next = self.entries[index].next;
            if fetched != NONE {
                let is_met = fetched == index || fetched == next;
                fetched = if is_met { NONE } else { black_box(self.entries[fetched].previous) };
            }
            // Lower down: on this level it does not differ from `elapsed` any more.
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

    /// No timer is due before this tick. It is the tick of the next timer, unless the timer that
    /// was next has been removed since: then the loop may wake once for nothing, which costs less
    /// than to look for the minimum each time that one of ten thousand timeouts is set anew.
    pub(crate) fn next_tick(&mut self) -> Option<u64> {
        let (level, slot, start) = self.first_slot()?;
        if level == 0 || self.cascading.is_some() {
            return Some(start);
        }
        if self.bound.is_none() {
            let mut least = u64::MAX;
            let mut index = self.levels[level].slots[slot].head;
            while index != NONE {
                let entry = &self.entries[index];
                least = least.min(entry.tick);
                index = entry.next;
            }
            self.bound = Some(least);
        }
        self.bound
    }

    /// Gives back the room of many timers once there is none.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink();
    }

    /// Takes out every timer.
    pub(crate) fn clear(&mut self, wakers: &mut Vec<Waker>) {
        self.entries.clear(wakers);
        *self = Wheel { last_generation: self.last_generation, ..Wheel::new(self.elapsed) };
    }

    /// The slot that comes first: its level, its number, and its first tick, or `elapsed` if it has
    /// begun.
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

    /// Appends an entry to the list where its tick belongs.
    fn link(&mut self, index: u32) {
        let entry = &mut self.entries[index];
        // What has passed goes to the slot that is next in any case.
        let tick = entry.tick.clamp(self.elapsed, MAX_TICK);
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

    /// Takes an entry out of its list.
    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index];
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

    /// A list has become empty.
    fn vacate(&mut self, level: usize, slot: usize) {
        self.levels[level].occupied &= !(1 << slot);
        if self.levels[level].occupied == 0 {
            self.occupied &= !(1 << level);
        }
    }

    /// A timer of that tick and level is not there any more. On level 0 the next one is found at
    /// no cost; above, the bound stays as it is.
    #[inline]
    fn forget_bound(&mut self, tick: u64, level: u8) {
        if level == 0 && self.bound == Some(tick) {
            self.bound = None;
        }
    }
}

/// The highest base-64 digit in which the two differ.
fn level_of(elapsed: u64, tick: u64) -> usize {
    let differing = (elapsed ^ tick) | 1;
    (differing.ilog2() / DIGIT_BITS) as usize
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
