//! Tests of the wheel against a naive oracle, at every scale and from every origin.

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

/// The wheel, and a map from (tick, order of insertion) that must agree with it.
struct Pair {
    wheel: Wheel,
    oracle: BTreeMap<(u64, u32), Key>,
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
        let key = self.wheel.insert(tick, self.names.waker(self.last_name));
        self.oracle.insert((tick, self.last_name), key);
    }

    fn nth(&self, n: usize) -> Option<((u64, u32), Key)> {
        let n = n.checked_rem(self.oracle.len())?;
        self.oracle.iter().nth(n).map(|(at, key)| (*at, *key))
    }

    fn remove(&mut self, n: usize) {
        let Some(((tick, name), key)) = self.nth(n) else {
            return;
        };
        self.is_exact &= self.oracle.first_key_value().is_some_and(|(first, _)| *first != (tick, name));
        let waker = self.wheel.remove(key, tick).expect("it is armed");
        assert_eq!(self.names.read(&mut vec![waker]), [name]);
        assert!(self.wheel.remove(key, tick).is_none(), "it is gone");
        self.oracle.remove(&(tick, name));
    }

    fn reset(&mut self, n: usize, tick: u64) {
        let Some(((old_tick, name), key)) = self.nth(n) else {
            return;
        };
        self.is_exact = false;
        assert!(self.wheel.reset(key, old_tick, tick));
        self.oracle.remove(&(old_tick, name));
        self.oracle.insert((tick, name), key);
    }

    fn advance(&mut self, by: u64, limit: usize) {
        self.now = self.now.saturating_add(by).min(MAX_TICK);
        let mut wakers = Vec::new();
        while self.wheel.expire(self.now, limit, &mut wakers) == limit {
            assert!(wakers.len().is_multiple_of(limit));
        }
        let fired = self.names.read(&mut wakers);
        let later = self.oracle.split_off(&(self.now + 1, 0));
        let expected: Vec<((u64, u32), Key)> =
            std::mem::replace(&mut self.oracle, later).into_iter().collect();
        assert_eq!(fired.len(), expected.len(), "what fired at {}", self.now);
        let mut names: Vec<u32> = expected.iter().map(|((_, name), _)| *name).collect();
        if self.is_exact {
            assert_eq!(fired, names);
        }
        let mut fired = fired;
        fired.sort_unstable();
        names.sort_unstable();
        assert_eq!(fired, names);
        for ((tick, _), key) in expected {
            assert!(self.wheel.find(key, tick).is_none(), "it has fired");
        }
    }

    fn check(&mut self) {
        let truth = self.oracle.first_key_value().map(|((tick, _), _)| *tick);
        let next = self.wheel.next_tick();
        assert_eq!(next.is_some(), truth.is_some());
        if let (Some(next), Some(truth)) = (next, truth) {
            assert!(next <= truth.max(self.now), "{next} is later than {truth}");
            if self.is_exact {
                assert_eq!(next, truth.max(self.wheel.elapsed()));
            }
        }
        assert_eq!(self.wheel.is_empty(), self.oracle.is_empty());
    }
}

#[derive(Clone, Debug)]
enum Step {
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
                Step::Insert(by) => pair.insert((pair.now + 1).saturating_add(by).min(MAX_TICK)),
                Step::Remove(n) => pair.remove(n),
                Step::Reset(n, by) => pair.reset(n, (pair.now + 1).saturating_add(by).min(MAX_TICK)),
                Step::Advance(by, limit) => pair.advance(by, limit),
            }
            pair.check();
        }
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
    for tick in [0, 999, 1000] {
        pair.wheel.insert(tick, pair.names.waker(1));
        assert!(pair.wheel.next_tick().is_some_and(|next| next <= 1000));
        let mut wakers = Vec::new();
        assert_eq!(pair.wheel.expire(1000, 8, &mut wakers), 1);
    }
    let key = pair.wheel.insert(1 << 40, pair.names.waker(2));
    assert!(pair.wheel.reset(key, 1 << 40, 3));
    assert_eq!(pair.wheel.next_tick().unwrap(), 1000);
    assert_eq!(pair.wheel.expire(1000, 8, &mut Vec::new()), 1);
}

#[test]
#[cfg_attr(miri, ignore = "65,536 timers are too many for an interpreter")]
fn the_key_of_a_fired_timer_finds_no_other_timer() {
    let mut wheel = Wheel::new(0);
    let stale = wheel.insert(5, Waker::noop().clone());
    wheel.expire(5, 1, &mut Vec::new());
    for _ in 0..1 << 16 {
        let key = wheel.insert(9, Waker::noop().clone());
        assert!(wheel.find(stale, 5).is_none());
        if key == stale {
            return;
        }
        wheel.remove(key, 9);
    }
    panic!("generations did not come round");
}

#[test]
#[cfg_attr(miri, ignore = "too many timers for an interpreter")]
fn a_million_timers_on_one_tick_fire_in_batches() {
    let count = 1_000_000;
    let mut wheel = Wheel::new(0);
    for _ in 0..count {
        wheel.insert(1 << 20, Waker::noop().clone());
    }
    let (mut wakers, mut fired) = (Vec::new(), 0);
    while !wheel.is_empty() {
        let now = wheel.next_tick().unwrap().max(wheel.elapsed());
        fired += wheel.expire(now, 128, &mut wakers);
        assert!(wakers.len() <= 128);
        wakers.clear();
    }
    assert_eq!((fired, wheel.elapsed()), (count, 1 << 20));
}

#[test]
fn an_idle_loop_wakes_once_for_each_timer() {
    let mut wheel = Wheel::new(12_345);
    for by in [1u64, 63, 64, 65, 4095, 4096, 300_000, 10_000_000, 1 << 40] {
        wheel.insert(12_345 + by, Waker::noop().clone());
    }
    let mut waits = 0;
    while let Some(next) = wheel.next_tick() {
        waits += 1;
        assert_eq!(wheel.expire(next, 8, &mut Vec::new()), 1);
    }
    assert_eq!(waits, 9);
}

#[test]
fn a_slot_may_be_emptied_during_its_cascade() {
    let mut wheel = Wheel::new(0);
    let keys: Vec<Key> = (0..2 * CASCADE_LIMIT).map(|_| wheel.insert(100, Waker::noop().clone())).collect();
    assert_eq!(wheel.expire(99, 1, &mut Vec::new()), 0);
    assert!(wheel.cascading.is_some(), "half of them are moved");
    for key in &keys[1..] {
        assert!(wheel.remove(*key, 100).is_some());
    }
    assert!(wheel.remove(keys[0], 100).is_some());
    assert_eq!(wheel.next_tick(), None, "there is no timer to wait for");
    wheel.insert(200, Waker::noop().clone());
    assert_eq!(wheel.next_tick(), Some(200));
}
