//! Law: user code never runs under a borrow of ours.
//!
//! The tests pass wakers of their own to every poll function. Each function of such a waker calls back into the
//! runtime, and so do futures and outputs when they are dropped. A borrow that lasted while one of them runs would
//! panic.

mod common;

use common::adversary::{DEEDS, Deed, FUNCTIONS, On};
use common::process::blocking_threads_leave;
use common::subjects::{ENDINGS, Ending, ordeal, subjects, works};
use common::{Count, OnDrop, run, watchdog, yield_times};
use runtime::{Handle, Runtime, spawn, task};
use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};

#[test]
#[cfg_attr(miri, ignore = "a few thousand runtimes; Miri takes the sample below")]
fn a_waker_may_call_back_from_any_of_its_functions() {
    let _watchdog = watchdog();
    for (name, make) in subjects() {
        let mut calls = [0; FUNCTIONS.len()];
        let mut performed = 0;
        for (index, on) in FUNCTIONS.into_iter().enumerate() {
            for deed in DEEDS {
                for ending in ENDINGS {
                    let report = ordeal(*make, on, [deed; 2], ending);
                    let case = format!("{name}, {on:?} does {deed:?}, {ending:?}");
                    assert_eq!((report.panics, report.failed), (0, 0), "{case}: the runtime panicked");
                    assert_eq!(report.live_wakers, 0, "{case}: a waker is left, or dropped twice");
                    calls[index] += report.calls;
                    performed += report.performed;
                }
            }
        }
        assert!(calls[0] + calls[2] > 0, "{name} neither cloned a waker nor woke it by reference");
        assert!(performed > 0, "{name}: nothing hostile was done");
    }
    blocking_threads_leave();
}

#[test]
fn a_sample_of_wakers_that_call_back() {
    let _watchdog = watchdog();
    for name in ["a join handle", "sleep", "AsyncFd::readable"] {
        let (_, make) = subjects().find(|(of, _)| *of == name).unwrap();
        for on in FUNCTIONS {
            for ending in ENDINGS {
                let report = ordeal(*make, on, [Deed::Spawn; 2], ending);
                assert_eq!(
                    (report.panics, report.failed, report.live_wakers),
                    (0, 0, 0),
                    "{name}, {on:?}, {ending:?}"
                );
            }
        }
    }
}

/// A waker that has not changed is not cloned again: otherwise a task that looks at a thousand quiet sources would
/// clone it for each of them.
#[test]
#[cfg_attr(miri, ignore = "the resolver and the sockets of std are beyond Miri")]
fn a_waker_is_cloned_once_however_often_it_waits() {
    let _watchdog = watchdog();
    let mut wrong = Vec::new();
    for (name, make) in subjects() {
        let clones = ordeal(*make, On::Clone, [Deed::Nothing; 2], Ending::Cancelled).calls;
        // The operation is polled three times, with two wakers.
        let most = match *name {
            // These wait for two things; and the signal that ends a server clones in each poll.
            "a read with a timeout" | "a copy that has an idle timeout" => 4,
            // Its timer of 50 µs may expire between two polls, and the next one is another timer.
            "UnixDatagram::send_to_addr" => 5,
            "serve" => 5,
            // An operation that another thread completes clones the waker before it takes its lock.
            "a join handle from Handle::spawn" | "a join handle of a blocking call" | "lookup_host" => 3,
            _ => 2,
        };
        if clones > most {
            wrong.push(format!("{name}: {clones} clones"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    blocking_threads_leave();
}

/// Returns a value that performs a deed when it is dropped, and counts it if it could be performed.
fn hostile(deed: Deed, performed: &Count) -> impl Sized + 'static {
    let performed = performed.clone();
    OnDrop::new(move || {
        if deed.perform(0) {
            performed.add();
        }
    })
}

#[test]
fn a_future_may_call_back_when_it_is_dropped_at_its_completion() {
    for deed in DEEDS {
        let performed = Count::default();
        run(async {
            let guard = hostile(deed, &performed);
            spawn(async move { drop(guard) }).await.unwrap();
            let guard = hostile(deed, &performed);
            drop(spawn(async move {
                task::yield_now().await;
                drop(guard)
            }));
            yield_times(3).await;
            works().await;
        });
        assert_eq!(performed.get(), 2, "{deed:?}");
    }
}

#[test]
fn a_future_may_call_back_when_it_is_dropped_by_an_abort() {
    for deed in DEEDS {
        let performed = Count::default();
        run(async {
            for is_polled in [false, true] {
                let guard = hostile(deed, &performed);
                let victim = spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                yield_times(usize::from(is_polled)).await;
                victim.abort();
                assert!(victim.await.unwrap_err().is_cancelled());
            }
            works().await;
        });
        assert_eq!(performed.get(), 2, "{deed:?}");
    }
}

#[test]
fn a_future_may_call_back_when_it_is_dropped_after_a_panic() {
    for deed in DEEDS {
        let performed = Count::default();
        run(async {
            let guard = hostile(deed, &performed);
            let victim = spawn(async move {
                let _guard = guard;
                common::panic_quietly("meant");
            });
            assert!(victim.await.unwrap_err().is_panic());
            works().await;
        });
        assert_eq!(performed.get(), 1, "{deed:?}");
    }
}

#[test]
fn an_output_may_call_back_when_it_is_dropped() {
    for deed in DEEDS {
        let performed = Count::default();
        run(async {
            let guard = || hostile(deed, &performed);
            // The task is detached before its end, after its end, and joined.
            let output = guard();
            drop(spawn(async move { output }));
            let output = guard();
            let done = spawn(async move { output });
            yield_times(2).await;
            assert!(done.is_finished());
            drop(done);
            let output = guard();
            drop(spawn(async move { output }).await);
            works().await;
        });
        assert_eq!(performed.get(), 3, "{deed:?}");
    }
}

#[test]
fn futures_and_outputs_may_call_back_when_their_runtime_is_dropped() {
    let _watchdog = watchdog();
    for deed in DEEDS {
        let performed = Count::default();
        let runtime = Runtime::new().unwrap();
        let waits = hostile(deed, &performed);
        let never_polled = hostile(deed, &performed);
        let output = hostile(deed, &performed);
        let finished = runtime.spawn(async move { output });
        runtime.block_on(async {
            drop(spawn(async move {
                let _waits = waits;
                pending::<()>().await;
            }));
            yield_times(2).await;
            assert!(finished.is_finished());
        });
        drop(runtime.spawn(async move { drop(never_polled) }));
        drop(runtime);
        assert_eq!(performed.get(), 3, "{deed:?}: a drop found no runtime on its thread");
        drop(finished);
    }
}

/// What a drop spawns while the runtime is dropped is dropped at once, one inside the other.
#[test]
fn a_drop_that_spawns_itself_anew_does_not_hold_up_the_end() {
    const GENERATIONS: usize = 1000;
    fn again(drops: Count) {
        let guard = OnDrop::new({
            let drops = drops.clone();
            move || {
                if drops.add() < GENERATIONS {
                    again(drops.clone());
                }
            }
        });
        drop(spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
    }
    let _watchdog = watchdog();
    let drops = Count::default();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        again(drops.clone());
        task::yield_now().await;
    });
    drop(runtime);
    assert_eq!(drops.get(), GENERATIONS);
}

/// A future that was spawned by `Handle::spawn`, and one that never arrived at the loop, are dropped like any other.
#[test]
fn a_future_from_another_thread_may_call_back_when_it_is_dropped() {
    let _watchdog = watchdog();
    for deed in DEEDS {
        let performed = Arc::new(AtomicUsize::new(0));
        let guard = || {
            let performed = performed.clone();
            OnDrop::new(move || {
                performed.fetch_add(usize::from(deed.perform(0)), SeqCst);
            })
        };
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        let (arrives, waits) = (guard(), guard());
        let task = handle.spawn(async move { drop(arrives) });
        let waiting = handle.spawn(async move {
            let _waits = waits;
            pending::<()>().await;
        });
        runtime.block_on(task).unwrap();
        assert_eq!(performed.load(SeqCst), 1, "{deed:?}");
        let stays_in_the_inbox = guard();
        let late = handle.spawn(async move { drop(stays_in_the_inbox) });
        drop(runtime);
        assert_eq!(performed.load(SeqCst), 3, "{deed:?}");
        let mut cx = Context::from_waker(Waker::noop());
        for gone in [waiting, late] {
            assert!(gone.is_finished());
            assert!(
                matches!(pin!(gone).poll(&mut cx), std::task::Poll::Ready(Err(error)) if error.is_cancelled())
            );
        }
    }
}

/// The result of a blocking call whose join handle is gone is dropped on the thread that made it.
#[test]
fn a_result_that_nobody_wants_is_dropped_where_it_was_made() {
    let _watchdog = watchdog();
    let (sender, receiver) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    run(async {
        let output = OnDrop::new(move || sender.send(Handle::try_current().is_err()).unwrap());
        drop(task::spawn_blocking(move || {
            begun.send(()).unwrap();
            assert!(released.recv().is_err());
            output
        }));
        has_begun.recv().unwrap();
        drop(release);
    });
    assert!(receiver.recv().unwrap());
}
