//! Tasks: their join handles and ids, how they are aborted, when their future and output are dropped, and the wakers that
//! stay behind.

mod common;

use common::{
    Count, CountOnDrop, CountingWaker, OnDrop, Trace, TraceOnDrop, WakerSlot, message, own_waker, poll_once,
    run, watchdog, yield_times,
};
use runtime::task::{JoinHandle, yield_now};
use runtime::{Runtime, spawn};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

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
                    // The slot of the task may be vacant by then, or belong to the next task.
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

/// Aborts a task in a certain state, and returns the trace of what it did.
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
    // The guard is made in the first poll, so there is none to drop before it.
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
fn only_the_latest_task_that_polled_a_join_handle_is_woken() {
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
        // Other tasks have the slots now, which are not disturbed either.
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
