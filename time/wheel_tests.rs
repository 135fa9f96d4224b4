//! Tests of the wheel against a naive oracle, at every scale and from every origin.

use super::super::levels::{CASCADE_LIMIT, DIGIT_BITS};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

/// A waker that tells to which timer it belongs.
struct Named(u32, Arc<AtomicU32>);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.1.store(self.0, Ordering::Relaxed);
    }
}

struct Names(Arc<AtomicU32>);

impl Names {
    fn waker(&self, name: u32) -> Waker {
        Arc::new(Named(name, self.0.clone())).into()
    }

    fn read(&self, wakers: &mut Vec<Waker>) -> Vec<u32> {
        let name = |waker: Waker| {
            waker.wake();
            self.0.load(Ordering::Relaxed)
        };
        wakers.drain(..).map(name).collect()
    }
}

/// Returns one of the deadlines of a tick.
fn deadline(tick: u64, choice: u32) -> u64 {
    let before_end = u64::from(choice) * 619 % NS_PER_TICK;
    if tick == MAX_TICK { u64::MAX - before_end } else { (tick * NS_PER_TICK).saturating_sub(before_end) }
}

/// The wheel, and a map from (tick, order of insertion) to the key and the deadline that must agree with it.
struct Pair {
    wheel: Wheel,
    oracle: BTreeMap<(u64, u32), (Key, u64)>,
    names: Names,
    last_name: u32,
    now: u64,
    /// True as long as the earliest timer has not been removed. The next deadline is then exact.
    is_exact: bool,
}

impl Pair {
    fn new(now: u64) -> Pair {
        let (wheel, names) = (Wheel::new(now), Names(Arc::default()));
        Pair { wheel, oracle: BTreeMap::new(), names, last_name: 0, now, is_exact: true }
    }

    fn insert(&mut self, tick: u64) {
        self.last_name += 1;
        let ns = deadline(tick, self.last_name);
        let key = self.wheel.insert(ns, self.names.waker(self.last_name));
        self.oracle.insert((tick, self.last_name), (key, ns));
    }

    fn nth(&self, n: usize) -> Option<((u64, u32), (Key, u64))> {
        let n = n.checked_rem(self.oracle.len())?;
        self.oracle.iter().nth(n).map(|(at, timer)| (*at, *timer))
    }

    fn remove(&mut self, n: usize) {
        let Some(((tick, name), (key, ns))) = self.nth(n) else {
            return;
        };
        self.is_exact &= self.oracle.first_key_value().is_some_and(|(first, _)| *first != (tick, name));
        let waker = self.wheel.remove(key, ns).expect("it is armed");
        assert_eq!(self.names.read(&mut vec![waker]), [name]);
        assert!(self.wheel.remove(key, ns).is_none(), "it is gone");
        self.oracle.remove(&(tick, name));
    }

    fn reset(&mut self, n: usize, tick: u64) {
        let Some(((old_tick, name), (key, old_ns))) = self.nth(n) else {
            return;
        };
        self.is_exact = false;
        let ns = deadline(tick, name + 1);
        assert!(self.wheel.reset(key, old_ns, ns));
        self.oracle.remove(&(old_tick, name));
        self.oracle.insert((tick, name), (key, ns));
    }

    fn advance(&mut self, by: u64, limit: usize) {
        self.now = self.now.saturating_add(by).min(MAX_TICK);
        let mut wakers = Vec::new();
        while self.wheel.expire(self.now_ns(), limit, &mut wakers) == limit {
            assert!(wakers.len().is_multiple_of(limit));
        }
        let fired = self.names.read(&mut wakers);
        let later = self.oracle.split_off(&(self.now + 1, 0));
        let expected: Vec<_> = std::mem::replace(&mut self.oracle, later).into_iter().collect();
        assert_eq!(fired.len(), expected.len(), "what fired at {}", self.now);
        let mut names: Vec<u32> = expected.iter().map(|((_, name), _)| *name).collect();
        if self.is_exact {
            assert_eq!(fired, names);
        }
        let mut fired = fired;
        fired.sort_unstable();
        names.sort_unstable();
        assert_eq!(fired, names);
        for (_, (key, ns)) in expected {
            assert!(self.wheel.find(key, ns).is_none(), "it has fired");
            assert!(ns <= self.wheel.elapsed_ns(), "its deadline has been reached");
        }
    }

    /// Returns the latest time before the next tick.
    fn now_ns(&self) -> u64 {
        if self.now == MAX_TICK { u64::MAX } else { (self.now + 1) * NS_PER_TICK - 1 }
    }

    fn check(&mut self) {
        let truth = self.oracle.first_key_value().map(|((tick, _), _)| *tick);
        let next = next_tick(&mut self.wheel);
        assert_eq!(next.is_some(), truth.is_some());
        if let (Some(next), Some(truth)) = (next, truth) {
            assert!(next <= truth.max(self.now), "{next} is later than {truth}");
            if self.is_exact {
                assert_eq!(next, truth.max(self.wheel.levels.elapsed));
            }
        }
        assert_eq!(self.wheel.is_empty(), self.oracle.is_empty());
    }
}

fn next_tick(wheel: &mut Wheel) -> Option<u64> {
    let next_ns = wheel.next_ns()?;
    assert!(next_ns.is_multiple_of(NS_PER_TICK));
    Some(next_ns / NS_PER_TICK)
}

#[derive(Clone, Debug)]
enum Step {
    /// Asks for the next deadline, for which the wheel files its new timers.
    Check,
    Insert(u64),
    Remove(usize),
    Reset(usize, u64),
    Advance(u64, usize),
}

/// Generates a distance of any magnitude.
fn distance() -> impl Strategy<Value = u64> {
    (0u32..50, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Check),
        4 => distance().prop_map(Step::Insert),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => (any::<usize>(), distance()).prop_map(|(n, by)| Step::Reset(n, by)),
        3 => (distance(), 1usize..5).prop_map(|(by, limit)| Step::Advance(by, limit)),
    ]
}

/// Generates powers of two, and one less: the ticks at which a level of the wheel wraps.
fn origin() -> impl Strategy<Value = u64> {
    (0u32..54, 0u64..2).prop_map(|(bits, below)| (1u64 << bits) - below)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 2000 }))]

    #[test]
    fn agrees_with_a_map(origin in origin(), steps in prop::collection::vec(step(), 1..80), far in any::<bool>()) {
        let mut pair = Pair::new(origin);
        if far {
            pair.insert(MAX_TICK);
        }
        for step in steps {
            match step {
                Step::Check => pair.check(),
                Step::Insert(by) => pair.insert((pair.now + 1).saturating_add(by).min(MAX_TICK)),
                Step::Remove(n) => pair.remove(n),
                Step::Reset(n, by) => pair.reset(n, (pair.now + 1).saturating_add(by).min(MAX_TICK)),
                Step::Advance(by, limit) => pair.advance(by, limit),
            }
            assert_eq!(pair.wheel.is_empty(), pair.oracle.is_empty());
        }
        pair.check();
        pair.advance(MAX_TICK, 3);
        assert!(pair.wheel.is_empty());
    }
}

#[test]
fn boundaries_of_every_level() {
    for level in 0..LEVELS as u32 {
        let edge = 1u64 << (level * DIGIT_BITS);
        for (elapsed, tick) in
            [(edge - 1, edge), (edge, edge + 1), (edge - 1, edge + 1), (0, edge), (edge, edge * 2)]
        {
            let mut pair = Pair::new(elapsed);
            pair.insert(tick);
            pair.check();
            pair.advance(tick - elapsed - 1, 1);
            assert_eq!(pair.oracle.len(), 1, "not before its tick");
            pair.advance(1, 1);
            assert!(pair.wheel.is_empty());
        }
    }
}

#[test]
fn a_tick_that_has_passed_is_due_at_once() {
    let mut pair = Pair::new(1000);
    let now_ns = 1000 * NS_PER_TICK;
    for ns in [0, 1, now_ns - 1, now_ns] {
        pair.wheel.insert(ns, pair.names.waker(1));
        assert!(pair.wheel.next_ns().is_some_and(|next_ns| next_ns <= now_ns));
        let mut wakers = Vec::new();
        assert_eq!(pair.wheel.expire(now_ns, 8, &mut wakers), 1);
    }
    let key = pair.wheel.insert(1 << 40, pair.names.waker(2));
    assert!(pair.wheel.reset(key, 1 << 40, 3));
    assert_eq!(pair.wheel.next_ns().unwrap(), now_ns);
    assert_eq!(pair.wheel.expire(now_ns, 8, &mut Vec::new()), 1);
}

#[test]
#[cfg_attr(miri, ignore = "65,536 timers are too many for an interpreter")]
fn the_key_of_a_fired_timer_finds_no_other_timer() {
    let mut wheel = Wheel::new(0);
    let stale = wheel.insert(5 * NS_PER_TICK, Waker::noop().clone());
    wheel.expire(5 * NS_PER_TICK, 1, &mut Vec::new());
    for _ in 0..1 << 16 {
        let key = wheel.insert(9 * NS_PER_TICK, Waker::noop().clone());
        assert!(wheel.find(stale, 5 * NS_PER_TICK).is_none());
        if key == stale {
            return;
        }
        wheel.remove(key, 9 * NS_PER_TICK);
    }
    panic!("generations did not come round");
}

#[test]
#[cfg_attr(miri, ignore = "too many timers for an interpreter")]
fn a_million_timers_on_one_tick_fire_in_batches() {
    let count = 1_000_000;
    let mut wheel = Wheel::new(0);
    for _ in 0..count {
        wheel.insert(NS_PER_TICK << 20, Waker::noop().clone());
    }
    let (mut wakers, mut fired) = (Vec::new(), 0);
    while !wheel.is_empty() {
        let now_ns = wheel.next_ns().unwrap().max(wheel.elapsed_ns());
        fired += wheel.expire(now_ns, 128, &mut wakers);
        assert!(wakers.len() <= 128);
        wakers.clear();
    }
    assert_eq!((fired, wheel.levels.elapsed), (count, 1 << 20));
}

#[test]
fn an_idle_loop_wakes_once_for_each_timer() {
    let mut wheel = Wheel::new(12_345);
    for by in [1u64, 63, 64, 65, 4095, 4096, 300_000, 10_000_000, 1 << 40] {
        wheel.insert((12_345 + by) * NS_PER_TICK - 999, Waker::noop().clone());
    }
    let mut waits = 0;
    while let Some(next_ns) = wheel.next_ns() {
        waits += 1;
        assert_eq!(wheel.expire(next_ns, 8, &mut Vec::new()), 1);
    }
    assert_eq!(waits, 9);
}

#[test]
fn a_slot_may_be_emptied_during_its_cascade() {
    let mut wheel = Wheel::new(0);
    let ns = 100 * NS_PER_TICK;
    let keys: Vec<Key> = (0..2 * CASCADE_LIMIT).map(|_| wheel.insert(ns, Waker::noop().clone())).collect();
    assert_eq!(wheel.next_ns(), Some(ns), "they are filed");
    assert_eq!(wheel.expire(ns - 1, 1, &mut Vec::new()), 0);
    assert!(wheel.levels.cascading.is_some(), "half of them are moved");
    for key in &keys[1..] {
        assert!(wheel.remove(*key, ns).is_some());
    }
    assert!(wheel.remove(keys[0], ns).is_some());
    assert_eq!(wheel.next_ns(), None, "there is no timer to wait for");
    wheel.insert(2 * ns, Waker::noop().clone());
    assert_eq!(wheel.next_ns(), Some(2 * ns));
}

#[test]
fn timers_that_are_not_filed_fire_in_order_after_those_that_are() {
    let mut pair = Pair::new(77);
    for tick in [300, 90, 300, 5000] {
        pair.insert(tick);
    }
    pair.wheel.file();
    for tick in [90, 300, 80, 5000, 90] {
        pair.insert(tick);
    }
    pair.advance(MAX_TICK, 2);
    assert!(pair.wheel.is_empty());
}

#[test]
fn few_timers_are_filed_only_when_one_is_due() {
    let mut wheel = Wheel::new(5);
    let keys = [9000, 7500, 8000].map(|ns| (wheel.insert(ns, Waker::noop().clone()), ns));
    let mut wakers = Vec::new();
    assert_eq!(wheel.next_ns(), Some(8000));
    assert_eq!(wheel.expire(7499, 8, &mut wakers), 0);
    assert_eq!((wheel.levels.occupied, wheel.levels.elapsed), (0, 5), "there was nothing to do");
    // The earliest one is removed: the loop may wake at its deadline, and then finds the next one.
    assert!(wheel.remove(keys[1].0, keys[1].1).is_some());
    assert_eq!(wheel.next_ns(), Some(8000));
    assert_eq!(wheel.expire(7999, 8, &mut wakers), 0);
    assert_eq!(wheel.next_ns(), Some(8000), "the tick of the next one, which is filed now");
    assert_eq!((wheel.levels.occupied, wheel.levels.elapsed), (1, 7), "both are on level 0");
    assert_eq!(wheel.expire(8000, 8, &mut wakers), 1);
    assert_eq!(wheel.next_ns(), Some(9000));
    // Of many timers each is filed.
    for ns in 0..FILED_LATE as u64 {
        wheel.insert(20_000 + ns, Waker::noop().clone());
    }
    assert_eq!(wheel.next_ns(), Some(9000));
    assert_eq!(wheel.not_filed.head, NONE);
}

#[test]
fn a_timer_is_removed_from_anywhere_among_those_that_are_not_filed() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut wheel = Wheel::new(0);
        let keys = [4000, 5000, 6000].map(|ns| wheel.insert(ns, Waker::noop().clone()));
        for (removed, index) in order.into_iter().enumerate() {
            assert!(wheel.remove(keys[index], 4000 + 1000 * index as u64).is_some());
            let mut others = wheel.not_filed.head;
            let linked = std::iter::from_fn(|| (others != NONE).then(|| others = wheel.entries[others].next));
            assert_eq!(linked.count(), 2 - removed);
        }
        assert_eq!((wheel.not_filed.head, wheel.not_filed.tail), (NONE, NONE));
        assert_eq!(wheel.levels.occupied, 0, "nothing has been filed");
    }
}
