//! The waiters of one direction of a source that belong to `async` calls. Each has a waker of its own.
//!
//! The waiters are numbered and sorted by their numbers. So a waiter is found quickly, however many there
//! are, and all are woken in the order in which they arrived. A key that is out of date finds nothing,
//! because each number is used only once in a runtime.

use std::mem;
use std::task::Waker;

/// Identifies a waiter while it exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WaiterKey {
    number: u64,
}

/// The number of entries that may be empty, beyond one empty entry for each waiter.
const FEW: usize = 8;

#[derive(Default)]
pub(super) struct WaiterList {
    /// The waiters. An entry without a waker is empty.
    entries: Vec<(u64, Option<Waker>)>,
    /// The number of entries with a waker.
    count: usize,
}

impl WaiterList {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a waiter. Its `number` must be larger than that of any earlier waiter.
    pub(super) fn insert(&mut self, number: u64, waker: Waker) -> WaiterKey {
        debug_assert!(self.entries.last().is_none_or(|(last, _)| *last < number));
        self.entries.push((number, Some(waker)));
        self.count += 1;
        WaiterKey { number }
    }

    pub(super) fn get_mut(&mut self, key: WaiterKey) -> Option<&mut Waker> {
        self.place(key)?.as_mut()
    }

    pub(super) fn remove(&mut self, key: WaiterKey) -> Option<Waker> {
        let waker = self.place(key)?.take()?;
        self.count -= 1;
        if self.entries.len() > 2 * self.count + FEW {
            self.entries.retain(|(_, waker)| waker.is_some());
        }
        if self.is_empty() {
            // Free the memory after many waiters.
            self.entries = Vec::new();
        }
        Some(waker)
    }

    /// Removes all waiters, in the order in which they arrived.
    pub(super) fn take_all(&mut self, wakers: &mut Vec<Waker>) {
        self.count = 0;
        wakers.extend(mem::take(&mut self.entries).into_iter().filter_map(|(_, waker)| waker));
    }

    /// Calls `f` with the waker of each waiter.
    pub(super) fn drain(self, f: impl FnMut(Waker)) {
        if !self.is_empty() {
            self.entries.into_iter().filter_map(|(_, waker)| waker).for_each(f);
        }
    }

    fn place(&mut self, key: WaiterKey) -> Option<&mut Option<Waker>> {
        let index = self.entries.binary_search_by_key(&key.number, |(number, _)| *number).ok()?;
        Some(&mut self.entries[index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waker() -> Waker {
        Waker::from(Arc::new(Count(AtomicUsize::new(0))))
    }

    /// Compares two wakers. `will_wake` cannot be used here, because under Miri a vtable may have a different
    /// address for each use.
    fn is_same(one: &Waker, other: &Waker) -> bool {
        one.data() == other.data()
    }

    #[test]
    fn a_key_finds_its_waiter_and_no_later_one() {
        let mut waiters = WaiterList::default();
        let wakers: Vec<Waker> = (0..3).map(|_| waker()).collect();
        let keys: Vec<WaiterKey> =
            wakers.iter().zip(1..).map(|(waker, number)| waiters.insert(number, waker.clone())).collect();
        assert!(is_same(waiters.get_mut(keys[1]).unwrap(), &wakers[1]));
        assert!(waiters.remove(keys[1]).is_some());
        let later = waiters.insert(4, waker());
        assert!(waiters.get_mut(keys[1]).is_none() && waiters.remove(keys[1]).is_none());
        assert!(waiters.remove(later).is_some());
        assert!(!waiters.is_empty());
    }

    #[test]
    fn waiters_are_taken_in_the_order_in_which_they_arrived() {
        let mut waiters = WaiterList::default();
        let first = waiters.insert(1, waker());
        let mut expected = vec![waker(), waker()];
        waiters.insert(2, expected[0].clone());
        waiters.remove(first);
        waiters.insert(3, expected[1].clone());
        let mut taken = Vec::new();
        waiters.take_all(&mut taken);
        assert_eq!(taken.len(), 2);
        assert!(taken.iter().zip(expected.drain(..)).all(|(taken, expected)| is_same(taken, &expected)));
        assert!(waiters.is_empty());
    }

    #[test]
    fn many_short_lived_waiters_take_the_memory_of_one() {
        let mut waiters = WaiterList::default();
        let staying = waiters.insert(1, waker());
        for number in 2..1000 {
            let key = waiters.insert(number, waker());
            assert!(waiters.remove(key).is_some());
        }
        assert!(waiters.entries.len() <= FEW + 2);
        waiters.remove(staying);
        assert_eq!(waiters.entries.capacity(), 0);
    }
}
