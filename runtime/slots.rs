//! Slots: a table of tasks or sources, which are found by number.
//!
//! The table is a list with a stack of the vacant slots in it. Unlike in the `slab` crate, no look-up checks whether a
//! slot is vacant: an entry that is removed leaves its slot in a state in which a stale id has no effect, and every
//! holder of an id compares the generation anyway.
//!
//! The list grows to the largest number of tasks or sockets that existed at a time. When most of them have been
//! removed, the memory is given back: before the loop goes to sleep, it frees the slots that the few remaining entries
//! do not need. That gives back more than the size of the slots themselves: the memory that was allocated last lies at
//! the end of the heap, and keeps all memory that was freed before it from being returned to the system.

/// The upper limit of slot numbers. The two numbers from it on are never those of a slot.
pub(crate) const MAX_SLOTS: usize = u32::MAX as usize - 1;

/// The number of slots that are always kept: some tens of kilobytes.
pub(crate) const KEPT: usize = 1024;

/// The number of slots that one call of [`shrink`](Slots::shrink) may scan on average, which is too few to be noticed:
/// an attempt that freed nothing is repeated after one call for every 64 slots.
const SLOTS_PER_CALL: usize = 64;

/// A value that can be in a slot.
pub(crate) trait Entry {
    /// The value of a vacant slot. An id of any generation must have no effect on it.
    const VACANT: Self;

    /// Returns whether the slot is vacant.
    fn is_vacant(&self) -> bool;
}

pub(crate) struct Slots<T> {
    slots: Vec<T>,
    /// The numbers of the vacant slots.
    vacant: Vec<u32>,
    /// With fewer entries than this, an attempt to shrink is made. An attempt scans all slots. If an entry in a high
    /// slot prevents it from freeing any, the next attempt is made when half as many entries are left, or after a
    /// number of calls, since it may be just that one entry that is removed.
    shrink_below: usize,
    /// The number of calls of [`shrink`](Slots::shrink) since the latest attempt.
    calls: usize,
}

impl<T: Entry> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots { slots: Vec::new(), vacant: Vec::new(), shrink_below: usize::MAX, calls: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)
    }

    /// Returns an iterator over all slots, including vacant ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter()
    }

    /// Returns an iterator over all slots, including vacant ones.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut()
    }

    /// Returns a vacant slot, which the caller fills.
    #[inline]
    pub(crate) fn claim(&mut self) -> (u32, &mut T) {
        let slot = match self.vacant.pop() {
            Some(slot) => slot,
            None => self.grow(),
        };
        (slot, &mut self.slots[slot as usize])
    }

    #[inline]
    fn grow(&mut self) -> u32 {
        let slot = self.slots.len();
        assert!(slot < MAX_SLOTS, "fewer than 2^32 - 2 tasks or sockets at a time");
        self.slots.push(T::VACANT);
        slot as u32
    }

    /// Releases a slot. The caller has set it to [`VACANT`](Entry::VACANT).
    #[inline]
    pub(crate) fn release(&mut self, slot: u32) {
        self.vacant.push(slot);
    }

    /// Frees memory if few entries are left of many.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        if self.slots.capacity() > KEPT {
            self.shrink_large();
        }
    }

    #[cold]
    fn shrink_large(&mut self) {
        if self.len() > self.slots.capacity() / 4 {
            self.shrink_below = usize::MAX;
            return;
        }
        self.calls += 1;
        let is_early = self.calls < self.slots.len() / SLOTS_PER_CALL;
        if self.len() >= self.shrink_below && is_early && !self.is_empty() {
            return;
        }
        (self.shrink_below, self.calls) = (self.len() / 2, 0);
        let needed = self.slots.iter().rposition(|entry| !entry.is_vacant()).map_or(0, |last| last + 1);
        if needed <= self.slots.capacity() / 4 {
            // Moved to a new allocation rather than truncated in place: the old one is probably at the end of the
            // heap.
            let mut slots = Vec::with_capacity(needed);
            self.slots.truncate(needed);
            slots.append(&mut self.slots);
            self.slots = slots;
            self.vacant = Vec::new();
        }
        // The lowest vacant slot is claimed first, so that the entries stay together.
        self.vacant.clear();
        for (slot, entry) in self.slots.iter().enumerate().rev() {
            if entry.is_vacant() {
                self.vacant.push(slot as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Entry for usize {
        const VACANT: usize = usize::MAX;

        fn is_vacant(&self) -> bool {
            *self == usize::VACANT
        }
    }

    const MANY: usize = if cfg!(miri) { 1_500 } else { 10_000 };

    fn fill(slots: &mut Slots<usize>) -> Vec<u32> {
        let insert = |n| {
            let (slot, entry) = slots.claim();
            assert_eq!(*entry, usize::VACANT);
            *entry = n;
            slot
        };
        (0..MANY).map(insert).collect()
    }

    fn remove(slots: &mut Slots<usize>, slot: u32) {
        *slots.get_mut(slot).unwrap() = usize::VACANT;
        slots.release(slot);
    }

    #[test]
    fn a_slot_has_one_entry_at_a_time() {
        let mut slots = Slots::new();
        let numbers = fill(&mut slots);
        assert!(numbers.iter().copied().eq(0..MANY as u32));
        for slot in [7, 3, 1_400] {
            remove(&mut slots, slot);
        }
        assert_eq!(slots.len(), MANY - 3);
        // The slots that were released are claimed first, beginning with the last one.
        let again: Vec<u32> = (0..4).map(|_| slots.claim().0).collect();
        assert_eq!(again, [1_400, 3, 7, MANY as u32]);
        assert_eq!((slots.len(), slots.get(MANY as u32 + 1)), (MANY + 1, None));
    }

    #[test]
    fn they_shrink_once_most_entries_have_been_removed() {
        let mut slots = Slots::new();
        for round in 0..if cfg!(miri) { 1 } else { 3 } {
            let numbers = fill(&mut slots);
            slots.shrink();
            assert!(slots.slots.capacity() > KEPT);
            // The entries are removed in a scattered order.
            for n in (0..MANY).map(|n| n * 7 % MANY).filter(|n| *n >= 10) {
                remove(&mut slots, numbers[n]);
            }
            slots.shrink();
            assert!(slots.slots.capacity() <= KEPT, "{} in round {round}", slots.slots.capacity());
            assert!(slots.vacant.capacity() <= KEPT, "{} in round {round}", slots.vacant.capacity());
            assert_eq!(slots.len(), 10);
            assert!((0..10).all(|n| slots.get(numbers[n]) == Some(&n)), "the other entries have not moved");
            for slot in &numbers[..10] {
                remove(&mut slots, *slot);
            }
        }
    }

    #[test]
    fn an_entry_in_a_high_slot_does_not_cause_an_attempt_at_each_call() {
        let mut slots = Slots::new();
        let numbers = fill(&mut slots);
        slots.shrink();
        for slot in &numbers[..MANY - 1] {
            remove(&mut slots, *slot);
            slots.shrink();
        }
        assert!(slots.slots.capacity() > KEPT);
        remove(&mut slots, numbers[MANY - 1]);
        slots.shrink();
        assert!(slots.slots.capacity() <= KEPT);
        assert_eq!((slots.len(), slots.claim().0), (0, 0));
    }

    #[test]
    fn an_entry_in_a_low_slot_does_not_prevent_shrinking_for_ever() {
        let mut slots = Slots::new();
        let numbers = fill(&mut slots);
        for slot in &numbers[1..MANY - 1] {
            remove(&mut slots, *slot);
            slots.shrink();
        }
        remove(&mut slots, numbers[MANY - 1]);
        (0..MANY / SLOTS_PER_CALL + 1).for_each(|_| slots.shrink());
        assert!(slots.slots.capacity() <= KEPT);
        assert_eq!((slots.len(), slots.get(numbers[0])), (1, Some(&0)));
    }
}
