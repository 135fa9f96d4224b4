//! The executor as its users see it: who runs when, how often, and what becomes of a task.

mod common;

use common::{
    Count, CountOnDrop, CountingWaker, OnDrop, Trace, TraceOnDrop, WakerSlot, message, own_waker, poll_once,
    run, until, watchdog, yield_times,
};
use runtime::task::{JoinHandle, yield_now};
use runtime::{Builder, Runtime, spawn};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread;

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A task that writes into the trace at each poll, leaves its waker, and waits.
fn traced(trace: &Trace, name: &'static str, slot: &WakerSlot) -> impl Future<Output = ()> + 'static {
    let (trace, slot) = (trace.clone(), slot.clone());
    poll_fn(move |cx| {
        trace.push(format!("poll {name}"));
        slot.put(cx);
        Poll::Pending
    })
}

#[test]
fn tasks_run_in_the_order_in_which_they_were_woken_and_each_once() {
    let trace = Trace::default();
    let (a, b, c) = (WakerSlot::default(), WakerSlot::default(), WakerSlot::default());
    run(async {
        drop(spawn(traced(&trace, "a", &a)));
        drop(spawn(traced(&trace, "b", &b)));
        drop(spawn(traced(&trace, "c", &c)));
        assert!(trace.take().is_empty(), "spawn polls nothing");
        yield_now().await;
        assert_eq!(trace.take(), ["poll a", "poll b", "poll c"]);
        c.get().wake_by_ref(); // last shall be first…
        a.get().wake_by_ref();
        c.get().wake(); // …and twice is once
        a.get().wake();
        yield_now().await;
        assert_eq!(trace.take(), ["poll c", "poll a"]);
        yield_times(3).await;
        assert!(trace.take().is_empty(), "nobody was woken");
    });
}

#[test]
fn a_task_that_wakes_another_twice_in_one_poll_gives_it_one_turn() {
    let trace = Trace::default();
    let b = WakerSlot::default();
    run(async {
        drop(spawn(traced(&trace, "b", &b)));
        drop(spawn({
            let (trace, b) = (trace.clone(), b.clone());
            async move {
                for _ in 0..2 {
                    trace.push("poll a");
                    trace.push("wake b");
                    b.get().wake();
                    trace.push("wake b");
                    b.get().wake();
                    yield_now().await;
                }
            }
        }));
        yield_times(4).await;
        assert_eq!(
            trace.take(),
            [
                "poll b", // spawned first
                "poll a", "wake b", "wake b", // twice in one poll…
                "poll b", // …is one turn
                "poll a", "wake b", "wake b", "poll b",
            ]
        );
    });
}

#[test]
fn what_is_spawned_in_a_round_runs_in_the_next() {
    let trace = Trace::default();
    run(async {
        for name in ["a", "b"] {
            let trace = trace.clone();
            drop(spawn(async move {
                trace.push(name);
                drop(spawn(async move { trace.push(format!("child of {name}")) }));
            }));
        }
        trace.push("main");
        yield_now().await;
        trace.push("main");
        yield_now().await;
        assert_eq!(trace.take(), ["main", "a", "b", "main", "child of a", "child of b"]);
    });
}

#[test]
fn those_who_yield_take_turns_with_the_main_future() {
    let trace = Trace::default();
    run(async {
        for name in ["a", "b"] {
            let trace = trace.clone();
            drop(spawn(async move {
                for turn in 1..=2 {
                    trace.push(format!("{name}{turn}"));
                    yield_now().await;
                }
            }));
        }
        for turn in 1..=3 {
            trace.push(format!("main{turn}"));
            yield_now().await;
        }
    });
    assert_eq!(trace.take(), ["main1", "a1", "b1", "main2", "a2", "b2", "main3"]);
}

#[test]
fn a_yield_of_the_main_future_lets_all_who_are_queued_run() {
    for event_interval in [1, 2, 61, 128] {
        let runtime = Builder::new_current_thread().event_interval(event_interval).build().unwrap();
        let polls = Count::default();
        runtime.block_on(async {
            for _ in 0..1000 {
                let polls = polls.clone();
                drop(spawn(async move { _ = polls.add() }));
            }
            yield_now().await;
            assert_eq!(polls.get(), 1000, "event interval {event_interval}");
        });
    }
}

#[test]
fn a_main_future_that_never_waits_starves_nobody() {
    let _watchdog = watchdog();
    for event_interval in [1, 2, 3] {
        let runtime = Builder::new_current_thread().event_interval(event_interval).build().unwrap();
        runtime.block_on(async {
            let done = spawn(async { yield_times(10).await });
            until(|| done.is_finished()).await;
        });
    }
}

#[test]
fn a_wake_during_the_poll_is_exactly_one_further_poll() {
    run(async {
        for wakes in [0, 1, 3] {
            for is_by_value in [false, true] {
                let polls = Count::default();
                drop(spawn({
                    let polls = polls.clone();
                    poll_fn(move |cx| {
                        if polls.add() == 1 {
                            for _ in 0..wakes {
                                let waker = cx.waker().clone();
                                match is_by_value {
                                    true => waker.wake(),
                                    false => waker.wake_by_ref(),
                                }
                            }
                        }
                        Poll::<()>::Pending
                    })
                }));
                yield_times(5).await;
                assert_eq!(polls.get(), 1 + wakes.min(1), "{wakes} wakes, by value: {is_by_value}");
            }
        }
    });
}

#[test]
fn a_wake_from_another_thread_during_the_poll_is_exactly_one_further_poll() {
    run(async {
        let polls = Count::default();
        drop(spawn({
            let polls = polls.clone();
            poll_fn(move |cx| {
                if polls.add() == 1 {
                    let (waker, barrier) = (cx.waker().clone(), Arc::new(Barrier::new(2)));
                    let other = thread::spawn({
                        let barrier = barrier.clone();
                        move || {
                            barrier.wait();
                            waker.wake_by_ref();
                            waker.wake();
                        }
                    });
                    barrier.wait();
                    other.join().unwrap();
                }
                Poll::<()>::Pending
            })
        }));
        until(|| polls.get() == 2).await;
        yield_times(1000).await;
        assert_eq!(polls.get(), 2);
    });
}

#[test]
fn polls_are_counted_to_the_last() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let task = spawn(async { yield_times(3).await });
        task.await.unwrap();
    });
    // The main future at first, and once more when the task is done; the task four times.
    assert_eq!(runtime.metrics().polls, 2 + 4);
    assert_eq!(runtime.metrics().num_alive_tasks, 0);
    runtime.block_on(ready(()));
    assert_eq!(runtime.metrics().polls, 7);
}

#[test]
fn block_on_may_be_called_again_and_tasks_that_are_left_go_on() {
    let trace = Trace::default();
    let runtime = Runtime::new().unwrap();
    drop(runtime.spawn({
        let trace = trace.clone();
        async move {
            for step in 0..4 {
                trace.push(format!("step {step}"));
                yield_now().await;
            }
        }
    }));
    assert!(trace.take().is_empty(), "nothing turns the loop");
    assert_eq!(runtime.block_on(async { 1 }), 1);
    assert!(trace.take().is_empty(), "the main future was ready first");
    runtime.block_on(yield_times(2));
    assert_eq!(trace.take(), ["step 0", "step 1"]);
    runtime.block_on(yield_times(2));
    assert_eq!(trace.take(), ["step 2", "step 3"]);
    assert_eq!(runtime.metrics().num_alive_tasks, 1);
    runtime.block_on(yield_now());
    assert_eq!(runtime.metrics().num_alive_tasks, 0);
}

#[test]
fn a_waker_of_an_earlier_block_on_is_harmless() {
    let runtime = Runtime::new().unwrap();
    let earlier = runtime.block_on(own_waker());
    earlier.wake_by_ref();
    let polls = Count::default();
    runtime.block_on(async {
        assert!(!own_waker().await.will_wake(&earlier));
        assert!(poll_once(WakerSlot::default().wait(&polls)).await.is_none());
        earlier.wake_by_ref();
        yield_now().await;
    });
    earlier.wake();
    assert_eq!(polls.get(), 1);
}

#[test]
fn the_future_of_block_on_is_polled_first_whatever_an_earlier_one_did() {
    let runtime = Runtime::new().unwrap();
    let polls = Count::default();
    runtime.block_on(async {
        for _ in 0..10 {
            let polls = polls.clone();
            drop(spawn(async move {
                loop {
                    polls.add();
                    yield_now().await;
                }
            }));
        }
        // Woken, with a place behind the ten, and gone before its turn.
        own_waker().await.wake();
    });
    assert_eq!(polls.get(), 0);
    runtime.block_on(async { assert_eq!(polls.get(), 0) });
    runtime.block_on(yield_now());
    assert_eq!(polls.get(), 10);
}

#[test]
fn block_on_inside_a_runtime_says_what_to_do_and_leaves_it_usable() {
    run(async {
        let other = Runtime::new().unwrap();
        for in_a_task in [false, true] {
            let nested = || {
                let caught = catch_unwind(AssertUnwindSafe(|| other.block_on(async {})));
                let said = message(&*caught.unwrap_err()).to_owned();
                assert!(said.contains("block_on inside a runtime"), "{said}");
                assert!(said.contains("await the future"), "{said}");
            };
            match in_a_task {
                false => nested(),
                true => {
                    let error = spawn(async { runtime::block_on(async {}) }).await.unwrap_err();
                    assert!(error.to_string().contains("block_on inside a runtime"), "{error}");
                }
            }
            assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        }
    });
}

#[test]
fn a_panic_of_the_main_future_comes_out_and_leaves_the_runtime_usable() {
    let runtime = Runtime::new().unwrap();
    let polls = Count::default();
    let slot = WakerSlot::default();
    drop(runtime.spawn(slot.wait(&polls)));
    for round in 1..=3 {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                yield_now().await;
                runtime::time::sleep(std::time::Duration::ZERO).await;
                // The wake of the round before comes from outside of the loop.
                until(|| polls.get() == round).await;
                common::panic_quietly("of main");
            })
        }));
        assert_eq!(message(&*caught.unwrap_err()), "of main");
        assert!(runtime::Handle::try_current().is_err(), "nothing is entered any more");
        assert!(catch_unwind(|| runtime::time::pause()).is_err(), "no clock either");
        assert_eq!(runtime.block_on(async { spawn(async { 1 }).await.unwrap() }), 1);
        assert_eq!(polls.get(), round, "the task is still there, and was not polled in vain");
        slot.get().wake();
    }
}

#[test]
fn a_join_handle_gives_the_output_once() {
    run(async {
        let mut task = spawn(async {
            yield_now().await;
            Rc::new(42)
        });
        assert!(!task.is_finished());
        assert!(poll_once(&mut task).await.is_none());
        yield_times(2).await;
        assert!(task.is_finished());
        assert_eq!(*(&mut task).await.unwrap(), 42);
        assert!(task.is_finished());
        let mut again = Box::pin(&mut task);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            drop(again.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        }));
        assert!(message(&*caught.unwrap_err()).contains("after it had given its output"));
    });
}

#[test]
fn a_task_knows_its_number_and_so_does_its_handle() {
    run(async {
        assert!(runtime::task::try_id().is_none(), "the future of block_on is no task");
        let task = spawn(async {
            let before = runtime::task::id();
            yield_now().await;
            assert_eq!(runtime::task::id(), before);
            before
        });
        let (id, abort) = (task.id(), task.abort_handle());
        assert_eq!((abort.id(), task.await.unwrap()), (id, id));
        assert!(runtime::task::try_id().is_none());
        assert_ne!(spawn(async {}).id(), id);
        let away = runtime::Handle::current().spawn(async { runtime::task::id() });
        let id = away.id();
        assert_eq!(away.await.unwrap(), id);
    });
}

#[test]
fn an_output_that_nobody_joins_is_dropped_by_no_other_task() {
    run(async {
        for spawns in [false, true] {
            let seen = Rc::new(Cell::new(None));
            let output = OnDrop::new({
                let seen = seen.clone();
                move || {
                    // Whether its slot is vacant then, or has its next tenant.
                    let next = spawns.then(|| spawn(async {}));
                    seen.set(Some((runtime::task::try_id(), next.map(|next| next.id()))));
                }
            });
            drop(spawn(async { output }));
            yield_now().await;
            let (id, next) = seen.get().expect("it has been dropped");
            assert_eq!((id, next.is_some()), (None, spawns));
        }
    });
}

#[test]
fn tasks_whose_handles_are_dropped_run_all_the_same() {
    let (polls, drops) = (Count::default(), Count::default());
    run(async {
        for _ in 0..100 {
            let (polls, dropped) = (polls.clone(), CountOnDrop(drops.clone()));
            drop(spawn(async move {
                let _dropped = dropped;
                polls.add();
                yield_now().await;
                polls.add();
            }));
        }
        yield_times(2).await;
        assert_eq!((polls.get(), drops.get()), (200, 100));
    });
    assert_eq!(drops.get(), 100);
}

#[test]
fn dropping_a_join_handle_wakes_nobody() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let other = spawn(pending::<()>());
        let away = runtime::Handle::current().spawn(pending::<()>());
        let (counting, waker) = CountingWaker::new();
        let mut cx = Context::from_waker(&waker);
        for mut handle in [other, away] {
            assert!(Pin::new(&mut handle).poll(&mut cx).is_pending());
            drop(handle);
        }
        yield_times(3).await;
        assert_eq!(counting.wakes(), 0);
        drop(waker);
        assert_eq!(Arc::strong_count(&counting), 1, "and its waker is not kept");
    });
}

/// Aborts a task in some state; gives the trace of what it did.
fn abort_when(at: &'static str) -> Vec<String> {
    let trace = Trace::default();
    run(async {
        let (slot, own) = (WakerSlot::default(), Rc::new(RefCell::new(None::<runtime::task::AbortHandle>)));
        let task = spawn({
            let (trace, slot, own) = (trace.clone(), slot.clone(), own.clone());
            async move {
                let _dropped = TraceOnDrop(trace.clone(), "drop");
                trace.push("poll");
                if at == "running" {
                    own.borrow().as_ref().unwrap().abort();
                    trace.push("aborted, and goes on");
                }
                let mut is_first = at != "finished";
                poll_fn(|cx| {
                    slot.put(cx);
                    if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
                })
                .await;
                trace.push("end");
                "output"
            }
        });
        own.replace(Some(task.abort_handle()));
        match at {
            "never polled" => {}
            "queued" => {
                yield_now().await;
                slot.get().wake();
            }
            _ => yield_now().await,
        }
        if at != "running" {
            trace.push("abort");
            task.abort();
            task.abort();
        }
        yield_now().await;
        trace.push("look");
        assert!(task.is_finished());
        let result = task.await;
        match at {
            "finished" => assert_eq!(result.unwrap(), "output"),
            _ => assert!(result.unwrap_err().is_cancelled()),
        }
    });
    trace.take()
}

#[test]
fn an_abort_drops_the_task_in_its_next_turn() {
    // The guard is made by the first poll, so that there is none to drop before it.
    assert_eq!(abort_when("never polled"), ["abort", "look"]);
    assert_eq!(abort_when("waiting"), ["poll", "abort", "drop", "look"]);
    assert_eq!(abort_when("queued"), ["poll", "abort", "drop", "look"]);
    assert_eq!(abort_when("running"), ["poll", "aborted, and goes on", "drop", "look"]);
    assert_eq!(abort_when("finished"), ["poll", "end", "drop", "abort", "look"]);
}

#[test]
fn an_abort_in_the_last_poll_comes_too_late() {
    run(async {
        let own = Rc::new(RefCell::new(None::<runtime::task::AbortHandle>));
        let task = spawn({
            let own = own.clone();
            async move {
                own.borrow().as_ref().unwrap().abort();
                "output"
            }
        });
        own.replace(Some(task.abort_handle()));
        assert_eq!(task.await.unwrap(), "output");
    });
}

#[test]
fn a_detached_task_can_still_be_aborted() {
    run(async {
        let drops = Count::default();
        let dropped = CountOnDrop(drops.clone());
        let task = spawn(async move {
            let _dropped = dropped;
            pending::<()>().await;
        });
        let abort = task.abort_handle();
        drop(task);
        yield_now().await;
        assert_eq!((drops.get(), abort.is_finished()), (0, false));
        abort.clone().abort();
        yield_now().await;
        assert_eq!((drops.get(), abort.is_finished()), (1, true));
        abort.abort();
    });
}

#[test]
fn only_the_latest_who_polled_a_join_handle_is_woken() {
    run(async {
        let slot = WakerSlot::default();
        let task = spawn({
            let slot = slot.clone();
            let mut polls = 0;
            poll_fn(move |cx| {
                polls += 1;
                slot.put(cx);
                if polls == 2 { Poll::Ready(42) } else { Poll::Pending }
            })
        });
        let shared = Rc::new(RefCell::new(task));
        let polls = Rc::new(RefCell::new(Vec::new()));
        let wait = |name| {
            let (shared, polls) = (shared.clone(), polls.clone());
            poll_fn(move |cx| {
                polls.borrow_mut().push(name);
                Pin::new(&mut *shared.borrow_mut()).poll(cx)
            })
        };
        let first = spawn(wait("first"));
        let second = spawn(wait("second"));
        yield_now().await;
        assert_eq!(polls.take(), ["first", "second"]);
        slot.get().wake();
        assert_eq!(second.await.unwrap().unwrap(), 42);
        yield_times(3).await;
        assert_eq!(polls.take(), ["second"]);
        assert!(!first.is_finished());
    });
}

#[test]
fn wakers_kept_after_the_end_of_their_task_do_nothing() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let mut kept = Vec::new();
    let polls = Count::default();
    runtime.block_on(async {
        for end in ["completed", "aborted", "panicked"] {
            let slot = WakerSlot::default();
            let task: JoinHandle<()> = spawn({
                let (slot, polls) = (slot.clone(), polls.clone());
                async move {
                    slot.wait(&polls).await;
                }
            });
            yield_now().await;
            kept.push(slot.get());
            if end == "aborted" {
                task.abort();
                drop(task.await);
                continue;
            }
            task.abort();
            drop(task);
            let own = spawn(async move {
                let waker = own_waker().await;
                if end == "panicked" {
                    common::panic_quietly(waker);
                }
                waker
            });
            kept.push(match own.await {
                Ok(waker) => waker,
                Err(error) => *error.into_panic().downcast().unwrap(),
            });
        }
        assert_eq!((kept.len(), polls.get()), (5, 3));
        // The slots have new tenants, which are not disturbed either.
        let fresh = Count::default();
        for _ in 0..8 {
            drop(spawn(WakerSlot::default().wait(&fresh)));
        }
        yield_now().await;
        assert_eq!(fresh.get(), 8);
        let turns = async {
            kept.iter().for_each(Waker::wake_by_ref);
            kept.clone().into_iter().for_each(Waker::wake);
            yield_times(3).await;
        };
        turns.await;
        assert_eq!((polls.get(), fresh.get()), (3, 8));
    });
    drop(runtime);
    kept.iter().for_each(Waker::wake_by_ref);
    let kept = thread::spawn(move || kept.into_iter().for_each(Waker::wake));
    kept.join().unwrap();
    assert_eq!(polls.get(), 3);
}

#[test]
fn wakers_of_one_task_are_equal_and_of_two_are_not() {
    run(async {
        let task = || {
            spawn(async {
                let first = own_waker().await;
                yield_now().await;
                let second = own_waker().await;
                assert!(first.will_wake(&second) && first.will_wake(&second.clone()));
                second
            })
        };
        let (one, two) = (task(), task());
        assert!(!one.await.unwrap().will_wake(&two.await.unwrap()));
        let main = own_waker().await;
        yield_now().await;
        assert!(main.will_wake(&own_waker().await));
    });
}

#[test]
fn a_future_is_dropped_before_its_output_is_seen() {
    let trace = Trace::default();
    run(async {
        for is_away in [false, true] {
            let body = {
                let dropped = Arc::new(());
                let seen = Arc::downgrade(&dropped);
                async move {
                    let _dropped = dropped;
                    yield_now().await;
                    seen
                }
            };
            let task = if is_away { runtime::Handle::current().spawn(body) } else { spawn(body) };
            assert!(task.await.unwrap().upgrade().is_none(), "away: {is_away}");
        }
        let dropped = TraceOnDrop(trace.clone(), "drop");
        let task = spawn(async move { drop(dropped) });
        drop(task.await);
        trace.push("joined");
    });
    assert_eq!(trace.take(), ["drop", "joined"]);
}

#[test]
fn a_large_future_and_a_small_stack_get_on() {
    let small = thread::Builder::new().stack_size(if cfg!(miri) { 1 << 20 } else { 64 << 10 }).spawn(|| {
        run(async {
            let large = spawn(async {
                let buffer = Box::new([0u8; 16 << 10]);
                yield_now().await;
                buffer.len()
            });
            assert_eq!(large.await.unwrap(), 16 << 10);
            runtime::time::sleep(std::time::Duration::from_micros(10)).await;
        });
    });
    small.unwrap().join().unwrap();
}

#[test]
fn without_a_runtime_the_panic_says_what_to_do() {
    let says = |f: fn()| message(&*catch_unwind(f).unwrap_err()).to_owned();
    for said in [
        says(|| drop(spawn(async {}))),
        says(|| drop(runtime::task::spawn_blocking(|| {}))),
        says(|| drop(runtime::Handle::current())),
        says(|| _ = std::pin::pin!(runtime::time::sleep(std::time::Duration::ZERO)).poll(&mut noop())),
    ] {
        assert!(
            said.contains("outside of a runtime: call this inside block_on or #[runtime::main]"),
            "{said}"
        );
    }
}
