//! Streams of signals: what each one sees, what is kept for the next one, and what they cost. What ends or forks a
//! process is in `signal_process.rs`.
//!
//! A signal concerns a whole process, so each test has one of its own.
#![cfg(not(miri))] // Miri has no signals.
#![expect(
    unsafe_code,
    reason = "raise, errno and the mask of signals, in processes where nothing else happens"
)]

mod common;

use common::heap::{Counting, live_bytes};
use common::process::{in_child, open_descriptors, threads};
use common::{message, poll_once, rounds, watchdog};
use futures_core::Stream;
use futures_lite::StreamExt;
use futures_lite::future::or;
use runtime::cores::PerCore;
use runtime::selector::Kind;
use runtime::signal::unix::{Signal, SignalKind, signal};
use runtime::{Builder, Runtime, block_on, signal as signals, spawn, time};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

#[global_allocator]
static HEAP: Counting = Counting;

/// Sends a signal to this thread, which has handled it when this function returns.
fn raise(kind: SignalKind) {
    // SAFETY: the function takes a number.
    assert_eq!(unsafe { libc::raise(kind.as_raw_value()) }, 0);
}

/// On every selector, in a process of its own.
fn on_each(law: impl Fn(Runtime)) {
    in_child(|| {
        for kind in Kind::available() {
            eprintln!("{kind}");
            law(Builder::new_current_thread().selector(*kind).build().unwrap());
        }
    });
}

async fn is_silent(stream: &mut Signal) -> bool {
    poll_once(stream.recv()).await.is_none()
}

#[test]
fn each_kind_of_signal_has_its_stream() {
    on_each(|runtime| {
        let kinds = [
            SignalKind::alarm(),
            SignalKind::child(),
            SignalKind::hangup(),
            SignalKind::interrupt(),
            SignalKind::io(),
            SignalKind::pipe(),
            SignalKind::quit(),
            SignalKind::terminate(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
            SignalKind::window_change(),
        ];
        runtime.block_on(async {
            let mut streams = kinds.map(|kind| signal(kind).unwrap());
            for index in 0..kinds.len() {
                raise(kinds[index]);
                assert_eq!(streams[index].recv().await, Some(()), "{:?}", kinds[index]);
                for stream in &mut streams {
                    assert!(is_silent(stream).await, "{stream:?} after {:?}", kinds[index]);
                }
            }
        });
    });
}

#[test]
fn a_waiting_stream_is_woken_by_a_signal_and_only_once() {
    on_each(|runtime| {
        runtime.block_on(async {
            let mut stream = signal(SignalKind::user_defined1()).unwrap();
            for _ in 0..100 {
                let sender = spawn(async { raise(SignalKind::user_defined1()) });
                assert_eq!(stream.next().await, Some(()));
                sender.await.unwrap();
                assert!(is_silent(&mut stream).await);
            }
        });
    });
}

#[test]
fn signals_that_arrive_together_are_one_item() {
    on_each(|runtime| {
        runtime.block_on(async {
            let mut stream = signal(SignalKind::user_defined1()).unwrap();
            assert!(is_silent(&mut stream).await);
            (0..3).for_each(|_| raise(SignalKind::user_defined1()));
            assert_eq!(stream.recv().await, Some(()));
            assert!(is_silent(&mut stream).await);
        });
    });
}

/// More signals than a pipe has room for, while the loop does not run.
#[test]
fn a_flood_loses_no_kind_and_blocks_nothing() {
    on_each(|runtime| {
        runtime.block_on(async {
            let mut flooding = signal(SignalKind::window_change()).unwrap();
            let mut lonely = signal(SignalKind::hangup()).unwrap();
            let task = spawn(async move {
                lonely.recv().await;
                lonely
            });
            assert!(is_silent(&mut flooding).await);
            let half = rounds(100_000, 40_000, 0);
            (0..half).for_each(|_| raise(SignalKind::window_change()));
            raise(SignalKind::hangup());
            (0..half).for_each(|_| raise(SignalKind::window_change()));
            assert_eq!(flooding.recv().await, Some(()));
            let mut lonely = task.await.unwrap();
            assert!(is_silent(&mut flooding).await && is_silent(&mut lonely).await);
            // And nothing has been left behind that would hide the next one.
            let sender = spawn(async { raise(SignalKind::window_change()) });
            assert_eq!(flooding.recv().await, Some(()));
            sender.await.unwrap();
        });
    });
}

/// The handler runs on the thread of the loop, in the midst of everything that the loop does.
#[test]
fn a_flood_from_another_thread_stops_no_loop() {
    on_each(|runtime| {
        runtime.block_on(async {
            let mut stream = signal(SignalKind::window_change()).unwrap();
            // SAFETY: there are no arguments, and the thread outlives the other one.
            let here = unsafe { libc::pthread_self() };
            let (stop, stopped) = channel::<()>();
            let flood = thread::spawn(move || {
                while stopped.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty) {
                    // SAFETY: the thread waits for this one, so it exists.
                    unsafe { libc::pthread_kill(here, libc::SIGWINCH) };
                }
                // SAFETY: as above.
                unsafe { libc::pthread_kill(here, libc::SIGWINCH) };
            });
            // Where both threads have to share a core, each round lasts as long as a slice of the scheduler's.
            for _ in 0..rounds(1000, 200, 1) {
                assert_eq!(stream.recv().await, Some(()));
                time::sleep(Duration::from_micros(10)).await;
            }
            drop(stop);
            flood.join().unwrap();
            // The last one was handled before this thread makes another system call.
            assert_eq!(stream.recv().await, Some(()));
            assert!(is_silent(&mut stream).await);
        });
    });
}

#[test]
fn each_runtime_and_each_stream_sees_each_signal() {
    on_each(|runtime| {
        const THREADS: usize = 4;
        const ROUNDS: usize = 100;
        let builder = {
            let mut builder = Builder::new_current_thread();
            builder.selector(runtime.selector());
            builder
        };
        let (barrier, kind) = (Barrier::new(THREADS), SignalKind::user_defined2());
        let seen = PerCore::new().threads(THREADS).builder(&builder).run(async |core| {
            let mut streams = [(); 3].map(|()| signal(kind).unwrap());
            for round in 0..ROUNDS {
                barrier.wait();
                if core.index() == round % THREADS {
                    raise(kind);
                }
                for stream in &mut streams {
                    assert_eq!(stream.recv().await, Some(()));
                }
                barrier.wait();
                for stream in &mut streams {
                    assert!(is_silent(stream).await);
                }
            }
            ROUNDS
        });
        assert_eq!(seen.unwrap(), [ROUNDS; THREADS]);
    });
}

/// A loop of `select!` that makes the future anew in each pass was deaf between two passes.
#[test]
fn a_signal_between_two_passes_of_a_loop_is_kept_for_the_next() {
    on_each(|runtime| {
        runtime.block_on(async {
            assert!(poll_once(signals::ctrl_c()).await.is_none());
            for _ in 0..100 {
                raise(SignalKind::interrupt());
                signals::ctrl_c().await.unwrap();
                assert!(poll_once(signals::ctrl_c()).await.is_none(), "it is returned once");
            }
            // The signal arrives, and the other branch is ready first.
            let (early, late) = (async { false }, async { signals::ctrl_c().await.is_ok() });
            let mut late = Box::pin(late);
            assert!(poll_once(&mut late).await.is_none());
            raise(SignalKind::interrupt());
            assert!(!or(early, late).await);
            signals::ctrl_c().await.unwrap();
            assert!(poll_once(signals::ctrl_c()).await.is_none());
        });
    });
}

#[test]
fn what_one_stream_of_a_thread_has_seen_is_not_kept() {
    in_child(|| {
        block_on(async {
            let kind = SignalKind::user_defined1();
            let mut stream = signal(kind).unwrap();
            raise(kind);
            let mut early = signal(kind).unwrap();
            assert_eq!(early.recv().await, Some(()), "nobody had seen it");
            let mut late = signal(kind).unwrap();
            assert!(is_silent(&mut late).await);
            assert_eq!(stream.recv().await, Some(()), "each stream sees it");
            // Other threads begin with what arrives from then on.
            raise(kind);
            thread::spawn(move || block_on(async { assert!(is_silent(&mut signal(kind).unwrap()).await) }))
                .join()
                .unwrap();
            assert_eq!(late.recv().await, Some(()));
        });
    });
}

/// tokio's `signal::unix` tests: `dropping_signal_does_not_deregister_any_other_instances` and its neighbours.
#[test]
fn a_dropped_stream_takes_nothing_from_the_others() {
    on_each(|runtime| {
        runtime.block_on(async {
            let kind = SignalKind::user_defined1();
            let mut streams: Vec<_> = (0..8).map(|_| signal(kind).unwrap()).collect();
            for stream in &mut streams {
                assert!(is_silent(stream).await);
            }
            while streams.len() > 1 {
                drop(streams.pop());
                raise(kind);
                for stream in &mut streams {
                    assert_eq!(stream.recv().await, Some(()));
                }
            }
        });
    });
}

#[test]
fn a_future_for_each_pass_costs_no_descriptor_no_memory_and_no_thread() {
    on_each(|runtime| {
        let pass = async || {
            assert!(poll_once(signals::ctrl_c()).await.is_none());
            assert!(poll_once(signals::shutdown()).await.is_none());
        };
        runtime.block_on(async {
            for _ in 0..100 {
                pass().await;
            }
            let before = (open_descriptors(), live_bytes(), threads());
            for _ in 0..rounds(300_000, 20_000, 0) {
                pass().await;
            }
            assert_eq!((open_descriptors(), live_bytes(), threads()), before);
        });
    });
}

#[test]
fn the_process_keeps_a_descriptor_for_each_stream_that_existed_at_once() {
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let before = open_descriptors();
        for count in [5, 20, 20, 3] {
            let streams: Vec<_> = (0..count).map(|_| signal(SignalKind::hangup()).unwrap()).collect();
            assert_eq!(open_descriptors(), before + count.max(if count == 3 { 20 } else { 0 }));
            drop(streams);
        }
        drop(runtime);
    });
}

/// The number of its descriptor is registered again at once, in the runtime that has not yet heard of the drop.
#[test]
fn a_stream_that_another_thread_drops_leaves_its_place_to_the_next() {
    on_each(|runtime| {
        runtime.block_on(async {
            let kind = SignalKind::user_defined1();
            for _ in 0..200 {
                let mut stream = signal(kind).unwrap();
                assert!(is_silent(&mut stream).await);
                thread::spawn(move || drop(stream)).join().unwrap();
                let mut next = signal(kind).unwrap();
                assert!(is_silent(&mut next).await);
                let sender = spawn(async move { raise(kind) });
                assert_eq!(next.recv().await, Some(()));
                sender.await.unwrap();
            }
        });
    });
}

#[test]
fn a_stream_moves_to_another_runtime_while_it_waits() {
    on_each(|runtime| {
        let selector = runtime.selector();
        runtime.block_on(async {
            let kind = SignalKind::user_defined1();
            let mut stream = signal(kind).unwrap();
            for _ in 0..20 {
                assert!(is_silent(&mut stream).await);
                let there = thread::spawn(move || {
                    let _watchdog = watchdog();
                    let other = Builder::new_current_thread().selector(selector).build().unwrap();
                    other.block_on(async {
                        assert!(is_silent(&mut stream).await);
                        let sender = spawn(async move { raise(kind) });
                        assert_eq!(stream.recv().await, Some(()));
                        sender.await.unwrap();
                    });
                    stream
                });
                stream = there.join().unwrap();
                let sender = spawn(async move { raise(kind) });
                assert_eq!(stream.recv().await, Some(()));
                sender.await.unwrap();
            }
        });
    });
}

#[test]
#[cfg(target_os = "linux")] // The other systems have no real-time signals below 65.
fn real_time_signals_are_delivered_and_reserved_numbers_are_errors() {
    in_child(|| {
        block_on(async {
            let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
            let refused = [0, libc::SIGKILL, libc::SIGSTOP, libc::SIGILL, libc::SIGFPE, libc::SIGSEGV];
            for number in (-1..=66).chain([i32::MAX, i32::MIN]) {
                let created = signal(SignalKind::from_raw(number));
                match number {
                    1..=31 if !refused.contains(&number) => drop(created.unwrap()),
                    _ if real_time.contains(&number) => {
                        let mut stream = created.unwrap();
                        raise(SignalKind::from_raw(number));
                        assert_eq!(stream.recv().await, Some(()));
                    }
                    // Used by the threads of libc.
                    32.. if number < *real_time.start() => {
                        assert_eq!(created.unwrap_err().raw_os_error(), Some(libc::EINVAL), "{number}");
                    }
                    65.. => assert_eq!(created.unwrap_err().to_string(), "signal too large"),
                    _ => {
                        let error = created.unwrap_err();
                        assert_eq!(error.kind(), io::ErrorKind::Other);
                        assert_eq!(error.to_string(), format!("Refusing to register signal {number}"));
                    }
                }
            }
            // They queue, and the items do not: three signals are one to three items.
            let kind = SignalKind::from_raw(libc::SIGRTMIN() + 1);
            let mut stream = signal(kind).unwrap();
            (0..3).for_each(|_| raise(kind));
            assert_eq!(stream.recv().await, Some(()));
            assert!(is_silent(&mut stream).await);
        });
    });
}

#[test]
#[cfg(target_os = "linux")]
fn the_handler_keeps_errno() {
    in_child(|| {
        let kinds = [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::hangup()];
        let _streams = kinds.map(|kind| signal(kind).unwrap());
        // SAFETY: the pointer is to the errno of this thread.
        let errno = unsafe { libc::__errno_location() };
        // The handler fails, since it has nothing to write to. Its own errors must not be seen by what it interrupts.
        for fd in 3..open_descriptors() as i32 + 8 {
            // SAFETY: the function takes a number. Nothing in this process uses these descriptors any more.
            unsafe { libc::close(fd) };
        }
        for (kind, value) in kinds.into_iter().zip([0, libc::EINTR, 12345]) {
            // SAFETY: as above. Between the calls there is nothing but the handler.
            let kept = unsafe {
                *errno = value;
                libc::raise(kind.as_raw_value());
                *errno
            };
            assert_eq!(kept, value);
        }
        // Destructors would close descriptors that are closed already.
        println!("test result: ok. 1 passed");
        std::process::exit(0);
    });
}

#[test]
fn a_program_that_only_waits_for_signals_ends_when_main_returns() {
    on_each(|runtime| {
        let returned = runtime.block_on(async {
            drop(spawn(async {
                loop {
                    _ = signal(SignalKind::hangup()).unwrap().recv().await;
                }
            }));
            drop(spawn(async { signals::shutdown().await }));
            time::sleep(Duration::from_micros(100)).await;
            7
        });
        assert_eq!(returned, 7);
        drop(runtime);
    });
}

#[test]
fn a_stream_is_made_anywhere_and_waits_in_a_runtime() {
    in_child(|| {
        let mut stream = signal(SignalKind::user_defined1()).unwrap();
        let poll = |stream: &mut Signal| {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            std::pin::Pin::new(stream).poll_next(&mut cx)
        };
        let panicked = catch_unwind(AssertUnwindSafe(|| poll(&mut stream))).unwrap_err();
        let text = message(&*panicked);
        assert!(text.contains("Signal::recv was polled outside of a runtime"), "{text}");
        raise(SignalKind::user_defined1());
        assert!(poll(&mut stream).is_ready(), "there is nothing to wait for");
        block_on(async {
            assert!(is_silent(&mut stream).await);
            raise(SignalKind::user_defined1());
            assert_eq!(stream.recv().await, Some(()));
        });
    });
}

#[test]
fn a_process_without_descriptors_gets_the_error_and_goes_on() {
    in_child(|| {
        block_on(async {
            let mut stream = signal(SignalKind::hangup()).unwrap();
            let mut held: Vec<io::PipeReader> = Vec::new();
            let limit = libc::rlimit { rlim_cur: open_descriptors() as libc::rlim_t + 8, rlim_max: 1024 };
            // SAFETY: the kernel reads the limits.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
            let (first, _writer) = io::pipe().unwrap();
            while let Ok(further) = first.try_clone() {
                held.push(further);
            }
            let error = signal(SignalKind::hangup()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            assert_eq!(signals::ctrl_c().await.unwrap_err().raw_os_error(), Some(libc::EMFILE));
            let mut shutdown = signals::shutdown();
            assert_eq!((&mut shutdown).await.unwrap_err().raw_os_error(), Some(libc::EMFILE));
            raise(SignalKind::hangup());
            assert_eq!(stream.recv().await, Some(()));
            held.clear();
            assert!(poll_once(&mut shutdown).await.is_none(), "it tries again");
            let mut another = signal(SignalKind::hangup()).unwrap();
            raise(SignalKind::hangup());
            assert_eq!(another.recv().await, Some(()));
        });
    });
}

const fn is_send_and_sync<T: Send + Sync + Unpin>() {}
const _: () = is_send_and_sync::<Signal>();
const _: () = is_send_and_sync::<signals::Shutdown>();
