//! One runtime on each core, seen from the process: threads, descriptors and CPUs.
// All of that is to be seen in /proc.
#![cfg(any(target_os = "linux", target_os = "android"))]
#![expect(unsafe_code, reason = "setrlimit")]

mod common;

use common::process::{self, in_child};
use common::watchdog;
use runtime::cores::{Core, CoreError, PerCore};
use runtime::net::{TcpListener, TcpStream};
use runtime::task::{spawn_blocking, yield_now};
use runtime::{spawn, time};
use std::future::pending;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// Returns a number that is different in each call, and the same in each run of the program.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
fn out_of_descriptors_some_start_and_none_runs() {
    in_child(|| {
        let limit = libc::rlimit { rlim_cur: 16, rlim_max: 16 };
        // SAFETY: reads one structure.
        let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        assert_eq!(result, 0);
        let called = AtomicUsize::new(0);
        let count = async |_: Core| _ = called.fetch_add(1, SeqCst);
        let error = PerCore::new().threads(16).run(count).unwrap_err();
        assert!(error.is_start() && error.to_string().contains("Too many open files"), "{error}");
        assert_eq!(called.load(SeqCst), 0);
        PerCore::new().threads(2).run(async |_| ()).expect("what the others took is given back");
    });
}

#[test]
fn a_thread_is_pinned_and_its_blocking_calls_are_not() {
    /// Returns the CPUs that the calling thread may run on, in the system's notation.
    fn allowed() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.unwrap().trim().to_owned()
    }
    let _watchdog = watchdog();
    let before = allowed();
    let run = |cores: &mut PerCore| {
        cores.run(async |core| (core.cpu(), allowed(), spawn_blocking(allowed).await.unwrap())).unwrap()
    };
    for (cpu, own, of_blocking) in run(PerCore::new().threads(2)) {
        assert_eq!((cpu, &own, &of_blocking), (None, &before, &before));
    }
    for (cpu, own, of_blocking) in run(PerCore::new().threads(5).pin(true)) {
        assert_eq!(Some(own), cpu.map(|cpu| cpu.to_string()));
        assert_eq!(of_blocking, before);
    }
    let last = run(PerCore::new().pin(true)).pop().unwrap().0.unwrap();
    let one = run(PerCore::new().pin_to([last]));
    assert_eq!(one, [(Some(last), last.to_string(), before.clone())]);
    assert_eq!(run(PerCore::new().pin(true).pin(false)).pop().unwrap().0, None);
    assert_eq!(allowed(), before, "the caller runs where it did");
}

#[test]
fn no_thread_and_no_descriptor_is_left_after_a_hundred_failures() {
    in_child(|| {
        // Counted before any thread is started: a thread that was joined is counted until the kernel
        // has cleared it away.
        let threads = process::threads();
        // The first run opens what the standard library keeps for itself.
        PerCore::new().threads(4).run(async |_| ()).unwrap();
        process::threads_come_to(threads);
        let descriptors = process::open_descriptors();
        let mut seed = 0x5eed;
        for round in 0..100 {
            let (who, when, how) =
                (random(&mut seed) as usize % 4, random(&mut seed) % 6, random(&mut seed) % 3);
            let kept = Count::default();
            let result = PerCore::new().threads(4).try_run(async |core| {
                let _kept = kept.keep();
                let task = kept.keep();
                drop(spawn(async move {
                    let _task = task;
                    pending::<()>().await;
                }));
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                drop(spawn(async move {
                    loop {
                        drop(listener.accept().await);
                    }
                }));
                if core.index() != who {
                    return match core.index() % 2 {
                        0 => pending().await,
                        _ => loop {
                            yield_now().await;
                        },
                    };
                }
                match when {
                    0 => {}
                    1 => yield_now().await,
                    2 => time::sleep(Duration::from_micros(random(&mut { round }) % 2000)).await,
                    3 => drop(TcpStream::connect("127.0.0.1:1").await),
                    4 => spawn_blocking(|| ()).await.unwrap(),
                    _ => (0..100).for_each(|_| thread::yield_now()),
                }
                match how {
                    0 => panic!("round {round}"),
                    1 => Err(round),
                    _ => Err(catch_unwind(|| panic!("inside")).map_or(round, |()| 0)),
                }
            });
            let error: CoreError<u64> = result.map(|_: Vec<()>| ()).unwrap_err();
            assert_eq!(error.index(), who, "round {round}");
            match how {
                0 => {
                    let message = error.into_panic().downcast::<String>().unwrap();
                    assert_eq!(*message, format!("round {round}"));
                }
                _ => assert_eq!(error.try_into_inner().unwrap(), round),
            }
            assert_eq!(kept.left(), 0, "round {round}");
            // An idle blocking thread is told to end, and is not waited for.
            assert_eq!(process::threads_come_to(threads), threads, "round {round}");
            assert_eq!(process::open_descriptors(), descriptors, "round {round}");
        }
    });
}

/// Counts the values that have not been dropped.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

struct Kept(Arc<AtomicUsize>);

impl Count {
    fn keep(&self) -> Kept {
        self.0.fetch_add(1, SeqCst);
        Kept(self.0.clone())
    }

    fn left(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
