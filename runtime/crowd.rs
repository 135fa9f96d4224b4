//! Giving memory back after a crowd has gone.
//!
//! Slots and queues grow with the most tasks and sockets there ever were. Before the loop goes to
//! sleep it returns what a small rest of them does not need. That is more than their own size: what
//! was allocated last lies at the end of the heap, and keeps all that was freed before it from going
//! back to the system.

use slab::Slab;

/// So much is always kept: some tens of kilobytes.
pub(crate) const KEPT: usize = 1024;

/// When to try next to make a slab smaller.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// With fewer entries than this. A try costs a pass over the slab, and one that is still held up
    /// by an entry in a high slot is repeated when half as many are left.
    below: usize,
}

impl Crowd {
    pub(crate) fn new() -> Crowd {
        Crowd { below: usize::MAX }
    }

    /// Gives back what the slab has beyond its last entry, if it is mostly empty.
    #[inline]
    pub(crate) fn disperse<T>(&mut self, slab: &mut Slab<T>) {
        if slab.capacity() > KEPT {
            self.disperse_many(slab);
        }
    }

    #[cold]
    fn disperse_many<T>(&mut self, slab: &mut Slab<T>) {
        if slab.len() > slab.capacity() / 4 {
            self.below = usize::MAX;
        } else if slab.len() < self.below || slab.is_empty() {
            self.below = slab.len() / 2;
            let needed = slab.iter().next_back().map_or(0, |(key, _)| key + 1);
            if needed <= slab.capacity() / 4 {
                // Moved rather than cut short where it is, which is likely at the heap's end.
                *slab = std::mem::take(slab).into_iter().collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROWD: usize = if cfg!(miri) { 1_500 } else { 10_000 };

    #[test]
    fn a_slab_shrinks_once_its_crowd_has_gone() {
        let (mut slab, mut crowd) = (Slab::new(), Crowd::new());
        for round in 0..if cfg!(miri) { 1 } else { 3 } {
            let keys: Vec<usize> = (0..CROWD).map(|n| slab.insert(n)).collect();
            crowd.disperse(&mut slab);
            assert!(slab.capacity() > KEPT);
            for key in &keys[10..] {
                slab.remove(*key);
            }
            crowd.disperse(&mut slab);
            assert!(slab.capacity() <= KEPT, "{} in round {round}", slab.capacity());
            assert_eq!(slab.len(), 10);
            for key in &keys[..10] {
                slab.remove(*key);
            }
        }
    }

    #[test]
    fn a_high_slot_holds_it_up_without_a_try_each_time() {
        let (mut slab, mut crowd) = (Slab::new(), Crowd::new());
        let keys: Vec<usize> = (0..CROWD).map(|n| slab.insert(n)).collect();
        crowd.disperse(&mut slab);
        for key in &keys[..CROWD - 1] {
            slab.remove(*key);
            crowd.disperse(&mut slab);
        }
        assert!(slab.capacity() > KEPT);
        slab.remove(CROWD - 1);
        crowd.disperse(&mut slab);
        assert!(slab.capacity() <= KEPT);
    }
}
