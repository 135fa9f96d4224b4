//! Operations of other threads on a runtime, besides waking its tasks: spawn, join, abort and drop, while it runs, while it is
//! dropped, and after that. Wakes are in `laws_wakes.rs`.

mod common;

use common::guards::{Drops, NotSend};
use common::subjects::Gate;
use common::{
    Count, CountOnDrop, OnDrop, WakerSlot, in_time, message, own_waker, rounds, run, until, watchdog,
    yield_times,
};
use runtime::task::{AbortHandle, JoinHandle, yield_now};
use runtime::{Handle, Runtime, spawn, time};
use std::future::pending;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_task_from_another_thread_is_awaited_there() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (home, handle) = (thread::current().id(), runtime.handle().clone());
    let gate = Gate::default();
    let opened = gate.wait();
    let threads: Vec<thread::JoinHandle<()>> = vec![
        thread::spawn({
            // In a runtime of its own, while its other tasks run.
            let handle = handle.clone();
            move || {
                run(async {
                    let there = handle.spawn(async { thread::current().id() });
                    let here = spawn(async { thread::current().id() });
                    assert_eq!((there.await.unwrap(), here.await.unwrap()), (home, thread::current().id()));
                });
            }
        }),
        thread::spawn({
            let handle = handle.clone();
            move || assert_eq!(handle.block_on(async { thread::current().id() }), home)
        }),
        thread::spawn({
            // Without a runtime, by the `block_on` of another crate.
            let handle = handle.clone();
            move || {
                let task = handle.spawn(async {
                    time::sleep(Duration::from_micros(100)).await;
                    // From here on the task may do what needs no `Send`, as long as it holds no such value across an
                    // await.
                    spawn(async { *std::rc::Rc::new(7) }).await.unwrap() == 7
                });
                assert!(futures_lite::future::block_on(task).unwrap());
            }
        }),
        thread::spawn({
            let handle = handle.clone();
            move || {
                let caught = catch_unwind(AssertUnwindSafe(|| run(async { handle.block_on(async {}) })));
                let caught = caught.unwrap_err();
                assert!(message(&*caught).contains("Handle::block_on inside a runtime"));
            }
        }),
        thread::spawn(move || {
            let task = handle.spawn(opened);
            let abort = task.abort_handle();
            assert!(!task.is_finished() && !abort.is_finished());
            gate.open();
            futures_lite::future::block_on(task).unwrap();
            assert!(abort.is_finished());
        }),
    ];
    runtime.block_on(until(|| threads.iter().all(thread::JoinHandle::is_finished)));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_local_join_handle_polled_on_another_thread_panics_clearly() {
    run(async {
        let mut task: JoinHandle<u32> = spawn(async { 7 });
        for has_runtime in [false, true] {
            thread::scope(|scope| {
                let polled = scope.spawn(|| {
                    let mut poll = || drop(pin!(&mut task).poll(&mut noop()));
                    let caught = catch_unwind(AssertUnwindSafe(|| match has_runtime {
                        true => runtime::block_on(async { poll() }),
                        false => poll(),
                    }));
                    message(&*caught.unwrap_err()).to_owned()
                });
                let said = polled.join().unwrap();
                assert!(said.contains("polled away from its runtime's thread"), "{said}");
                assert!(said.contains("spawn the task by Handle::spawn"), "{said}");
            });
        }
        assert_eq!(task.await.unwrap(), 7, "it is none the worse for it");
    });
}

/// Calls `abort` on another thread, and waits until the call has returned.
fn abort_elsewhere(abort: AbortHandle) {
    thread::spawn(move || abort.abort()).join().unwrap();
}

#[test]
fn an_abort_from_another_thread_drops_the_future_at_home() {
    let drops = Drops::default();
    run(async {
        for (index, at) in
            ["never polled", "waiting", "queued", "running", "finished"].into_iter().enumerate()
        {
            let (slot, polls, guard) = (WakerSlot::default(), Count::default(), NotSend::new(&drops));
            let (hand_over, own) = channel::<AbortHandle>();
            let waits = slot.wait(&polls);
            let task = spawn(async move {
                let _guard = guard;
                if at == "running" {
                    abort_elsewhere(own.recv().unwrap());
                }
                if at != "finished" {
                    waits.await;
                }
            });
            hand_over.send(task.abort_handle()).unwrap();
            match at {
                "never polled" | "running" => {}
                "queued" => {
                    yield_now().await;
                    slot.get().wake();
                }
                _ => yield_now().await,
            }
            if at != "running" {
                abort_elsewhere(task.abort_handle());
            }
            until(|| task.is_finished()).await;
            assert_eq!(task.await.is_err(), at != "finished", "{at}");
            assert_eq!(*drops.lock().unwrap(), vec![thread::current().id(); index + 1], "{at}");
        }
    });
}

#[test]
fn a_join_handle_dropped_on_another_thread_leaves_the_output_to_its_own() {
    let (sender, receiver) = channel();
    run(async {
        for is_done in [false, true] {
            let sender = sender.clone();
            let task =
                spawn(async move { OnDrop::new(move || sender.send(thread::current().id()).unwrap()) });
            yield_times(usize::from(is_done)).await;
            thread::spawn(move || drop(task)).join().unwrap();
            let mut dropped = None;
            until(|| {
                dropped = dropped.or(receiver.try_recv().ok());
                dropped.is_some()
            })
            .await;
            assert_eq!(dropped.unwrap(), thread::current().id());
        }
    });
}

/// Another thread wakes, spawns, aborts and drops while the runtime is dropped. It must not write to a descriptor
/// that the kernel has reused for something else.
#[test]
fn another_thread_goes_on_while_the_runtime_is_dropped() {
    let _watchdog = watchdog();
    type Things = (Waker, Waker, Handle, JoinHandle<()>, Arc<AtomicBool>);
    let (hand_over, things) = channel::<Things>();
    let barrier = Arc::new(Barrier::new(2));
    let other = thread::spawn({
        let barrier = barrier.clone();
        move || {
            for (round, (task_waker, main_waker, handle, task, stop)) in things.iter().enumerate() {
                let task = Mutex::new(Some(task));
                barrier.wait();
                let mut step = round;
                while !stop.load(Relaxed) {
                    match step % 8 {
                        0..4 => task_waker.wake_by_ref(),
                        4 => main_waker.wake_by_ref(),
                        5 => drop(handle.spawn(async {})),
                        6 => task.lock().unwrap().iter().for_each(JoinHandle::abort),
                        _ => drop(task.lock().unwrap().take()),
                    }
                    step += 1;
                }
                barrier.wait();
            }
        }
    });
    let drops = Count::default();
    let mut all = 0;
    for round in in_time(rounds(10_000, 2_000, 20)) {
        all += 1;
        let runtime = Runtime::new().unwrap();
        let (task, task_waker, main_waker) = runtime.block_on(async {
            let (slot, dropped) = (WakerSlot::default(), CountOnDrop(drops.clone()));
            let waits = slot.wait(&Count::default());
            let task = spawn(async move {
                let _dropped = dropped;
                waits.await;
            });
            yield_now().await;
            (task, slot.get(), own_waker().await)
        });
        let stop = Arc::new(AtomicBool::new(false));
        hand_over.send((task_waker, main_waker, runtime.handle().clone(), task, stop.clone())).unwrap();
        barrier.wait();
        if round % 2 == 0 {
            runtime.block_on(yield_now());
        }
        drop(runtime);
        let (mut one, mut two) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        two.set_nonblocking(true).unwrap();
        thread::yield_now();
        stop.store(true, SeqCst);
        barrier.wait();
        for end in [&mut one, &mut two] {
            let read = end.read(&mut [0; 8]);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock, "somebody wrote to it");
        }
    }
    drop(hand_over);
    other.join().unwrap();
    assert_eq!(drops.get(), all);
}

#[test]
fn what_is_left_of_a_runtime_that_has_gone_does_nothing() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let (waker, local, away) = runtime.block_on(async {
        (own_waker().await, spawn(pending::<()>()), Handle::current().spawn(pending::<()>()))
    });
    assert!(!handle.is_closed());
    drop(runtime);
    let look = move || {
        assert!(handle.is_closed());
        waker.wake_by_ref();
        drop(waker);
        for mut task in [local, away, handle.spawn(async {}), handle.spawn_blocking(|| {})] {
            task.abort();
            let abort = task.abort_handle();
            assert!(task.is_finished() && abort.is_finished());
            let polled = pin!(&mut task).poll(&mut noop());
            assert!(matches!(polled, Poll::Ready(Err(error)) if error.is_cancelled()));
        }
        let caught = catch_unwind(AssertUnwindSafe(|| handle.block_on(async {})));
        assert!(message(&*caught.unwrap_err()).contains("the runtime has gone"));
        handle
    };
    let handle = thread::spawn(look).join().unwrap();
    run(async move {
        let abort = handle.spawn(async {}).abort_handle();
        abort.abort();
        assert!(abort.is_finished());
    });
}
