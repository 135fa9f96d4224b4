//! Slots: where tasks and sources are, by number.
//!
//! A list, and a stack of the places in it that are vacant. Unlike with the entries of the `slab` crate,
//! no look-up asks whether somebody is in a slot: a entry who goes leaves it in a state to which an id
//! that comes late can do nothing, and whoever has an id compares the generation anyway.
//!
//! After a crowd has gone, its memory is given back: slots grow with the most tasks and sockets there
//! ever were. Before the loop goes to sleep it returns what a small rest of them does not need. That
//! is more than their own size: what was allocated last lies at the end of the heap, and keeps all
//! that was freed before it from going back to the system.

/// Slots have numbers below this one. The two above are nobody's.
pub(crate) const MAX_SLOTS: usize = u32::MAX as usize - 1;

/// So many slots are always kept: some tens of kilobytes.
pub(crate) const KEPT: usize = 1024;

/// A pass over the slots that gave nothing back is repeated after so many rests that each has paid for so
/// many of them, which is not felt.
const SLOTS_PER_REST: usize = 64;

/// What can be in a slot.
pub(crate) trait Entry {
    /// Nobody. No id, of whichever generation, may find anything to do here.
    const VACANT: Self;

    /// Whether nobody is here.
    fn is_vacant(&self) -> bool;
}

pub(crate) struct Slots<T> {
    slots: Vec<T>,
    /// The places of those that are vacant.
    vacant: Vec<u32>,
    /// With fewer entries than this, room is given back. A try costs a pass over them all, and one
    /// that is still held up by a entry in a high slot is repeated when half as many are left, or after
    /// a while: it may be that one alone that leaves.
    below: usize,
    /// Rests since the last try.
    rests: usize,
}

impl<T: Entry> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots { slots: Vec::new(), vacant: Vec::new(), below: usize::MAX, rests: 0 }
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

    /// All slots, the vacant ones too.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter()
    }

    /// All slots, the vacant ones too.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut()
    }

    /// A vacant slot, for the caller to move somebody in.
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

    /// The entry has gone, and the caller has left the slot [vacant](Entry::VACANT).
    #[inline]
    pub(crate) fn release(&mut self, slot: u32) {
        self.vacant.push(slot);
    }

    /// Gives back the room of a crowd that has gone.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        if self.slots.capacity() > KEPT {
            self.disperse();
        }
    }

    #[cold]
    fn disperse(&mut self) {
        if self.len() > self.slots.capacity() / 4 {
            self.below = usize::MAX;
            return;
        }
        self.rests += 1;
        let is_early = self.rests < self.slots.len() / SLOTS_PER_REST;
        if self.len() >= self.below && is_early && !self.is_empty() {
            return;
        }
        (self.below, self.rests) = (self.len() / 2, 0);
        let needed = self.slots.iter().rposition(|entry| !entry.is_vacant()).map_or(0, |last| last + 1);
        if needed <= self.slots.capacity() / 4 {
            // Moved rather than cut short where they are, which is likely at the heap's end.
            let mut slots = Vec::with_capacity(needed);
            self.slots.truncate(needed);
            slots.append(&mut self.slots);
            self.slots = slots;
            self.vacant = Vec::new();
        }
        // The lowest is the next to be taken: so entries stay together.
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

    const CROWD: usize = if cfg!(miri) { 1_500 } else { 10_000 };

    fn crowd(slots: &mut Slots<usize>) -> Vec<u32> {
        let enter = |n| {
            let (slot, entry) = slots.claim();
            assert_eq!(*entry, usize::VACANT);
            *entry = n;
            slot
        };
        (0..CROWD).map(enter).collect()
    }

    fn leave(slots: &mut Slots<usize>, slot: u32) {
        *slots.get_mut(slot).unwrap() = usize::VACANT;
        slots.release(slot);
    }

    #[test]
    fn a_slot_has_one_tenant_at_a_time() {
        let mut slots = Slots::new();
        let numbers = crowd(&mut slots);
        assert!(numbers.iter().copied().eq(0..CROWD as u32));
        for slot in [7, 3, 1_400] {
            leave(&mut slots, slot);
        }
        assert_eq!(slots.len(), CROWD - 3);
        // Those that were left come first, the last one of them first.
        let again: Vec<u32> = (0..4).map(|_| slots.claim().0).collect();
        assert_eq!(again, [1_400, 3, 7, CROWD as u32]);
        assert_eq!((slots.len(), slots.get(CROWD as u32 + 1)), (CROWD + 1, None));
    }

    #[test]
    fn they_shrink_once_their_crowd_has_gone() {
        let mut slots = Slots::new();
        for round in 0..if cfg!(miri) { 1 } else { 3 } {
            let numbers = crowd(&mut slots);
            slots.shrink();
            assert!(slots.slots.capacity() > KEPT);
            // In no order.
            for n in (0..CROWD).map(|n| n * 7 % CROWD).filter(|n| *n >= 10) {
                leave(&mut slots, numbers[n]);
            }
            slots.shrink();
            assert!(slots.slots.capacity() <= KEPT, "{} in round {round}", slots.slots.capacity());
            assert!(slots.vacant.capacity() <= KEPT, "{} in round {round}", slots.vacant.capacity());
            assert_eq!(slots.len(), 10);
            assert!((0..10).all(|n| slots.get(numbers[n]) == Some(&n)), "the rest is where it was");
            for slot in &numbers[..10] {
                leave(&mut slots, *slot);
            }
        }
    }

    #[test]
    fn a_high_slot_holds_it_up_without_a_try_each_time() {
        let mut slots = Slots::new();
        let numbers = crowd(&mut slots);
        slots.shrink();
        for slot in &numbers[..CROWD - 1] {
            leave(&mut slots, *slot);
            slots.shrink();
        }
        assert!(slots.slots.capacity() > KEPT);
        leave(&mut slots, numbers[CROWD - 1]);
        slots.shrink();
        assert!(slots.slots.capacity() <= KEPT);
        assert_eq!((slots.len(), slots.claim().0), (0, 0));
    }

    #[test]
    fn one_that_stays_in_a_low_slot_does_not_hold_it_up_for_ever() {
        let mut slots = Slots::new();
        let numbers = crowd(&mut slots);
        for slot in &numbers[1..CROWD - 1] {
            leave(&mut slots, *slot);
            slots.shrink();
        }
        leave(&mut slots, numbers[CROWD - 1]);
        (0..CROWD / SLOTS_PER_REST + 1).for_each(|_| slots.shrink());
        assert!(slots.slots.capacity() <= KEPT);
        assert_eq!((slots.len(), slots.get(numbers[0])), (1, Some(&0)));
    }
}
