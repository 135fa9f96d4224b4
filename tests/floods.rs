//! Floods from other threads take bounded room: aborts of one task, and tasks that are spawned faster than the loop
//! runs them. A sender that has to wait for room never waits for ever: not while it holds a lock that the loop wants,
//! not on the runtime's own thread, and not for a loop that does not turn.
#![cfg(not(miri))] // Starts processes, and asks malloc.

mod common;

use common::heap::{Counting, live_bytes_of_process};
use common::process::in_child;
use common::{Count, OnDrop, rounds, until, watchdog, yield_times};
use runtime::task::yield_now;
use runtime::{Handle, Runtime, spawn, time};
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: Counting = Counting;

/// The maximum number of bytes that a flood may leave in the inbox and in the tables.
const MOST_BYTES: isize = 2 << 20;

/// Floods on a thread of their own until they are told to stop.
fn flood(threads: usize, each: impl Fn() + Clone + Send + 'static) -> impl FnOnce() -> usize {
    let is_over = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..threads)
        .map(|_| {
            let (is_over, each) = (is_over.clone(), each.clone());
            thread::spawn(move || {
                let mut times = 0;
                while !is_over.load(SeqCst) {
                    each();
                    times += 1;
                }
                times
            })
        })
        .collect();
    move || {
        is_over.store(true, SeqCst);
        floods.into_iter().map(|flood| flood.join().unwrap()).sum()
    }
}

#[test]
fn aborts_of_one_task_take_the_room_of_one_while_the_loop_does_not_turn() {
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let tasks: Vec<_> = (0..3).map(|_| runtime.spawn(pending::<()>())).collect();
        let aborts: Vec<_> = tasks.iter().map(|task| task.abort_handle()).collect();
        let flooding = thread::spawn(move || {
            let before = live_bytes_of_process();
            for _ in 0..rounds(1_000_000, 100_000, 1) {
                aborts.iter().for_each(|abort| abort.abort());
            }
            live_bytes_of_process() - before
        });
        let left = flooding.join().unwrap();
        assert!(left <= 4096, "{left} bytes in the inbox");
        runtime.block_on(async {
            for task in tasks {
                assert!(task.await.unwrap_err().is_cancelled());
            }
        });
    });
}

/// The flood also aborts tasks that have ended, whose slots other tasks have by now. Those must not be aborted.
#[test]
fn aborts_that_come_late_abort_no_other_task() {
    let _watchdog = watchdog();
    runtime::block_on(async {
        let earlier: Vec<_> = (0..100).map(|_| spawn(async {})).collect();
        let aborts: Vec<_> = earlier.iter().map(|task| task.abort_handle()).collect();
        for task in earlier {
            task.await.unwrap();
        }
        let present: Vec<_> = (0..100).map(|_| spawn(yield_times(5))).collect();
        let present_aborts: Vec<_> = present[..50].iter().map(|task| task.abort_handle()).collect();
        // The stale handle is used first and last: the latest task of a slot counts.
        let flooding = thread::spawn(move || {
            for (stale, meant) in aborts.iter().zip(&present_aborts) {
                stale.abort();
                meant.abort();
            }
            aborts.iter().for_each(|abort| abort.abort());
        });
        flooding.join().unwrap();
        let mut aborted = 0;
        for task in present {
            aborted += usize::from(task.await.is_err());
        }
        assert_eq!(aborted, 50);
    });
}

fn live_tasks(runtime: &Runtime) -> usize {
    runtime.metrics().num_alive_tasks
}

/// Several threads spawn for a second, while the loop turns and has other work.
#[test]
fn a_flood_of_spawns_takes_bounded_room() {
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        let ran = Arc::new(AtomicUsize::new(0));
        let before = live_bytes_of_process();
        let counted = ran.clone();
        let stop = flood(2, move || {
            let counted = counted.clone();
            drop(handle.spawn(async move { _ = counted.fetch_add(1, SeqCst) }));
        });
        let (mut most_tasks, mut most_bytes) = (0, 0);
        runtime.block_on(async {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(1) {
                time::sleep(Duration::from_millis(1)).await;
                most_tasks = most_tasks.max(live_tasks(&runtime));
                most_bytes = most_bytes.max(live_bytes_of_process() - before);
            }
        });
        // The loop does not turn now, and makes no sender wait for long.
        let spawned = stop();
        runtime.block_on(until(|| ran.load(SeqCst) == spawned));
        assert!(most_tasks <= 2000, "{most_tasks} tasks at a time");
        assert!(most_bytes <= MOST_BYTES, "{most_bytes} bytes");
        assert!(spawned > 1000, "{spawned}");
    });
}

/// A task wants the lock that the sender holds while it waits for room.
#[test]
fn a_sender_that_holds_a_lock_which_the_loop_wants_goes_on() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (handle, lock) = (runtime.handle().clone(), Arc::new(Mutex::new(0)));
    let sending = {
        let lock = lock.clone();
        thread::spawn(move || {
            let mut held = lock.lock().unwrap();
            for _ in 0..1500 {
                let lock = lock.clone();
                drop(handle.spawn(async move { *lock.lock().unwrap() += 1 }));
            }
            *held += 1;
        })
    };
    runtime.block_on(until(|| sending.is_finished() && *lock.lock().unwrap() == 1501));
    sending.join().unwrap();
}

/// The spawns are made in calls, and in drops that the calls cause.
#[test]
fn a_call_that_spawns_is_not_made_to_wait_for_itself() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let spawned = Arc::new(AtomicUsize::new(0));
    let flood_own = {
        let (handle, spawned) = (runtime.handle().clone(), spawned.clone());
        move || {
            for _ in 0..5000 {
                let spawned = spawned.clone();
                drop(handle.spawn(async move { _ = spawned.fetch_add(1, SeqCst) }));
            }
        }
    };
    let begin = Instant::now();
    runtime.block_on(async {
        let (at_end, in_poll) = (flood_own.clone(), flood_own.clone());
        let output = spawn(async move { OnDrop::new(at_end) });
        yield_now().await;
        let dropping = thread::spawn(move || drop(output));
        in_poll();
        until(|| spawned.load(SeqCst) == 10_000).await;
        dropping.join().unwrap();
    });
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn the_runtimes_own_thread_spawns_between_two_calls_without_waiting() {
    let _watchdog = watchdog();
    const TASKS: usize = 20_000;
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    for _ in 0..2 {
        let ran = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now();
        for _ in 0..TASKS {
            let ran = ran.clone();
            drop(handle.spawn(async move { _ = ran.fetch_add(1, SeqCst) }));
        }
        // If each spawn waited a millisecond, this would take twenty seconds.
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        runtime.block_on(until(|| ran.load(SeqCst) == TASKS));
    }
}

/// The thread does not wait before the first call of `block_on`, between two calls, or after the runtime was dropped.
#[test]
fn another_thread_does_not_wait_for_a_loop_that_does_not_turn() {
    let _watchdog = watchdog();
    const TASKS: usize = 20_000;
    let runtime = Runtime::new().unwrap();
    let spawn_many = {
        let handle = runtime.handle().clone();
        move || {
            let handle = handle.clone();
            let begin = Instant::now();
            thread::spawn(move || (0..TASKS).for_each(|_| drop(handle.spawn(async {})))).join().unwrap();
            assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        }
    };
    spawn_many();
    // The loop takes a part of them.
    runtime.block_on(yield_times(10));
    spawn_many();
    drop(runtime);
    spawn_many();
}

/// The senders that wait for room are woken, and get their handles.
#[test]
fn senders_that_wait_for_room_go_on_when_the_runtime_is_dropped() {
    let _watchdog = watchdog();
    for _ in 0..rounds(50, 20, 1) {
        let runtime = Runtime::new().unwrap();
        let (handle, cancelled) = (runtime.handle().clone(), Arc::new(AtomicUsize::new(0)));
        let counted = cancelled.clone();
        let stop = flood(3, move || {
            let task = handle.spawn(async {});
            if handle.is_closed() {
                let result = futures_lite::future::block_on(task);
                counted.fetch_add(usize::from(result.is_err()), SeqCst);
            }
        });
        runtime.block_on(yield_times(1000));
        drop(runtime);
        while cancelled.load(SeqCst) < 100 {
            thread::yield_now();
        }
        stop();
    }
}

/// While other threads spawn without end, timers and other tasks wait only briefly. The spawned tasks yield, so each of
/// them lives for several turns of the loop.
#[test]
fn a_flood_of_spawns_starves_no_task() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let stop = flood(2, move || drop(handle.spawn(yield_times(3))));
    runtime.block_on(async {
        let turns = Count::default();
        let counted = turns.clone();
        drop(spawn(async move {
            loop {
                counted.add();
                yield_now().await;
            }
        }));
        for _ in 0..20 {
            let before = turns.get();
            time::sleep(Duration::from_millis(1)).await;
            assert_eq!(Handle::current().spawn(async { 7 }).await.unwrap(), 7);
            until(|| turns.get() > before).await;
            let tasks = live_tasks(&runtime);
            assert!(tasks <= 2000, "{tasks} tasks at a time");
        }
    });
    stop();
}
