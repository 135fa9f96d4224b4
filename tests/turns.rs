//! Law: tasks that an event has woken run next, alternately with those that were queued before, and in the order of
//! their events; and the loop checks for events whatever runs. The tests use traces, and count polls instead of time.

mod common;

use common::subjects::Gate;
use common::{Count, Trace, poll_once, run, until, watchdog, yield_times};
use runtime::io::Interest;
use runtime::net::AsyncFd;
use runtime::task::{JoinHandle, yield_now};
use runtime::time::{Instant, sleep_until};
use runtime::{Builder, Runtime, spawn};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread;
use std::time::Duration;

const EVENTS: usize = 10;

/// The number of tasks that yield beside them: more than the loop polls between two checks for events.
const YIELDING: usize = 1000;

/// The maximum number of polls until the loop has checked for events and an event has had its turn.
const SOON: usize = 300;

/// Spawns tasks that only yield, and record that in the trace.
fn spawn_yielding(count: usize, trace: &Trace) -> Vec<JoinHandle<()>> {
    let yielding = |_| {
        let trace = trace.clone();
        spawn(async move {
            loop {
                trace.push("yield");
                yield_now().await;
            }
        })
    };
    (0..count).map(yielding).collect()
}

/// Spawns a task for each future, which records its number when the future is ready.
fn spawn_waiting<F: Future + 'static>(
    futures: impl IntoIterator<Item = F>,
    trace: &Trace,
) -> Vec<JoinHandle<()>> {
    let waiting = |(number, future): (usize, F)| {
        let trace = trace.clone();
        spawn(async move {
            drop(future.await);
            trace.push(number.to_string());
        })
    };
    futures.into_iter().enumerate().map(waiting).collect()
}

/// Checks that the first task that an event woke comes soon, and that from there on at least every second entry is
/// one of them. Returns these.
#[track_caller]
fn woken_by_turns(trace: &[String]) -> Vec<usize> {
    let first = trace.iter().position(|entry| entry != "yield").expect("they have been woken");
    assert!(first <= SOON, "{first} polls of others before the first");
    let woken: Vec<usize> = trace[first..].iter().filter_map(|entry| entry.parse().ok()).collect();
    let last = trace.iter().rposition(|entry| entry != "yield").unwrap();
    assert!(last - first <= 2 * (woken.len() - 1), "{:?}", &trace[first..=last]);
    woken
}

fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (AsyncFd::new(one).unwrap(), other)
}

#[test]
fn what_another_thread_wakes_runs_by_turns_with_what_yields_and_in_order() {
    run(async {
        let trace = Trace::default();
        let gates: Vec<Gate> = (0..EVENTS).map(|_| Gate::default()).collect();
        let waiting = spawn_waiting(gates.iter().map(Gate::wait), &trace);
        drop(spawn_yielding(YIELDING, &trace));
        yield_times(2).await;
        // The order differs from that in which the tasks were spawned.
        let order: Vec<usize> = (0..EVENTS).map(|n| n * 7 % EVENTS).collect();
        let opening = {
            let order = order.clone();
            thread::spawn(move || order.into_iter().for_each(|n| gates[n].open()))
        };
        opening.join().unwrap();
        trace.take();
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(woken_by_turns(&trace.take()), order);
    });
}

#[test]
fn timers_that_fire_at_once_run_by_turns_with_what_yields_and_in_the_order_of_their_deadlines() {
    let _watchdog = watchdog();
    common::paused().block_on(async {
        let trace = Trace::default();
        let deadline = Instant::now() + Duration::from_secs(1);
        let order: Vec<usize> = (0..EVENTS).map(|n| n * 7 % EVENTS).collect();
        let sleeps = order.iter().map(|n| sleep_until(deadline + Duration::from_micros(10 * *n as u64)));
        let waiting = spawn_waiting(sleeps, &trace);
        drop(spawn_yielding(YIELDING, &trace));
        yield_times(2).await;
        trace.take();
        runtime::time::advance(Duration::from_secs(2)).await;
        for task in waiting {
            task.await.unwrap();
        }
        let woken: Vec<usize> = woken_by_turns(&trace.take()).into_iter().map(|task| order[task]).collect();
        assert_eq!(woken, (0..EVENTS).collect::<Vec<_>>());
    });
}

#[test]
#[cfg_attr(miri, ignore = "many polls")]
fn sockets_that_are_readable_at_once_run_by_turns_with_what_yields() {
    run(async {
        let trace = Trace::default();
        let (ours, others): (Vec<_>, Vec<_>) = (0..EVENTS).map(|_| pair()).unzip();
        let reads = ours.into_iter().map(async |ours| drop(ours.readable().await.unwrap()));
        let waiting = spawn_waiting(reads, &trace);
        drop(spawn_yielding(YIELDING, &trace));
        yield_times(2).await;
        for mut other in others {
            other.write_all(b"x").unwrap();
        }
        trace.take();
        for task in waiting {
            task.await.unwrap();
        }
        let mut woken = woken_by_turns(&trace.take());
        woken.sort_unstable();
        assert_eq!(woken, (0..EVENTS).collect::<Vec<_>>());
    });
}

/// Such a task does not have to wait for all tasks that were queued before.
#[test]
fn tasks_that_another_thread_spawns_are_begun_by_turns_too() {
    run(async {
        let (polls, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        for _ in 0..YIELDING {
            let polls = polls.clone();
            drop(spawn(async move {
                loop {
                    polls.fetch_add(1, SeqCst);
                    yield_now().await;
                }
            }));
        }
        yield_times(2).await;
        let handle = runtime::Handle::current();
        let spawning = thread::spawn({
            let (polls, begun) = (polls.clone(), begun.clone());
            move || {
                for n in 0..EVENTS {
                    let (polls, begun) = (polls.clone(), begun.clone());
                    drop(handle.spawn(async move { begun.lock().unwrap().push((n, polls.load(SeqCst))) }));
                }
            }
        });
        spawning.join().unwrap();
        let before = polls.load(SeqCst);
        until(|| begun.lock().unwrap().len() == EVENTS).await;
        let begun = begun.lock().unwrap();
        assert!(begun.iter().map(|(n, _)| n).is_sorted());
        let waited = begun.last().unwrap().1 - before;
        assert!(waited <= SOON + 2 * EVENTS, "{waited} polls of others");
    });
}

/// Spawns tasks that a socket wakes at each check for events, for one poll, which calls `each`.
fn spawn_woken(polls: &Count, each: fn()) {
    for (ours, mut other) in (0..4).map(|_| pair()) {
        let polls = polls.clone();
        drop(spawn(async move {
            loop {
                let read = |mut socket: &UnixStream| socket.read(&mut [0; 8]);
                let mut reading = pin!(ours.async_io(Interest::READABLE, read));
                assert!(poll_once(&mut reading).await.is_none());
                other.write_all(b"x").unwrap();
                assert_eq!(reading.await.unwrap(), 1);
                polls.add();
                each();
            }
        }));
    }
}

/// Checks this beside tasks that yield, and the future of `block_on`, which yields too.
fn neither_starves(event_interval: u32, yielding: usize, yields: usize, each: fn()) {
    let _watchdog = watchdog();
    let runtime = Builder::new_current_thread().event_interval(event_interval).build().unwrap();
    runtime.block_on(async {
        let (woken, trace) = (Count::default(), Trace::default());
        spawn_woken(&woken, each);
        drop(spawn_yielding(yielding, &trace));
        let mut yielded = 0;
        until(|| {
            yielded += trace.take().len() + 1;
            // Some are woken before the tasks that yield have been spawned.
            assert!(woken.get() <= 2 * yielded + 100, "{} beside {yielded}", woken.get());
            yielded >= yields
        })
        .await;
        // The loop checks for events after so many polls at the latest.
        let looks = yielded / (event_interval as usize + yielding + 1);
        assert!(woken.get() >= looks / 2, "{} beside {yielded}", woken.get());
    });
}

#[test]
#[cfg_attr(miri, ignore = "many polls")]
fn neither_events_nor_what_yields_starves() {
    for event_interval in [2, 61, 128] {
        for yielding in [0, 1, 10] {
            neither_starves(event_interval, yielding, 3000, || {});
        }
    }
}

/// A round is then one poll, and ends when there are events again.
#[test]
#[cfg_attr(miri, ignore = "many polls")]
fn neither_starves_though_each_round_is_one_poll() {
    for yielding in [0, 1, 10] {
        neither_starves(1, yielding, 500, || {});
        neither_starves(128, yielding, 50, || {
            // This is longer than the loop lets tasks run between two checks.
            let begin = std::time::Instant::now();
            while begin.elapsed() < Duration::from_millis(1) {}
        });
    }
}

/// The hook has another thread wake a task that has ended: there is always a message in the inbox, and nothing to do.
#[test]
fn wakes_of_ended_tasks_do_not_keep_the_loop_from_its_sockets() {
    let _watchdog = watchdog();
    let ended: Arc<Mutex<Option<Waker>>> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let hook = {
        let (ended, calls) = (ended.clone(), calls.clone());
        move || {
            let Some(waker) = ended.lock().unwrap().clone() else { return };
            assert!(calls.fetch_add(1, SeqCst) < 100, "nobody hears of the byte");
            thread::spawn(move || waker.wake()).join().unwrap();
        }
    };
    let runtime = Builder::new_current_thread().on_thread_park(hook).build().unwrap();
    runtime.block_on(async {
        let waker = spawn(common::own_waker()).await.unwrap();
        let (ours, mut other) = pair();
        assert!(poll_once(ours.readable()).await.is_none());
        *ended.lock().unwrap() = Some(waker);
        // This happens when the loop has nothing else to do.
        let woken = calls.clone();
        let writer = thread::spawn(move || {
            while woken.load(SeqCst) == 0 {
                thread::yield_now();
            }
            other.write_all(b"x").unwrap();
            other
        });
        drop(ours.readable().await.unwrap());
        *ended.lock().unwrap() = None;
        writer.join().unwrap();
    });
}

/// Each of many waiters is found in constant time when it is added, polled again, and removed: in the order in which
/// they were added, in reverse, and when all are woken. A quadratic time would not end before the watchdog.
#[test]
#[cfg_attr(miri, ignore = "many polls")]
fn a_crowd_that_waits_for_one_source_costs_no_square() {
    const CROWD: usize = 100_000;
    run(async {
        let (ours, mut other) = pair();
        for is_reversed in [false, true] {
            let mut crowd: Vec<_> = (0..CROWD).map(|_| Box::pin(ours.readable())).collect();
            for _ in 0..2 {
                for waiting in &mut crowd {
                    assert!(poll_once(waiting).await.is_none());
                }
            }
            if is_reversed {
                crowd.reverse();
            }
            drop(crowd);
        }
        let mut crowd: Vec<_> = (0..CROWD).map(|_| Box::pin(ours.readable())).collect();
        for waiting in &mut crowd {
            assert!(poll_once(waiting).await.is_none());
        }
        other.write_all(b"x").unwrap();
        for waiting in crowd {
            drop(waiting.await.unwrap());
        }
    });
}

/// If an event wakes the future of `block_on`, that future has its place among the events.
#[test]
fn the_future_of_block_on_takes_its_turn_among_events() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let polls = Rc::new(Cell::new(0));
    runtime.block_on(async {
        for _ in 0..YIELDING {
            let polls = polls.clone();
            drop(spawn(async move {
                loop {
                    polls.set(polls.get() + 1);
                    yield_now().await;
                }
            }));
        }
        for _ in 0..20 {
            let gate = Gate::default();
            let mut opened = pin!(gate.wait());
            assert!(poll_once(&mut opened).await.is_none());
            let before = polls.get();
            thread::spawn(move || gate.open()).join().unwrap();
            opened.await;
            let waited = polls.get() - before;
            assert!(waited <= SOON, "{waited} polls of tasks that were queued before");
        }
    });
}
