//! The stack of the values that are entered on a thread.
//!
//! The stack owns its entries, and each entry is removed by its number. So it does not matter whether the guard that
//! entered it is dropped in order, late, or never: a stackful coroutine may drop guards in any order, and
//! `process::exit` runs the destructors of thread-locals while the frame of `block_on` still exists.
//!
//! The stack has no destructor, so the destructors of other thread-locals can use it. It holds no memory while it is
//! empty, and needs no allocation for its first entry.

use std::cell::Cell;
use std::rc::Rc;

/// The values that are entered on this thread, with the latest one on top.
pub(crate) struct EnterStack<T> {
    top: Cell<Option<Node<T>>>,
    last_number: Cell<u64>,
}

/// An entry of the stack, which owns the entries below it.
struct Node<T> {
    number: u64,
    value: Rc<T>,
    /// Set if the loop of the value turns, or ends, in the frame that entered it.
    is_loop: bool,
    below: Option<Box<Node<T>>>,
}

impl<T> EnterStack<T> {
    pub(crate) const fn new() -> EnterStack<T> {
        EnterStack { top: Cell::new(None), last_number: Cell::new(0) }
    }

    /// Pushes a value, and returns the number by which [`remove`](EnterStack::remove) finds it. `is_loop` says that its
    /// loop is going to turn, and not only that code is to find it.
    pub(crate) fn push(&self, value: Rc<T>, is_loop: bool) -> u64 {
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        let below = self.top.take().map(Box::new);
        self.top.set(Some(Node { number, value, is_loop, below }));
        number
    }

    /// Removes the entry of that number, wherever it is in the stack. Dropping the returned value may run any code, so
    /// that is left to the caller.
    pub(crate) fn remove(&self, number: u64) -> Option<Rc<T>> {
        self.remove_latest(|entry| entry.number == number)
    }

    /// Removes the topmost entry that holds this value. Dropping the returned value is left to the caller.
    pub(crate) fn remove_value(&self, value: &Rc<T>) -> Option<Rc<T>> {
        self.remove_latest(|entry| Rc::ptr_eq(&entry.value, value))
    }

    /// Returns the value on top of the stack, and whether its loop turns there.
    pub(crate) fn top(&self) -> Option<(Rc<T>, bool)> {
        let top = self.top.take();
        let value = top.as_ref().map(|entry| (entry.value.clone(), entry.is_loop));
        self.top.set(top);
        value
    }

    /// Returns the topmost value whose loop turns on this thread.
    pub(crate) fn top_loop(&self) -> Option<Rc<T>> {
        let top = self.top.take();
        let mut entry = top.as_ref();
        while entry.is_some_and(|entry| !entry.is_loop) {
            entry = entry.and_then(|entry| entry.below.as_deref());
        }
        let value = entry.map(|entry| entry.value.clone());
        self.top.set(top);
        value
    }

    fn remove_latest(&self, is_meant: impl Fn(&Node<T>) -> bool) -> Option<Rc<T>> {
        let mut top = self.top.take()?;
        if is_meant(&top) {
            self.top.set(top.below.map(|below| *below));
            return Some(top.value);
        }
        let mut above = &mut top;
        let removed = loop {
            match above.below.take() {
                None => break None,
                Some(entry) if is_meant(&entry) => {
                    above.below = entry.below;
                    break Some(entry.value);
                }
                Some(entry) => above = above.below.insert(entry),
            }
        };
        self.top.set(Some(top));
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_removed_in_any_order() {
        let stack = EnterStack::new();
        assert!(stack.top().is_none());
        let numbers: Vec<u64> = (0..3).map(|n| stack.push(Rc::new(n), n == 0)).collect();
        assert_eq!(stack.top_loop().as_deref(), Some(&0));
        assert_eq!(stack.remove(numbers[1]).as_deref(), Some(&1));
        assert_eq!(stack.top(), Some((Rc::new(2), false)));
        assert_eq!(stack.remove(numbers[1]), None, "it has been removed before");
        assert_eq!(stack.remove(numbers[2]).as_deref(), Some(&2));
        assert_eq!(stack.top(), Some((Rc::new(0), true)));
        assert_eq!(stack.remove(numbers[0]).as_deref(), Some(&0));
        assert!(stack.top().is_none() && stack.top_loop().is_none());
    }

    #[test]
    fn a_value_is_removed_wherever_it_is() {
        let stack = EnterStack::new();
        let (one, other) = (Rc::new("one"), Rc::new("other"));
        for value in [&one, &other, &one, &one] {
            stack.push(value.clone(), true);
        }
        let removed = std::iter::from_fn(|| stack.remove_value(&one)).count();
        assert_eq!((removed, Rc::strong_count(&one)), (3, 1));
        assert_eq!(stack.top().map(|(top, _)| *top), Some("other"));
    }
}
