//! The messages of a channel, first in first out. After a burst the queue gives its memory back while it is emptied.

use std::collections::VecDeque;

/// The capacity below which memory is kept. A channel whose receiver keeps up needs no more.
const KEPT: usize = 64;

pub(super) struct Queue<T>(VecDeque<T>);

impl<T> Queue<T> {
    pub(super) const fn new() -> Queue<T> {
        Queue(VecDeque::new())
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn push(&mut self, message: T) {
        self.0.push_back(message);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        let message = self.0.pop_front();
        self.shrink();
        message
    }

    /// Moves the first messages, `limit` at most, to the end of a buffer. Returns their number.
    pub(super) fn pop_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        let count = limit.min(self.0.len());
        buffer.extend(self.0.drain(..count));
        self.shrink();
        count
    }

    /// Takes out all messages.
    pub(super) fn take(&mut self) -> VecDeque<T> {
        std::mem::take(&mut self.0)
    }

    /// Gives memory up if three quarters of it are unused, and keeps twice of what is used. Hence a message is moved once more on average, and no
    /// steady load makes the queue shrink and grow by turns.
    #[inline]
    fn shrink(&mut self) {
        if self.0.capacity() > KEPT && self.0.len() < self.0.capacity() / 4 {
            self.reallocate();
        }
    }

    #[cold]
    fn reallocate(&mut self) {
        self.0.shrink_to(KEPT.max(self.0.len() * 2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_leaves_little_memory_behind_and_each_message_is_moved_a_few_times() {
        let mut queue = Queue::new();
        (0..10_000).for_each(|number| queue.push(number));
        assert!(queue.0.capacity() >= 10_000);
        let mut shrinks = 0;
        for number in 0..10_000 {
            let before = queue.0.capacity();
            assert_eq!(queue.pop(), Some(number));
            shrinks += usize::from(queue.0.capacity() < before);
            assert!(queue.0.capacity() <= KEPT.max(queue.len() * 4 + 4));
        }
        assert!((1..20).contains(&shrinks), "{shrinks}");
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_large_receive_gives_the_memory_back_too() {
        let mut queue = Queue::new();
        (0..10_000).for_each(|number| queue.push(number));
        let mut buffer = vec![7];
        assert_eq!(queue.pop_many(&mut buffer, 9_999), 9_999);
        assert_eq!(queue.0.capacity(), KEPT);
        assert_eq!(queue.pop_many(&mut buffer, 9_999), 1);
        assert_eq!(queue.pop_many(&mut buffer, 9_999), 0);
        assert_eq!(buffer.len(), 10_001);
        assert!(buffer[1..].iter().copied().eq(0..10_000));
    }

    #[test]
    fn a_queue_that_swings_within_its_capacity_does_not_allocate() {
        let mut queue = Queue::new();
        for _ in 0..100 {
            (0..KEPT).for_each(|number| queue.push(number));
            assert_eq!(queue.0.capacity(), KEPT);
            (0..KEPT).for_each(|number| assert_eq!(queue.pop(), Some(number)));
        }
    }
}
