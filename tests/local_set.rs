//! `LocalSet`: tasks that end together; and other parts of the API that programs written for tokio use.

mod common;

use common::adversary::{Adversary, Deed, On, set_runtime};
use common::guards::{Drops, NotSend};
use common::{run, watchdog};
use runtime::Runtime;
use runtime::runtime::{Builder, LocalOptions, LocalRuntime, RuntimeFlavor};
use runtime::task::{LocalSet, coop, spawn_local, unconstrained, yield_now};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

#[test]
fn tasks_are_put_in_before_there_is_a_runtime() {
    let _watchdog = watchdog();
    let set = LocalSet::new();
    let trace = Rc::new(RefCell::new(Vec::new()));
    let say = |what: &'static str| {
        let trace = trace.clone();
        async move {
            trace.borrow_mut().push(what);
            what
        }
    };
    let first = set.spawn_local(say("first"));
    let aborted = set.spawn_local(say("aborted"));
    aborted.abort();
    let second = set.spawn_local(say("second"));
    assert_eq!(format!("{set:?}"), "LocalSet { tasks: 3 }");
    assert!(!first.is_finished() && trace.borrow().is_empty());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(set);
    assert_eq!(*trace.borrow(), ["first", "second"]);
    runtime.block_on(async {
        assert_eq!(first.await.unwrap(), "first");
        assert_eq!(second.await.unwrap(), "second");
        assert!(aborted.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn what_is_started_within_belongs_to_the_set_and_is_awaited_with_it() {
    run(async {
        let count = Rc::new(Cell::new(0));
        let set = LocalSet::new();
        let nested = count.clone();
        set.run_until(async {
            drop(spawn_local(async move {
                // A task of the set may also spawn later on.
                yield_now().await;
                drop(spawn_local(async move {
                    runtime::time::sleep(Duration::from_millis(1)).await;
                    nested.set(nested.get() + 1);
                }));
            }));
        })
        .await;
        assert_eq!(count.get(), 0);
        set.await;
        assert_eq!(count.get(), 1);
    });
}

#[test]
fn who_awaits_the_set_hears_of_a_panic_as_of_an_end() {
    run(async {
        let set = LocalSet::new();
        let task = set.spawn_local(async { panic!("oh") });
        set.await;
        assert!(task.await.unwrap_err().is_panic());
    });
}

#[test]
fn who_awaits_the_set_hears_of_the_end_of_another_runtime_that_has_its_tasks() {
    let other = Runtime::new().unwrap();
    let mut set = LocalSet::new();
    other.block_on(async { drop(set.spawn_local(pending::<()>())) });
    set_runtime(other);
    run(async {
        // The runtime is dropped during the poll, when the waker is cloned.
        let adversary = Adversary::new(On::Clone, Deed::DropRuntime);
        let polled = Pin::new(&mut set).poll(&mut Context::from_waker(&adversary.waker()));
        assert!(polled.is_ready() || adversary.wakes() > 0);
        assert_eq!(adversary.performed(), 1);
    });
}

#[test]
fn a_set_that_is_dropped_takes_its_tasks_along_and_no_others() {
    let drops = Drops::default();
    run(async {
        let keep = || NotSend::new(&drops);
        let set = LocalSet::new();
        let (mine, other) = (keep(), keep());
        let task = set.spawn_local(async move {
            let _mine = mine;
            pending::<()>().await;
        });
        let outside = runtime::spawn(async move {
            let _other = other;
            pending::<()>().await;
        });
        yield_now().await;
        drop(set);
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(drops.lock().unwrap().len(), 1);
        assert!(!outside.is_finished());
    });
    assert_eq!(drops.lock().unwrap().len(), 2);
    // The set is never awaited, and no runtime exists.
    let set = LocalSet::new();
    let kept = NotSend::new(&drops);
    let task = set.spawn_local(async move { drop(kept) });
    drop(set);
    assert_eq!(drops.lock().unwrap().len(), 3);
    assert!(run(task).unwrap_err().is_cancelled());
}

#[test]
fn what_is_put_into_a_set_that_has_gone_does_not_run() {
    let drops = Drops::default();
    let ran = Rc::new(Cell::new(0));
    let task = |kept: NotSend| {
        let ran = ran.clone();
        async move {
            let _kept = kept;
            ran.set(ran.get() + 1);
            pending::<()>().await;
        }
    };
    run(async {
        // A task of the set drops the set.
        let set = Rc::new(RefCell::new(Some(LocalSet::new())));
        let late = Rc::new(RefCell::new(None));
        let member = {
            let (set, late, task) = (set.clone(), late.clone(), task(NotSend::new(&drops)));
            async move {
                drop(set.take());
                *late.borrow_mut() = Some(spawn_local(task));
                pending::<()>().await;
            }
        };
        drop(set.borrow().as_ref().unwrap().spawn_local(member));
        yield_now().await;
        let late = late.take().unwrap();
        assert!(late.await.unwrap_err().is_cancelled());
    });
    assert_eq!((drops.lock().unwrap().len(), ran.get()), (1, 0));
    // A guard has outlived the set, and no runtime exists: nothing would ever remove the set.
    let set = LocalSet::new();
    let guard = set.enter();
    drop(set);
    let task = spawn_local(task(NotSend::new(&drops)));
    drop(guard);
    assert_eq!((drops.lock().unwrap().len(), ran.get()), (2, 0));
    assert!(run(task).unwrap_err().is_cancelled());
}

#[test]
fn the_guard_says_which_set_is_meant() {
    let _watchdog = watchdog();
    assert!(catch_unwind(|| spawn_local(async {})).is_err(), "neither a set nor a runtime");
    let (outer, inner) = (LocalSet::new(), LocalSet::new());
    let in_outer = outer.enter();
    drop(spawn_local(async {}));
    {
        let _in_inner = inner.enter();
        drop(spawn_local(async {}));
    }
    drop(spawn_local(async {}));
    assert_eq!(format!("{outer:?} {inner:?}"), "LocalSet { tasks: 2 } LocalSet { tasks: 1 }");
    drop(in_outer);
    assert!(catch_unwind(|| spawn_local(async {})).is_err());
    // If the future panics, no set stays entered.
    let runtime = Runtime::new().unwrap();
    let panics = AssertUnwindSafe(|| outer.block_on(&runtime, async { panic!("oh") }));
    assert!(catch_unwind(panics).is_err());
    assert!(catch_unwind(|| spawn_local(async {})).is_err());
    assert_eq!(outer.block_on(&runtime, async { spawn_local(async { 7 }).await.unwrap() }), 7);
}

/// Guards are values: they may be kept in a struct, or dropped in any order.
#[test]
fn guards_that_go_in_any_order_leave_nothing_behind() {
    let _watchdog = watchdog();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        // The first set is entered twice.
        let sets = [LocalSet::new(), LocalSet::new()];
        let mut guards = [0, 1, 0].map(|set| Some(sets[set].enter()));
        let mut expected = [0, 0];
        for index in order {
            guards[index] = None;
            let left = guards.iter().rposition(Option::is_some);
            match left {
                Some(last) => {
                    drop(spawn_local(async {}));
                    expected[last % 2] += 1;
                }
                None => assert!(catch_unwind(|| spawn_local(async {})).is_err(), "{order:?}"),
            }
        }
        let [a, b] = expected;
        let seen = format!("{:?} {:?}", sets[0], sets[1]);
        assert_eq!(seen, format!("LocalSet {{ tasks: {a} }} LocalSet {{ tasks: {b} }}"), "{order:?}");
    }
}

#[test]
fn a_local_runtime_is_a_runtime() {
    let _watchdog = watchdog();
    let runtime: LocalRuntime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
    let local = Rc::new(7);
    let task = runtime.spawn_local(async move { *local });
    assert_eq!(runtime.block_on(task).unwrap(), 7);
    assert_eq!(runtime.handle().runtime_flavor(), RuntimeFlavor::CurrentThread);
}

#[test]
fn the_budget_is_lifted_within_and_put_back_behind() {
    run(async {
        let steps = || async {
            let mut steps = 0;
            while coop::has_budget_remaining() && steps < 10_000 {
                coop::consume_budget().await;
                steps += 1;
            }
            steps
        };
        let mut sum = steps().await;
        assert!(sum < 10_000);
        yield_now().await;
        assert!(coop::has_budget_remaining());
        assert_eq!(unconstrained(steps()).await, 10_000);
        // The budget that was spent before still counts, and none that was spent inside does.
        sum = steps().await;
        assert!(0 < sum && sum < 10_000);
        assert!(!coop::has_budget_remaining());
        let panics = unconstrained(async { panic!("oh") });
        let panicked = futures_lite::FutureExt::catch_unwind(AssertUnwindSafe(panics)).await;
        assert!(panicked.is_err() && !coop::has_budget_remaining());
    });
    assert!(coop::has_budget_remaining(), "there is no limit outside of a task");
}

#[test]
fn a_leaf_that_takes_part_spends_only_when_it_is_ready() {
    run(async {
        let mut turns = 0;
        let other = runtime::spawn(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
        while !other.is_finished() {
            coop::cooperative(std::future::ready(())).await;
            turns += 1;
        }
        assert!((200..10_000).contains(&turns), "{turns}");
        yield_now().await;
        // An operation that has to wait spends no budget.
        for _ in 0..10_000 {
            assert!(futures_lite::future::poll_once(coop::cooperative(pending::<()>())).await.is_none());
        }
        assert!(coop::has_budget_remaining());
    });
}
