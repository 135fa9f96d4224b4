//! `JoinMap`: tasks with keys, and tasks that replace each other.

mod common;

use common::{Count, CountOnDrop, WakerSlot, run};
use runtime::task::{JoinMap, yield_now};
use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn is_pending<T>(future: impl Future<Output = T>) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// A task that ends once its waker in the slot is woken.
fn gated(gate: &WakerSlot, output: u8) -> impl Future<Output = u8> + 'static {
    let (gate, mut polled) = (gate.clone(), false);
    poll_fn(move |cx| {
        gate.put(cx);
        if std::mem::replace(&mut polled, true) { Poll::Ready(output) } else { Poll::Pending }
    })
}

#[test]
fn a_replaced_task_is_not_mistaken_for_the_end_of_the_map() {
    run(async {
        let gate = WakerSlot::default();
        let mut map = JoinMap::new();
        map.spawn(1, pending());
        map.spawn(1, gated(&gate, 7));
        assert_eq!(map.len(), 1);
        for _ in 0..3 {
            yield_now().await;
            assert!(is_pending(map.join_next()) && map.try_join_next().is_none());
        }
        gate.get().wake();
        let (key, result) = map.join_next().await.unwrap();
        assert_eq!((key, result.unwrap()), (1, 7));
        assert!(map.join_next().await.is_none());
    });
}

#[test]
fn a_task_that_had_ended_when_it_was_replaced_is_not_returned() {
    run(async {
        let gate = WakerSlot::default();
        let mut map = JoinMap::new();
        map.spawn("key", async { 1 });
        yield_now().await;
        map.spawn("key", gated(&gate, 2));
        yield_now().await;
        assert!(is_pending(map.join_next()));
        gate.get().wake();
        assert_eq!(map.join_next().await.unwrap().1.unwrap(), 2);
        assert!(map.join_next().await.is_none());
    });
}

#[test]
fn an_aborted_task_is_returned_with_its_key_and_a_detached_one_is_not() {
    run(async {
        let dropped = Count::default();
        let mut map = JoinMap::new();
        for key in 0..4 {
            let guard = CountOnDrop(dropped.clone());
            map.spawn(key, async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
        assert!(map.abort(&0) && !map.abort(&9));
        let (key, result) = map.join_next().await.unwrap();
        assert!(key == 0 && result.unwrap_err().is_cancelled() && !map.contains_key(&0));
        map.abort_matching(|key| *key == 2);
        assert_eq!(map.join_next().await.unwrap().0, 2);
        map.detach_all();
        assert!(map.is_empty() && map.join_next().await.is_none() && !map.contains_key(&1));
        yield_now().await;
        assert_eq!(dropped.get(), 2, "those that were detached go on");
        map.spawn(1, pending());
        map.spawn(3, async { panic!("expected") });
        map.abort_all();
        map.shutdown().await;
        assert!(map.is_empty() && map.keys().len() == 0);
    });
}

/// A hasher under which all keys collide.
#[derive(Default)]
struct Constant;

impl Hasher for Constant {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

#[test]
fn keys_with_one_hash_are_told_apart() {
    run(async {
        let mut map: JoinMap<u32, u32, BuildHasherDefault<Constant>> =
            JoinMap::with_hasher(Default::default());
        let mut expected = HashSet::new();
        // An oracle: the latest task of each key is the one that is returned.
        let mut seed = 1u32;
        for round in 0..200 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = seed >> 28;
            map.spawn(key, async move { round });
            expected.retain(|(of, _)| *of != key);
            expected.insert((key, round));
            if round % 3 == 0 {
                yield_now().await;
                let (key, result) = map.try_join_next().unwrap();
                assert!(expected.remove(&(key, result.unwrap())), "key {key} in round {round}");
                assert!(!map.contains_key(&key));
            }
            assert_eq!(map.len(), expected.len());
            assert_eq!(
                map.keys().copied().collect::<HashSet<_>>(),
                expected.iter().map(|(key, _)| *key).collect()
            );
        }
        while let Some((key, result)) = map.join_next().await {
            assert!(expected.remove(&(key, result.unwrap())));
        }
        assert!(expected.is_empty());
    });
}

#[test]
fn blocking_calls_and_ids_work_as_in_a_set() {
    run(async {
        let mut map = JoinMap::with_capacity(10);
        map.spawn_blocking("call", || 1);
        map.spawn_on("remote", async { 2 }, &runtime::Handle::current());
        map.spawn_local("local", async { 3 });
        assert!(map.capacity() >= 10 && format!("{map:?}").contains("\"call\""));
        let mut outputs = Vec::new();
        while let Some((key, result)) = map.join_next().await {
            outputs.push((key, result.unwrap()));
        }
        outputs.sort_unstable();
        assert_eq!(outputs, [("call", 1), ("local", 3), ("remote", 2)]);
        map.spawn("id", async { 0 });
        assert!(!map.contains_task(&runtime::spawn(async {}).id()));
    });
}

#[test]
fn a_spawn_that_panics_replaces_nothing() {
    let mut map = JoinMap::new();
    let runtime = runtime::Runtime::new().unwrap();
    runtime.block_on(async { map.spawn(1, async { "first" }) });
    assert!(catch_unwind(AssertUnwindSafe(|| map.spawn(1, async { "second" }))).is_err());
    let (key, result) = runtime.block_on(map.join_next()).unwrap();
    assert_eq!((key, result.unwrap()), (1, "first"));
}
