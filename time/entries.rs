//! The wheel's timers: entries side by side, each at an index that stays while the timer is there.
//!
//! It does what the `slab` crate does, at a lower price: an entry is filled and emptied in its place.
//! Moved as a whole, right after its parts were written, it would have to wait for them. And there may
//! be very many, so their room does not double.
//!
//! It knows neither lists nor ticks: the wheel links what it puts in here.

use std::mem;
use std::ops::{Index, IndexMut};
use std::task::Waker;

/// No entry: the end of a list.
pub(super) const NONE: u32 = u32::MAX;

/// Room for so many timers is always kept: 40 KB.
const KEPT: usize = 1024;

/// Beyond that it grows by one part in so many, and no more than that is unused. An entry is then
/// moved as many times, if at all: of blocks so large the system moves the pages. (With an eighth it
/// took twice as long to arm 100,000 timers, 28 ns each; with a quarter as long as with doubling.)
const GROWTH: usize = 4;

pub(super) struct Entries {
    all: Vec<TimerEntry>,
    /// The first of those that are vacant. `next` leads on from there.
    vacant: u32,
    occupied: u32,
}

pub(crate) struct TimerEntry {
    pub(super) tick: u64,
    /// There is one as long as the entry is occupied.
    pub(crate) waker: Option<Waker>,
    pub(super) previous: u32,
    pub(super) next: u32,
    pub(super) generation: u16,
    pub(super) slot: u8,
    pub(super) level: u8,
}

impl Entries {
    pub(super) fn new() -> Entries {
        Entries { all: Vec::new(), vacant: NONE, occupied: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Puts a timer in, and leaves it to the caller to link it.
    #[inline]
    pub(super) fn insert(&mut self, tick: u64, generation: u16, waker: Waker) -> u32 {
        if self.vacant == NONE {
            self.grow();
        }
        let index = self.vacant;
        let entry = &mut self.all[index as usize];
        self.vacant = entry.next;
        self.occupied += 1;
        entry.tick = tick;
        entry.generation = generation;
        entry.waker = Some(waker);
        index
    }

    /// The entry at an index, which may be vacant or none at all.
    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut TimerEntry> {
        self.all.get_mut(index as usize).filter(|entry| entry.waker.is_some())
    }

    /// Takes a timer out, which the caller has unlinked.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) -> Option<Waker> {
        let entry = &mut self.all[index as usize];
        debug_assert!(entry.waker.is_some(), "a vacant entry is removed");
        entry.next = mem::replace(&mut self.vacant, index);
        self.occupied -= 1;
        entry.waker.take()
    }

    /// Gives back the room of many timers once there is none.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() && self.all.capacity() > KEPT {
            *self = Entries::new();
        }
    }

    /// Takes out every timer.
    pub(super) fn clear(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(mem::replace(self, Entries::new()).all.into_iter().filter_map(|entry| entry.waker));
    }

    /// Makes an entry that is vacant, when none is.
    #[cold]
    fn grow(&mut self) {
        let len = self.all.len();
        assert!(len < NONE as usize, "fewer than 2^32 - 1 timers");
        if len == self.all.capacity() && len >= KEPT {
            self.all.reserve_exact(len / GROWTH);
        }
        self.all.push(TimerEntry {
            tick: 0,
            waker: None,
            previous: NONE,
            next: NONE,
            generation: 0,
            slot: 0,
            level: 0,
        });
        self.vacant = len as u32;
    }
}

/// Whether it is vacant or not.
impl Index<u32> for Entries {
    type Output = TimerEntry;

    #[inline]
    fn index(&self, index: u32) -> &TimerEntry {
        &self.all[index as usize]
    }
}

impl IndexMut<u32> for Entries {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut TimerEntry {
        &mut self.all[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_armed_timer_takes_forty_bytes_here() {
        assert_eq!(size_of::<TimerEntry>(), 40);
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many timers for an interpreter")]
    fn little_is_unused_however_many_there_are() {
        let mut entries = Entries::new();
        let (mut moves, mut capacity) = (0, 0);
        for count in 1..=1_000_000 {
            entries.insert(1, 1, Waker::noop().clone());
            if entries.all.capacity() != capacity {
                (capacity, moves) = (entries.all.capacity(), moves + count);
                assert!(capacity <= KEPT.max(count + count / GROWTH));
            }
        }
        assert!(moves < (GROWTH + 1) * 1_000_000, "{moves} moves");
    }

    #[test]
    fn what_was_vacated_is_taken_first_and_room_is_given_back() {
        let mut entries = Entries::new();
        let count = KEPT as u32 + 1;
        for index in 0..count {
            assert_eq!(entries.insert(1, 1, Waker::noop().clone()), index);
        }
        for index in [3, 5] {
            assert!(entries.remove(index).is_some());
            assert!(entries.get_mut(index).is_none());
        }
        for index in [5, 3, count] {
            assert_eq!(entries.insert(1, 1, Waker::noop().clone()), index);
        }
        assert!(entries.get_mut(count + 1).is_none());
        for index in 0..=count {
            entries.shrink();
            assert!(entries.remove(index).is_some());
        }
        entries.shrink();
        assert!(entries.is_empty());
        assert_eq!(entries.all.capacity(), 0);
    }
}
