//! Law: a wake is never lost. Wakes from other threads come before, while and after the loop goes to sleep. Also what
//! a wake costs.

mod common;

use common::subjects::Gate;
use common::{Count, OnDrop, WakerSlot, in_time, own_waker, rounds, run, until, watchdog};
use runtime::task::yield_now;
use runtime::{Builder, Handle, Runtime, spawn, time};
use std::future::poll_fn;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// Waits until `counter` is larger than `seen`, and leaves its waker in `waker` for the thread that increments it.
fn moved(
    counter: Arc<AtomicUsize>,
    waker: Arc<Mutex<Option<Waker>>>,
    seen: usize,
) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        if counter.load(SeqCst) > seen {
            return Poll::Ready(());
        }
        waker.lock().unwrap().replace(cx.waker().clone());
        // The counter is checked once more: the other thread may have looked for a waker just before this one was
        // stored.
        if counter.load(SeqCst) > seen { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Starts `threads` threads, each of which answers the messages of one task. Each answer is a wake.
fn ping_pong(threads: usize, each: usize) {
    let _watchdog = watchdog();
    runtime::block_on(async {
        let tasks: Vec<_> = (0..threads)
            .map(|_| {
                let (pings, receiver): (Sender<()>, Receiver<()>) = channel();
                let (pongs, waker) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None::<Waker>)));
                let answerer = thread::spawn({
                    let (pongs, waker) = (pongs.clone(), waker.clone());
                    move || {
                        for () in receiver {
                            pongs.fetch_add(1, SeqCst);
                            let waker = waker.lock().unwrap().take();
                            waker.into_iter().for_each(Waker::wake);
                        }
                    }
                });
                spawn(async move {
                    for round in in_time(each) {
                        pings.send(()).unwrap();
                        moved(pongs.clone(), waker.clone(), round).await;
                    }
                    drop(pings);
                    answerer.join().unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn no_wake_of_one_thread_is_lost() {
    ping_pong(1, rounds(100_000, 20_000, 20));
}

#[test]
fn no_wake_of_two_threads_is_lost() {
    ping_pong(2, rounds(50_000, 10_000, 20));
}

#[test]
fn no_wake_of_four_threads_is_lost() {
    ping_pong(4, rounds(25_000, 5_000, 10));
}

/// The other thread answers after a short time that differs in each round, so that its wake comes before, while and
/// after the loop goes to sleep. A third of the wakes are for the future of `block_on`, a third for a task, and a
/// third are calls.
#[test]
fn no_wake_is_lost_on_the_way_to_sleep() {
    let _watchdog = watchdog();
    let (asks, asked) = channel::<(usize, Gate)>();
    let handle = Arc::new(Mutex::new(None::<Handle>));
    let other = thread::spawn({
        let handle = handle.clone();
        move || {
            for (round, gate) in asked {
                for _ in 0..(round * 7) % 600 {
                    std::hint::spin_loop();
                }
                match round % 3 {
                    2 => {
                        let handle = handle.lock().unwrap().clone().unwrap();
                        drop(handle.spawn(async move { gate.open() }));
                    }
                    _ => gate.open(),
                }
            }
        }
    });
    runtime::block_on(async {
        handle.lock().unwrap().replace(Handle::current());
        for round in in_time(rounds(60_000, 20_000, 30)) {
            let gate = Gate::default();
            let opened = gate.wait();
            match round % 3 {
                0 => {
                    let task = spawn(opened);
                    asks.send((round, gate)).unwrap();
                    task.await.unwrap();
                }
                _ => {
                    asks.send((round, gate)).unwrap();
                    opened.await;
                }
            }
        }
    });
    drop(asks);
    other.join().unwrap();
}

/// Tests the same more directly: another thread wakes while the loop handles a message of the inbox (it drops an
/// output), before it goes to sleep.
#[test]
fn no_wake_is_lost_between_the_inbox_and_the_sleep() {
    run(async {
        for _ in 0..20 {
            let (now, is_now) = channel::<()>();
            let (done, is_done) = channel::<()>();
            let task = spawn(async move {
                OnDrop::new(move || {
                    now.send(()).unwrap();
                    is_done.recv().unwrap();
                })
            });
            until(|| task.is_finished()).await;
            let gate = Gate::default();
            let opened = gate.wait();
            let other = thread::spawn(move || {
                drop(task);
                is_now.recv().unwrap();
                gate.open();
                done.send(()).unwrap();
            });
            opened.await;
            other.join().unwrap();
        }
    });
}

/// The second of two wakes follows the first after a short time that differs in each round. So it comes before, while
/// and after the loop wakes up and empties its inbox.
#[test]
fn no_wake_is_lost_on_the_heels_of_another() {
    let _watchdog = watchdog();
    let (asks, asked) = channel::<(usize, Gate, Gate)>();
    let other = thread::spawn(move || {
        for (round, first, second) in asked {
            first.open();
            for _ in 0..(round * 3) % 250 {
                std::hint::spin_loop();
            }
            second.open();
        }
    });
    runtime::block_on(async {
        for round in in_time(rounds(60_000, 20_000, 30)) {
            let (first, second) = (Gate::default(), Gate::default());
            let tasks = (spawn(first.wait()), spawn(second.wait()));
            asks.send((round, first, second)).unwrap();
            tasks.0.await.unwrap();
            tasks.1.await.unwrap();
        }
    });
    drop(asks);
    other.join().unwrap();
}

/// A task that is already queued needs no other place in the queue when it is woken, but the next poll must see what
/// was written before the wake.
#[test]
fn what_was_written_before_a_wake_is_seen_by_the_poll_after_it() {
    let last = rounds(200_000, 50_000, 200);
    run(async {
        let data = Arc::new(AtomicUsize::new(0));
        let mut writer = None;
        poll_fn(|cx| {
            writer.get_or_insert_with(|| {
                let (data, waker) = (data.clone(), cx.waker().clone());
                thread::spawn(move || {
                    for value in 1..=last {
                        data.store(value, Relaxed);
                        waker.wake_by_ref();
                    }
                })
            });
            if data.load(Relaxed) == last { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        writer.unwrap().join().unwrap();
    });
}

#[test]
fn a_flood_of_wakes_starves_neither_timers_nor_tasks() {
    run(async {
        const TASKS: usize = if cfg!(miri) { 10 } else { 1000 };
        let polls = Count::default();
        let wakers: Arc<Vec<Waker>> = Arc::new({
            let slots: Vec<_> = (0..TASKS).map(|_| WakerSlot::default()).collect();
            slots.iter().for_each(|slot| drop(spawn(slot.wait(&polls))));
            yield_now().await;
            slots.iter().map(WakerSlot::get).collect()
        });
        let stop = Arc::new(AtomicBool::new(false));
        let floods: Vec<_> = (0..4)
            .map(|_| {
                let (wakers, stop) = (wakers.clone(), stop.clone());
                thread::spawn(move || {
                    while !stop.load(SeqCst) {
                        wakers.iter().for_each(Waker::wake_by_ref);
                    }
                })
            })
            .collect();
        // The flood lasts until all of this is done.
        for _ in 0..20 {
            time::sleep(Duration::from_micros(500)).await;
            spawn(yield_now()).await.unwrap();
        }
        until(|| polls.get() > 3 * TASKS).await;
        stop.store(true, SeqCst);
        floods.into_iter().for_each(|flood| flood.join().unwrap());
    });
}

#[test]
fn a_single_wake_gets_through_to_a_busy_loop() {
    const INTERVAL: usize = 61;
    let _watchdog = watchdog();
    let runtime = Builder::new_current_thread().event_interval(INTERVAL as u32).build().unwrap();
    let (polls, waited) = (Count::default(), Count::default());
    let (gate, is_open) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    runtime.block_on(async {
        for _ in 0..10 {
            let (polls, waited, is_open) = (polls.clone(), waited.clone(), is_open.clone());
            drop(spawn(async move {
                loop {
                    polls.add();
                    if is_open.load(SeqCst) {
                        waited.add();
                    }
                    yield_now().await;
                }
            }));
        }
        let opened = spawn(gate.wait());
        until(|| polls.get() > 100).await;
        let other = thread::spawn(move || {
            gate.open();
            is_open.store(true, SeqCst);
        });
        opened.await.unwrap();
        other.join().unwrap();
    });
    assert!(waited.get() <= 2 * INTERVAL, "{} polls passed by a wake", waited.get());
}

/// Returns the number of write calls that this thread has made.
fn writes() -> Option<u64> {
    let io = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("syscw: "))?.parse().ok()
}

fn counts_writes() -> bool {
    let before = writes();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"x").unwrap();
    before.zip(writes()).is_some_and(|(before, after)| after == before + 1)
}

#[test]
#[cfg_attr(miri, ignore = "counts system calls")]
fn a_wake_writes_only_if_the_loop_sleeps_and_only_once() {
    if !counts_writes() {
        eprintln!("skipped: the kernel does not count the calls of a thread");
        return;
    }
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (slots, polls) = ([(); 100].map(|()| WakerSlot::default()), Count::default());
    let wakers: Vec<Waker> = runtime.block_on(async {
        slots.iter().for_each(|slot| drop(spawn(slot.wait(&polls))));
        yield_now().await;
        slots.iter().map(WakerSlot::get).collect()
    });
    let wake_elsewhere = |wakers: &[Waker], times: usize| {
        let wakers = wakers.to_vec();
        thread::spawn(move || {
            let before = writes().unwrap();
            for _ in 0..times {
                wakers.iter().for_each(Waker::wake_by_ref);
            }
            writes().unwrap() - before
        })
    };
    runtime.block_on(async {
        // The loop is awake: this poll waits for the other thread.
        assert_eq!(wake_elsewhere(&wakers, 100).join().unwrap(), 0);
        let handle = Handle::current();
        let calls = thread::spawn(move || {
            let before = writes().unwrap();
            for _ in 0..100 {
                drop(handle.spawn(async {}));
            }
            writes().unwrap() - before
        });
        assert_eq!(calls.join().unwrap(), 0);
        yield_now().await;
    });
    // The loop sleeps now and then, while the wakes come.
    let before = runtime.metrics().turns;
    let flood = runtime.block_on(async {
        let flood = wake_elsewhere(&wakers, 100);
        while !flood.is_finished() {
            time::sleep(Duration::from_millis(1)).await;
        }
        flood
    });
    let turns = runtime.metrics().turns - before;
    let writes = flood.join().unwrap();
    assert!(writes <= turns, "{writes} writes in {turns} turns");
    assert!(writes < 10_000, "fewer than wakes");
}

#[test]
fn a_wake_while_the_loop_is_awake_costs_no_turn() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let waker = own_waker().await;
        thread::spawn(move || (0..1000).for_each(|_| waker.wake_by_ref())).join().unwrap();
        let mut is_first = true;
        poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
    });
    // The loop turns once to find the wake in the inbox. If there had been a write, its event would cause another
    // turn.
    assert_eq!(runtime.metrics().turns, 1);
    runtime.block_on(time::sleep(Duration::from_millis(5)));
    assert!(runtime.metrics().turns <= 1 + 2, "{} turns", runtime.metrics().turns);
}
