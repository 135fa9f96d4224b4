//! `JoinSet`: the outputs of many tasks, in the order in which the tasks end.

mod common;

use common::{Count, CountOnDrop, CountingWaker, OnDrop, Trace, TraceOnDrop, WakerSlot, run, watchdog};
use runtime::task::{JoinSet, LocalSet, yield_now};
use runtime::{Handle, Runtime};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

#[test]
fn outputs_come_in_the_order_in_which_tasks_end() {
    run(async {
        let mut set = JoinSet::new();
        for yields in [3, 1, 2, 0] {
            set.spawn(async move {
                for _ in 0..yields {
                    yield_now().await;
                }
                yields
            });
        }
        assert_eq!((set.len(), format!("{set:?}")), (4, "JoinSet { len: 4 }".to_owned()));
        assert!(set.try_join_next().is_none(), "no task has run yet");
        assert_eq!(set.join_all().await, [0, 1, 2, 3]);
    });
}

#[test]
fn futures_need_not_be_send_and_the_set_is_if_its_outputs_are() {
    fn is_send(_: &impl Send) {}
    run(async {
        let local = Rc::new(Cell::new(1));
        let mut set = JoinSet::new();
        is_send(&set);
        set.spawn({
            let local = local.clone();
            async move { local.set(local.get() + 1) }
        });
        set.spawn_local({
            let local = local.clone();
            async move { local.set(local.get() * 10) }
        });
        while let Some(result) = set.join_next().await {
            result.unwrap();
        }
        assert_eq!(local.get(), 20);
        assert!(set.join_next().await.is_none() && set.is_empty());
    });
}

#[test]
fn a_batch_of_tasks_wakes_the_set_once() {
    run(async {
        let gate = Rc::new(Cell::new(false));
        let waits = |n| {
            let gate = gate.clone();
            async move {
                while !gate.get() {
                    yield_now().await;
                }
                n
            }
        };
        let mut set: JoinSet<usize> = (0..1000).map(waits).collect();
        let (counting, waker) = CountingWaker::new();
        assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
        gate.set(true);
        // All of them run before this future does again.
        yield_now().await;
        assert_eq!(counting.wakes(), 1);
        let mut outputs: Vec<usize> =
            std::iter::from_fn(|| set.try_join_next()).map(Result::unwrap).collect();
        outputs.sort_unstable();
        assert_eq!(outputs, (0..1000).collect::<Vec<_>>());
        assert_eq!(counting.wakes(), 1);
    });
}

#[test]
fn the_latest_waker_is_woken_and_an_earlier_one_is_not() {
    run(async {
        let slot = WakerSlot::default();
        let ended = Rc::new(Cell::new(false));
        let mut set = JoinSet::new();
        set.spawn({
            let (slot, ended) = (slot.clone(), ended.clone());
            poll_fn(move |cx| {
                slot.put(cx);
                if ended.get() { Poll::Ready(()) } else { Poll::Pending }
            })
        });
        yield_now().await;
        let ((first, first_waker), (second, second_waker)) = (CountingWaker::new(), CountingWaker::new());
        assert!(set.poll_join_next(&mut Context::from_waker(&first_waker)).is_pending());
        assert!(set.poll_join_next(&mut Context::from_waker(&second_waker)).is_pending());
        ended.set(true);
        slot.get().wake();
        yield_now().await;
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
        assert!(set.poll_join_next(&mut Context::from_waker(Waker::noop())).is_ready());
    });
}

#[test]
fn ids_of_outputs_and_errors_are_those_of_their_abort_handles() {
    run(async {
        let mut set = JoinSet::new();
        let ready = set.spawn(async { runtime::task::id() });
        let (id, output) = set.join_next_with_id().await.unwrap().unwrap();
        assert_eq!((id, output), (ready.id(), ready.id()));
        let aborted = set.spawn(async { pending().await });
        aborted.abort();
        assert_eq!(set.join_next_with_id().await.unwrap().unwrap_err().id(), aborted.id());
        let panicked = set.spawn(async { panic!("expected") });
        yield_now().await;
        let error = set.try_join_next_with_id().unwrap().unwrap_err();
        assert!(error.is_panic() && error.id() == panicked.id());
        assert!(aborted.is_finished() && panicked.is_finished());
    });
}

#[test]
fn dropping_the_set_aborts_its_tasks_and_detaching_them_does_not() {
    run(async {
        let dropped = Count::default();
        let waits = |dropped: &Count| {
            let guard = CountOnDrop(dropped.clone());
            async move {
                let _guard = guard;
                pending::<()>().await;
            }
        };
        let mut set = JoinSet::new();
        for _ in 0..3 {
            set.spawn(waits(&dropped));
        }
        drop(set);
        assert_eq!(dropped.get(), 0, "a task is dropped in its turn");
        yield_now().await;
        assert_eq!(dropped.get(), 3);
        let mut set = JoinSet::new();
        let task = set.spawn(waits(&dropped));
        set.detach_all();
        assert!(set.is_empty() && set.join_next().await.is_none());
        drop(set);
        yield_now().await;
        assert_eq!((dropped.get(), task.is_finished()), (3, false));
        task.abort();
        yield_now().await;
        assert_eq!(dropped.get(), 4);
    });
}

/// The detached task ends in the place of another one: its end must not count as that of the other.
#[test]
fn a_detached_task_does_not_end_in_the_place_of_a_later_one() {
    run(async {
        let mut set = JoinSet::new();
        let gate = WakerSlot::default();
        set.spawn(gate.wait(&Count::default()));
        yield_now().await;
        set.detach_all();
        set.spawn(async { yield_now().await });
        gate.get().wake();
        assert!(set.try_join_next().is_none());
        set.join_next().await.unwrap().unwrap();
        assert!(set.is_empty());
    });
}

#[test]
fn shutdown_ends_all_tasks_and_ignores_their_panics() {
    run(async {
        let trace = Trace::default();
        let mut set = JoinSet::new();
        let guard = TraceOnDrop(trace.clone(), "dropped");
        set.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        set.spawn(async {
            let _guard = OnDrop::new(|| panic!("expected"));
            pending::<()>().await;
        });
        yield_now().await;
        set.shutdown().await;
        assert!(set.is_empty());
        assert_eq!(trace.take(), ["dropped"]);
    });
}

#[test]
fn join_all_passes_a_panic_on_and_aborts_the_others() {
    let _watchdog = watchdog();
    let dropped = Count::default();
    let runtime = Runtime::new().unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            let guard = CountOnDrop(dropped.clone());
            set.spawn(async move {
                let _guard = guard;
                pending().await
            });
            set.spawn(async { panic!("expected") });
            set.join_all().await
        })
    }))
    .unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "expected");
    runtime.block_on(yield_now());
    assert_eq!(dropped.get(), 1);
}

#[test]
fn blocking_calls_and_tasks_of_other_runtimes_belong_to_it_too() {
    let _watchdog = watchdog();
    let (sender, receiver) = mpsc::channel();
    let (stop, stopped) = mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        sender.send(runtime.handle().clone()).unwrap();
        runtime.block_on(runtime.spawn_blocking(move || _ = stopped.recv())).unwrap();
    });
    let elsewhere = receiver.recv().unwrap();
    runtime::block_on(async {
        for _ in 0..common::rounds(200, 100, 3) {
            let mut set = JoinSet::new();
            set.spawn(async { 1 });
            set.spawn_on(async { 2 }, &elsewhere);
            set.spawn_on(async { 3 }, &Handle::current());
            set.spawn_blocking(|| 4);
            set.spawn_blocking_on(|| 5, &elsewhere);
            let mut outputs = set.join_all().await;
            outputs.sort_unstable();
            assert_eq!(outputs, [1, 2, 3, 4, 5]);
        }
    });
    drop(stop);
    other.join().unwrap();
}

#[test]
fn a_set_of_blocking_calls_may_be_awaited_on_any_thread() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let mut set = JoinSet::new();
    for n in 0..10 {
        set.spawn_blocking_on(move || n, runtime.handle());
    }
    let outputs = std::thread::spawn(move || runtime::block_on(set.join_all()));
    assert_eq!(outputs.join().unwrap().iter().sum::<i32>(), 45);
}

#[test]
fn tasks_of_a_runtime_that_is_dropped_are_cancelled() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let mut set = JoinSet::new();
    runtime.block_on(async { _ = set.spawn(pending::<()>()) });
    drop(runtime);
    runtime::block_on(async {
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn a_local_set_may_spawn_into_it_before_there_is_a_runtime() {
    let _watchdog = watchdog();
    let local = LocalSet::new();
    let mut set = JoinSet::new();
    set.spawn_local_on(async { 7 }, &local);
    let runtime = Runtime::new().unwrap();
    assert_eq!(local.block_on(&runtime, set.join_all()), [7]);
}

#[test]
fn a_spawn_that_panics_leaves_the_set_as_it_was() {
    let _watchdog = watchdog();
    let mut set = JoinSet::new();
    let outside = catch_unwind(AssertUnwindSafe(|| set.spawn(async { 1 })));
    let message = *outside.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("JoinSet::spawn was called outside of a runtime"), "{message}");
    assert!(set.is_empty());
    runtime::block_on(async {
        set.spawn(async {
            yield_now().await;
            2
        });
        assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
        assert!(set.join_next().await.is_none());
    });
}

/// A group of ready tasks spends the budget of the task that collects them, like each join handle.
#[test]
fn collecting_outputs_spends_the_budget() {
    run(async {
        let mut set: JoinSet<()> = (0..1000).map(|_| async {}).collect();
        yield_now().await;
        let turns = Rc::new(Cell::new(0));
        let counter = runtime::spawn({
            let turns = turns.clone();
            async move {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now().await;
                }
            }
        });
        while set.join_next().await.is_some() {}
        counter.abort();
        assert!((5..=12).contains(&turns.get()), "{} turns", turns.get());
    });
}

/// The drop of a future polls the set that its task belongs to, when the task has no output yet.
#[test]
fn a_set_that_is_polled_while_a_task_ends_is_woken_again() {
    run(async {
        let place: Rc<Cell<Option<JoinSet<u8>>>> = Rc::default();
        let (counting, waker) = CountingWaker::new();
        let mut set = JoinSet::new();
        set.spawn(async { 1 });
        set.spawn({
            let place = place.clone();
            async move {
                let _guard = OnDrop::new(move || {
                    let mut set = place.take().unwrap();
                    let mut cx = Context::from_waker(&waker);
                    assert!(matches!(set.poll_join_next(&mut cx), Poll::Ready(Some(Ok(1)))));
                    assert!(set.poll_join_next(&mut cx).is_pending());
                    place.set(Some(set));
                });
                yield_now().await;
                2
            }
        });
        place.set(Some(set));
        yield_now().await;
        yield_now().await;
        assert_eq!(counting.wakes(), 1);
        let mut set = place.take().unwrap();
        assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
    });
}

/// A foreign waker polls the set within its wake, a moment before the output is available.
#[test]
fn a_set_that_is_polled_by_its_waker_gets_the_output_later() {
    thread_local! {
        static SET: Cell<Option<JoinSet<u8>>> = const { Cell::new(None) };
    }
    struct PollsInWake(AtomicUsize);
    impl Wake for PollsInWake {
        fn wake(self: Arc<Self>) {
            if self.0.fetch_add(1, SeqCst) == 0 {
                let mut set = SET.take().unwrap();
                let waker = self.clone().into();
                assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
                assert!(set.try_join_next().is_none());
                SET.set(Some(set));
            }
        }
    }
    run(async {
        let polls_in_wake = Arc::new(PollsInWake(AtomicUsize::new(0)));
        let mut set = JoinSet::new();
        set.spawn(async { 7 });
        let waker = polls_in_wake.clone().into();
        assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
        SET.set(Some(set));
        yield_now().await;
        assert_eq!(polls_in_wake.0.load(SeqCst), 2, "woken for the notice and for the output");
        let mut set = SET.take().unwrap();
        assert_eq!(set.try_join_next().unwrap().unwrap(), 7);
    });
}
