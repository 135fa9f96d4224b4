//! Tests of the wait list, with random steps against a plain model.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Wake;

type Log = Arc<Mutex<Vec<usize>>>;

/// A waker that notes its number.
struct Noted(usize, Log);

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

fn noted(number: usize, log: &Log) -> Waker {
    Arc::new(Noted(number, log.clone())).into()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    PushWithoutWaker,
    Remove(usize),
    Poll(usize),
    GrantFirst,
    GrantLast,
    GrantWhile(usize),
    Wake,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Push),
        1 => Just(Step::PushWithoutWaker),
        6 => any::<usize>().prop_map(Step::Remove),
        2 => any::<usize>().prop_map(Step::Poll),
        2 => Just(Step::GrantFirst),
        1 => Just(Step::GrantLast),
        1 => (0..6usize).prop_map(Step::GrantWhile),
        2 => Just(Step::Wake),
    ]
}

/// The payload of the first waiter in the queue.
fn first(list: &WaitList<usize>) -> Option<usize> {
    let slots = list.0.borrow();
    slots.slots.get(slots.queue.first as usize).and_then(|slot| slot.payload)
}

/// The waiters as plain lists of numbers.
#[derive(Default)]
struct Oracle {
    queue: VecDeque<usize>,
    unwoken: Vec<usize>,
    woken: Vec<usize>,
    /// The waiters without a waker.
    silent: Vec<usize>,
}

impl Oracle {
    fn is_granted(&self, number: usize) -> bool {
        !self.queue.contains(&number)
    }
}

fn check(steps: &[Step]) {
    let (list, log) = (WaitList::new(), Log::default());
    let (mut oracle, mut keys) = (Oracle::default(), Vec::new());
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Push => {
                keys.push((number, list.push_back(number, noted(number, &log))));
                oracle.queue.push_back(number);
            }
            Step::PushWithoutWaker => {
                keys.push((number, list.push_back(number, None)));
                oracle.queue.push_back(number);
                oracle.silent.push(number);
            }
            Step::Remove(which) if !keys.is_empty() => {
                let (number, key) = keys.swap_remove(which % keys.len());
                let removed = list.remove(key);
                assert_eq!(removed, Removed { payload: number, is_granted: oracle.is_granted(number) });
                oracle.queue.retain(|queued| *queued != number);
                oracle.unwoken.retain(|unwoken| *unwoken != number);
            }
            Step::Poll(which) if !keys.is_empty() => {
                let (number, key) = &keys[which % keys.len()];
                let is_granted = list.poll_granted(key, &noted(*number, &log));
                assert_eq!(is_granted, oracle.is_granted(*number));
                assert_eq!(is_granted, list.is_granted(key));
                if !is_granted {
                    oracle.silent.retain(|silent| silent != number);
                }
            }
            Step::Remove(_) | Step::Poll(_) => {}
            Step::GrantFirst => {
                let expected = oracle.queue.pop_front();
                oracle.unwoken.extend(expected);
                assert_eq!(
                    list.grant_first(|payload| assert_eq!(Some(*payload), expected)),
                    expected.is_some()
                );
            }
            Step::GrantLast => {
                let expected = oracle.queue.pop_back();
                oracle.unwoken.extend(expected);
                assert_eq!(
                    list.grant_last(|payload| assert_eq!(Some(*payload), expected)),
                    expected.is_some()
                );
            }
            Step::GrantWhile(count) => {
                let mut left = count;
                list.grant_while(|_| left.checked_sub(1).map(|rest| left = rest).is_some());
                let count = count.min(oracle.queue.len());
                oracle.unwoken.extend(oracle.queue.drain(..count));
            }
            Step::Wake => {
                list.wake_granted();
                let heard = oracle.unwoken.drain(..).filter(|number| !oracle.silent.contains(number));
                oracle.woken.extend(heard);
            }
        }
        assert_eq!(*log.lock().unwrap(), oracle.woken);
        assert_eq!(list.is_empty(), oracle.queue.is_empty());
        assert_eq!(first(&list), oracle.queue.front().copied());
    }
    drop(list);
    drop(keys);
    assert_eq!(Arc::strong_count(&log), 1, "every waker has been dropped");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 1_000 },
        failure_persistence: None,
        rng_algorithm: prop::test_runner::RngAlgorithm::XorShift,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_does_what_plain_lists_do(steps in proptest::collection::vec(step(), 0..200)) {
        check(&steps);
    }
}

#[test]
fn ten_thousand_polls_with_one_waker_store_it_once() {
    let (list, log) = (WaitList::new(), Log::default());
    let waker = noted(0, &log);
    let key = list.push_back((), waker.clone());
    for _ in 0..if cfg!(miri) { 10 } else { 10_000 } {
        assert!(!list.poll_granted(&key, &waker));
    }
    assert_eq!((Arc::strong_count(&log), list.0.borrow().occupied), (2, 1));
    list.remove(key);
}

/// Returns the capacity after a burst of waiters, of which those are left for which `stays` returns true.
fn capacity_after_burst(count: usize, stays: impl Fn(usize) -> bool) -> usize {
    let list = WaitList::new();
    let keys: Vec<Key> = (0..count).map(|number| list.push_back(number, Waker::noop().clone())).collect();
    assert!(list.0.borrow().slots.capacity() >= count);
    let mut left = Vec::new();
    for (number, key) in keys.into_iter().enumerate() {
        if stays(number) {
            left.push(key);
        } else {
            list.remove(key);
        }
    }
    let capacity = list.0.borrow().slots.capacity();
    // The waiters that stayed have not moved, and the vacant slots are used again.
    left.extend((0..count).map(|number| list.push_back(number, Waker::noop().clone())));
    let expected = (0..count).filter(|number| stays(*number)).chain(0..count);
    for (key, number) in left.into_iter().zip(expected) {
        assert_eq!(list.remove(key), Removed { payload: number, is_granted: false });
    }
    assert!(list.0.borrow().slots.capacity() <= KEPT);
    capacity
}

#[test]
fn memory_is_given_back_when_a_burst_is_over() {
    let count = if cfg!(miri) { 300 } else { 10_000 };
    for few in [KEPT + 1, 2 * KEPT, 3 * KEPT] {
        assert!(capacity_after_burst(few, |_| false) <= KEPT, "{few}");
    }
    assert!(capacity_after_burst(count, |_| false) <= KEPT);
    assert!(capacity_after_burst(count, |number| number < 3) <= KEPT);
    // A waiter does not move: one in the last slot keeps the slots until it is removed.
    assert!(capacity_after_burst(count, |number| number == count - 1 || number % (count / 5) == 1) >= count);
}

thread_local! {
    static LIST: WaitList<usize> = const { WaitList::new() };
    static FURTHER: RefCell<Vec<Key>> = const { RefCell::new(Vec::new()) };
}

/// A waker that uses the list when it is woken and when it is dropped, and then panics.
struct Hostile(Log);

impl Hostile {
    fn act(&self) -> ! {
        LIST.with(|list| {
            let key = list.push_back(100, noted(100, &self.0));
            FURTHER.with_borrow_mut(|further| further.push(key));
            assert!(list.grant_first(|_| {}));
            list.wake_granted();
        });
        std::panic::resume_unwind(Box::new("a hostile waker"));
    }
}

impl Wake for Hostile {
    fn wake(self: Arc<Self>) {
        self.act();
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.act();
        }
    }
}

#[test]
fn a_waker_that_uses_the_list_and_panics_leaves_it_consistent() {
    let log = Log::default();
    LIST.with(|list| {
        let hostile = list.push_back(0, Waker::from(Arc::new(Hostile(log.clone()))));
        let dropped = list.push_back(1, Waker::from(Arc::new(Hostile(log.clone()))));
        let last = list.push_back(2, noted(2, &log));
        list.grant_while(|payload| *payload < 1);
        list.wake_granted();
        // The first waker granted the second waiter, whose waker granted the third one.
        assert_eq!(*log.lock().unwrap(), [2]);
        for key in [hostile, dropped, last] {
            assert!(list.remove(key).is_granted);
        }
        assert_eq!(first(list), Some(100));
        let replaced = list.push_back(3, Waker::from(Arc::new(Hostile(log.clone()))));
        assert!(!list.poll_granted(&replaced, Waker::noop()), "the drop of its old waker grants others");
        list.remove(replaced);
        for key in FURTHER.take() {
            list.remove(key);
        }
        assert_eq!((list.is_empty(), list.0.borrow().occupied), (true, 0));
    });
    assert_eq!(Arc::strong_count(&log), 1);
}
