//! The run queue: ids, first in, first out.
//!
//! A ring whose size is a power of two, between two counters that only grow: how many were taken, and
//! how many were put in. So a place in the queue is a number that can be remembered (`Tasks::position`),
//! and an id put in and taken out costs 25 instructions less than with std's `VecDeque`, which is not
//! compiled in line: that is a tenth of what a task's turn costs, and the reason for this file.

use crate::runtime::id::Id;
use crate::runtime::slots::KEPT;

/// The least size that is worth an allocation.
const LEAST: usize = 64;

pub(crate) struct RunQueue {
    /// Empty, or as long as a power of two.
    ring: Box<[Id]>,
    taken: u64,
    put: u64,
}

impl RunQueue {
    pub(crate) fn new() -> RunQueue {
        RunQueue { ring: Box::default(), taken: 0, put: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        (self.put - self.taken) as usize
    }

    /// How many ids have been taken out so far.
    #[inline]
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many have been put in: what [`taken`](RunQueue::taken) will be once all of them are out.
    #[inline]
    pub(crate) fn put(&self) -> u64 {
        self.put
    }

    #[inline]
    pub(crate) fn push(&mut self, id: Id) {
        if self.len() == self.ring.len() {
            self.grow();
        }
        let place = self.place(self.put);
        self.ring[place] = id;
        self.put += 1;
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Id> {
        if self.taken == self.put {
            return None;
        }
        let id = self.ring[self.place(self.taken)];
        self.taken += 1;
        Some(id)
    }

    /// What is taken out next.
    pub(crate) fn peek(&self) -> Option<Id> {
        (self.taken != self.put).then(|| self.ring[self.place(self.taken)])
    }

    /// Takes all of them out at once, for nobody.
    pub(crate) fn clear(&mut self) {
        self.taken = self.put;
    }

    /// If the queue is empty, one place stays void, so that what is put in from now on has a
    /// [later place](RunQueue::taken) than anything before.
    #[inline]
    pub(crate) fn pass(&mut self) {
        if self.taken == self.put {
            self.put += 1;
            self.taken = self.put;
        }
    }

    /// Gives back the room of a queue that was long and is empty.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        if self.taken == self.put && self.ring.len() > KEPT {
            self.ring = Box::default();
        }
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        number as usize & self.ring.len().wrapping_sub(1)
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = RunQueue {
            ring: vec![Id::from_bits(0); (2 * self.ring.len()).max(LEAST)].into(),
            taken: self.taken,
            put: self.taken,
        };
        while let Some(id) = self.pop() {
            larger.push(id);
        }
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn it_is_first_in_first_out_at_any_length() {
        let (mut queue, mut model) = (RunQueue::new(), VecDeque::new());
        let mut next = 0;
        for round in 0..300u64 {
            // It fills and drains in waves, so that it grows with its head anywhere.
            for _ in 0..round * 7 % 23 {
                next += 1;
                queue.push(Id::from_bits(next));
                model.push_back(Id::from_bits(next));
            }
            for _ in 0..round * 5 % 19 {
                assert_eq!(queue.pop(), model.pop_front());
            }
            assert_eq!(queue.len(), model.len());
            assert_eq!(queue.put() - queue.taken(), model.len() as u64);
        }
        assert!(queue.len() > LEAST && queue.ring.len().is_power_of_two());
        while let Some(id) = model.pop_front() {
            assert_eq!(queue.pop(), Some(id));
        }
        assert_eq!((queue.pop(), queue.taken()), (None, next));
    }

    #[test]
    fn the_room_of_a_crowd_is_given_back_when_it_has_gone() {
        let mut queue = RunQueue::new();
        for n in 0..=KEPT as u64 {
            queue.push(Id::from_bits(n));
        }
        queue.shrink();
        assert!(queue.ring.len() > KEPT, "there are still ids in it");
        queue.clear();
        queue.shrink();
        assert_eq!((queue.ring.len(), queue.pop()), (0, None));
        queue.push(Id::from_bits(7));
        assert_eq!(queue.pop(), Some(Id::from_bits(7)));
        assert_eq!(queue.taken(), KEPT as u64 + 2);
    }

    #[test]
    fn what_comes_after_a_pass_has_a_later_place() {
        let mut queue = RunQueue::new();
        let before = queue.put();
        for n in 0..5 {
            queue.push(Id::from_bits(n));
            // Not while there is something in it.
            queue.pass();
            assert_eq!(queue.put(), before + 2 * n + 1);
            assert_eq!(queue.pop(), Some(Id::from_bits(n)));
            queue.pass();
            assert_eq!((queue.taken(), queue.put()), (before + 2 * n + 2, before + 2 * n + 2));
        }
    }
}
