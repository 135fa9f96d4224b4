//! The storage of the wheel's timers: a vector of entries, and lists of them. Each timer keeps its index while it
//! exists.
//!
//! It does what the `slab` crate does, at a lower cost: an entry is filled and emptied in place. If the
//! fields of an entry were written first and the entry then moved as a whole, the move would have to wait for
//! those writes. Since there may be very many timers, the vector does not double when it grows.
//!
//! This file does not know what a list stands for: the wheel chooses the list of a timer.

use std::mem;
use std::ops::{Index, IndexMut};
use std::task::Waker;

/// The index of no entry: the end of a list.
pub(super) const NONE: u32 = u32::MAX;

/// The number of timers for which memory is always kept: 40 KB.
const KEPT: usize = 1024;

/// The divisor of growth: beyond [`KEPT`] entries the vector grows by a quarter, so at most a fifth of it is
/// unused after it has grown. An entry is moved four times on average, or not at all, because the system
/// moves blocks of that size by their pages. (When the vector grew by an eighth, arming 100,000 timers took
/// twice as long, 28 ns for each. With a quarter it takes as long as with doubling.)
const GROWTH: usize = 4;

pub(super) struct Entries {
    all: Vec<TimerEntry>,
    /// The first vacant entry. `next` links the vacant entries.
    vacant: u32,
    occupied: u32,
}

pub(crate) struct TimerEntry {
    /// The deadline in nanoseconds.
    pub(super) ns: u64,
    /// The waker. An entry is occupied if and only if it has one.
    pub(crate) waker: Option<Waker>,
    pub(super) previous: u32,
    pub(super) next: u32,
    pub(super) generation: u16,
    pub(super) slot: u8,
    pub(super) level: u8,
}

/// A list of timers, which are linked by their indices.
#[derive(Clone, Copy)]
pub(super) struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
}

impl List {
    pub(super) const EMPTY: List = List { head: NONE, tail: NONE };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    /// Appends an entry, which is in no list.
    #[inline]
    pub(super) fn append(&mut self, entries: &mut Entries, index: u32) {
        let tail = mem::replace(&mut self.tail, index);
        let entry = &mut entries[index];
        (entry.previous, entry.next) = (tail, NONE);
        match tail {
            NONE => self.head = index,
            tail => entries[tail].next = index,
        }
    }

    /// Removes an entry, which is in this list.
    #[inline]
    pub(super) fn unlink(&mut self, entries: &mut Entries, index: u32) {
        let entry = &entries[index];
        let (previous, next) = (entry.previous, entry.next);
        match previous {
            NONE => self.head = next,
            previous => entries[previous].next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => entries[next].previous = previous,
        }
    }
}

impl Entries {
    pub(super) fn new() -> Entries {
        Entries { all: Vec::new(), vacant: NONE, occupied: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.occupied as usize
    }

    /// Adds a timer. The caller has to link its entry.
    #[inline]
    pub(super) fn insert(&mut self, ns: u64, generation: u16, waker: Waker) -> u32 {
        if self.vacant == NONE {
            self.grow();
        }
        let index = self.vacant;
        let entry = &mut self.all[index as usize];
        self.vacant = entry.next;
        self.occupied += 1;
        entry.ns = ns;
        entry.generation = generation;
        // A vacant entry has no waker. So its slot is written without a look at what was in it.
        mem::forget(entry.waker.replace(waker));
        index
    }

    /// Returns the entry at an index if it is occupied. The index may be out of range.
    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut TimerEntry> {
        self.all.get_mut(index as usize).filter(|entry| entry.waker.is_some())
    }

    /// Removes a timer. The caller must have unlinked its entry.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) -> Option<Waker> {
        let entry = &mut self.all[index as usize];
        debug_assert!(entry.waker.is_some(), "a vacant entry is removed");
        entry.next = mem::replace(&mut self.vacant, index);
        self.occupied -= 1;
        entry.waker.take()
    }

    /// Frees the memory of many timers once there is no timer.
    #[inline]
    pub(super) fn shrink(&mut self) {
        if self.is_empty() && self.all.capacity() > KEPT {
            *self = Entries::new();
        }
    }

    /// Removes all timers.
    pub(super) fn clear(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(mem::replace(self, Entries::new()).all.into_iter().filter_map(|entry| entry.waker));
    }

    /// Adds a vacant entry. Called when there is none.
    #[cold]
    fn grow(&mut self) {
        let len = self.all.len();
        assert!(len < NONE as usize, "too many timers: a runtime can have fewer than 2^32 - 1 of them");
        if len == self.all.capacity() && len >= KEPT {
            self.all.reserve_exact(len / GROWTH);
        }
        self.all.push(TimerEntry {
            ns: 0,
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

/// Returns an entry, whether it is vacant or not.
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
    fn an_entry_takes_forty_bytes() {
        assert_eq!(size_of::<TimerEntry>(), 40);
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many timers for an interpreter")]
    fn little_memory_is_unused_however_many_timers_there_are() {
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
    fn vacant_entries_are_reused_first_and_memory_is_freed() {
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
