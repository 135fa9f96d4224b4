//! The executor: in which order tasks are polled, how often, and what block_on does when it is called again, is nested, or
//! its future panics. What becomes of a task is in `tasks.rs`.

mod common;

use common::{Count, Trace, WakerSlot, message, own_waker, poll_once, run, until, watchdog, yield_times};
use runtime::task::yield_now;
use runtime::{Builder, Runtime, spawn};
use std::future::{poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
        c.get().wake_by_ref(); // the last one comes first…
        a.get().wake_by_ref();
        c.get().wake(); // …and two wakes are one poll
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
                "poll a", "wake b", "wake b", // two wakes in one poll…
                "poll b", // …are one poll
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
fn tasks_that_yield_take_turns_with_the_main_future() {
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
fn a_yield_of_the_main_future_lets_all_queued_tasks_run() {
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
    // The main future is polled at first, and once more when the task is done; the task is polled four times.
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
        // The main future is woken, which puts it behind the ten tasks, and it ends before its turn.
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
                // The wake at the end of the round before comes from outside of the loop.
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
fn a_large_future_runs_on_a_small_stack() {
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
