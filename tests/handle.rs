//! Handles: using a runtime from any thread, and finding the one that is entered.

mod common;

use common::subjects::Gate;
use common::{Count, OnDrop, message, panic_quietly, rounds, run, until, watchdog, yield_times};
use runtime::task::{AbortHandle, JoinHandle, yield_now};
use runtime::{Builder, Handle, Runtime, spawn, time};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

#[test]
fn what_may_go_to_other_threads() {
    fn anywhere<T: Send + Sync + Clone + 'static>() {}
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    anywhere::<Handle>();
    anywhere::<AbortHandle>();
    anywhere::<runtime::task::Id>();
    fn of_many_threads<T: Send + Sync + Unpin>() {}
    of_many_threads::<JoinHandle<u32>>();
    of_many_threads::<time::Sleep>();
    of_many_threads::<time::Interval>();
    fn one_at_a_time<T: Send>() {}
    one_at_a_time::<runtime::task::JoinError>();
    run(sendable(async {
        let handle = sendable(Handle::current());
        let task = sendable(handle.spawn(async { 7 }));
        assert_eq!(task.await.unwrap(), 7);
        time::timeout(Duration::from_secs(1), yield_now()).await.unwrap();
    }));
}

#[test]
fn the_handle_of_the_runtime_that_is_entered() {
    assert!(Handle::try_current().is_err());
    assert!(Handle::try_current().unwrap_err().to_string().contains("call this inside block_on"));
    run(async {
        let of_main = format!("{:?}", Handle::current());
        let of_task = spawn(async { format!("{:?}", Handle::try_current().unwrap()) });
        assert_eq!(of_task.await.unwrap(), of_main);
        assert!(of_main.contains("closed: false"), "{of_main}");
        let of_a_call = runtime::task::spawn_blocking(|| format!("{:?}", Handle::current()));
        assert_eq!(of_a_call.await.unwrap(), of_main);
    });
    assert!(Handle::try_current().is_err());
}

#[test]
fn what_one_thread_spawns_starts_in_order() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let order = Arc::new(Mutex::new(Vec::new()));
    let other = thread::spawn({
        let order = order.clone();
        move || {
            for n in 0..100 {
                let order = order.clone();
                drop(handle.spawn(async move { order.lock().unwrap().push(n) }));
            }
        }
    });
    other.join().unwrap();
    assert!(order.lock().unwrap().is_empty(), "nothing turns the loop");
    runtime.block_on(until(|| order.lock().unwrap().len() == 100));
    assert!(order.lock().unwrap().is_sorted());
}

#[test]
fn block_on_from_another_thread() {
    let _watchdog = watchdog();
    let runtime = Builder::new_current_thread().start_paused(true).build().unwrap();
    let handle = runtime.handle().clone();
    let (home, gate) = (thread::current().id(), Gate::default());
    let opened = gate.wait();
    let other = thread::spawn(move || {
        assert_eq!(handle.block_on(async { thread::current().id() }), home);
        // These are the clock, the timers and the tasks of that runtime.
        let slept = handle.block_on(async {
            let start = time::Instant::now();
            time::sleep(Duration::from_secs(3600)).await;
            spawn(yield_now()).await.unwrap();
            start.elapsed()
        });
        assert_eq!(slept, Duration::from_secs(3600));
        assert!(handle.block_on(async { runtime::task::try_id().is_some() }), "it runs as a task");
        let caught = catch_unwind(AssertUnwindSafe(|| handle.block_on(async { panic_quietly("there") })));
        assert_eq!(message(&*caught.unwrap_err()), "there");
        gate.open();
    });
    runtime.block_on(opened);
    other.join().unwrap();
}

#[test]
fn block_on_does_not_wait_for_a_runtime_that_goes() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let (begun, has_begun) = channel();
    let other = thread::spawn(move || {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            handle.block_on(async move {
                begun.send(()).unwrap();
                pending::<()>().await;
            });
        }));
        message(&*caught.unwrap_err()).to_owned()
    });
    runtime.block_on(until(|| has_begun.try_recv().is_ok()));
    drop(runtime);
    let said = other.join().unwrap();
    assert!(said.contains("the runtime has gone"), "{said}");
}

#[test]
fn a_task_is_aborted_before_it_has_arrived() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let kept = Arc::new(());
    let task = runtime.handle().spawn({
        let kept = kept.clone();
        async move {
            let _kept = kept;
            panic_quietly("polled though aborted");
        }
    });
    let abort = task.abort_handle();
    abort.abort();
    assert!(!task.is_finished(), "it ends on its runtime's thread");
    let result: Result<(), _> = runtime.block_on(task);
    assert!(result.unwrap_err().is_cancelled());
    assert!(abort.is_finished());
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn a_task_is_aborted_by_its_handle_from_anywhere() {
    run(async {
        for is_away in [false, true] {
            let kept = Arc::new(());
            let held = kept.clone();
            let task = Handle::current().spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            yield_times(300).await;
            let abort = task.abort_handle();
            match is_away {
                true => thread::spawn(move || abort.abort()).join().unwrap(),
                false => abort.abort(),
            }
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(Arc::strong_count(&kept), 1);
        }
    });
}

/// The handle of a task that has been joined, and that of a task which a runtime refuses while it is dropped, refer
/// to no slot.
#[test]
fn a_task_that_has_no_slot_is_aborted_on_another_thread() {
    let _watchdog = watchdog();
    let abort_elsewhere = |task: &JoinHandle<()>| {
        let abort = task.abort_handle();
        thread::spawn(move || abort.abort()).join().unwrap();
    };
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut joined = spawn(async {});
        (&mut joined).await.unwrap();
        abort_elsewhere(&joined);
    });
    drop(runtime.spawn(async move {
        let _last = OnDrop::new(move || abort_elsewhere(&spawn(async {})));
        pending::<()>().await;
    }));
    runtime.block_on(yield_now());
    drop(runtime);
}

#[test]
fn a_task_may_abort_itself_by_way_of_its_handle() {
    run(async {
        let (hand_over, own) = channel::<AbortHandle>();
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = polls.clone();
        let task = Handle::current().spawn(async move {
            own.recv().unwrap().abort();
            counted.fetch_add(1, SeqCst);
            yield_now().await;
            counted.fetch_add(1, SeqCst);
        });
        hand_over.send(task.abort_handle()).unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(polls.load(SeqCst), 1);
    });
}

#[test]
fn a_task_whose_handle_is_dropped_goes_on() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = channel();
    drop(runtime.handle().spawn(async move {
        yield_times(3).await;
        sender.send(7).unwrap();
    }));
    runtime.block_on(until(|| receiver.try_recv() == Ok(7)));
}

#[test]
fn a_handle_keeps_nothing_alive() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let more = [handle.clone(), handle.clone()];
    assert!(!handle.is_closed());
    drop(runtime);
    assert!(handle.is_closed() && more.iter().all(Handle::is_closed));
    assert!(format!("{handle:?}").contains("closed: true"));
}

#[test]
fn many_wait_for_one_task_by_turns() {
    run(async {
        // The join handle goes from thread to thread, and each thread polls it once.
        let gate = Gate::default();
        let mut task = Handle::current().spawn(gate.wait());
        let polls = Count::default();
        for _ in 0..4 {
            let mut moved = task;
            let back = thread::spawn(move || {
                let polled = futures_lite::future::block_on(futures_lite::future::poll_once(&mut moved));
                assert!(polled.is_none());
                moved
            });
            task = back.join().unwrap();
            polls.add();
        }
        gate.open();
        poll_fn(|cx| {
            polls.add();
            std::pin::Pin::new(&mut task).poll(cx)
        })
        .await
        .unwrap();
        assert!(polls.get() <= 6, "polled when it was left, and when it was woken");
    });
}

/// Another thread polls the join handle while the result is on its way.
#[test]
fn the_next_poll_after_a_task_has_finished_is_ready() {
    let _watchdog = watchdog();
    let tasks = rounds(5_000, 1_000, 20);
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let asking = thread::spawn(move || {
        let mut cx = Context::from_waker(Waker::noop());
        let mut pending = 0;
        for round in 0..tasks {
            let mut task = match round % 2 {
                0 => handle.spawn(async move { round }),
                _ => handle.spawn_blocking(move || round),
            };
            while !task.is_finished() {
                thread::yield_now();
            }
            match Pin::new(&mut task).poll(&mut cx) {
                Poll::Ready(output) => assert_eq!(output.unwrap(), round),
                Poll::Pending => pending += 1,
            }
        }
        pending
    });
    runtime.block_on(until(|| asking.is_finished()));
    assert_eq!(asking.join().unwrap(), 0, "of {tasks} had finished, and were pending");
}

#[test]
fn a_task_has_its_id_also_while_it_is_dropped() {
    let (seen, ids) = channel();
    let named = || {
        let seen = seen.clone();
        let guard = OnDrop::new(move || seen.send(runtime::task::try_id()).unwrap());
        async move {
            let _guard = guard;
            pending::<()>().await;
        }
    };
    let set = runtime::task::LocalSet::new();
    let member = set.spawn_local(named());
    run(async {
        for polls in [0, 2] {
            let task = Handle::current().spawn(named());
            yield_times(polls).await;
            task.abort();
            let id = task.id();
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(ids.recv().unwrap(), Some(id));
        }
        // The handle is awaited in another task, which then has its own id again.
        let task = spawn(async {
            drop(set);
            runtime::task::id()
        });
        let id = task.id();
        assert_eq!(task.await.unwrap(), id);
        assert_eq!(ids.recv().unwrap(), Some(member.id()));
    });
}
