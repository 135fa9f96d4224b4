//! Blocking calls: what becomes of them, how many threads they take, and that no task waits for a call that cannot be
//! made. Also the law that without such calls there is only one thread.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "setrlimit"))]

mod common;

use common::process::{in_child, threads, threads_come_to};
use common::{message, panic_quietly, run, until, watchdog, yield_times};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::task::{self, spawn_blocking};
use runtime::{Builder, Handle, Runtime, spawn, time};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

fn pool_of(threads: usize) -> Runtime {
    Builder::new_current_thread().max_blocking_threads(threads).build().unwrap()
}

/// Makes a call that has begun, and does not end until the test lets it.
fn stuck(runtime: &Runtime) -> (runtime::task::JoinHandle<u32>, Sender<()>) {
    let (release, released): (Sender<()>, Receiver<()>) = channel();
    let (begun, has_begun) = channel();
    let call = runtime.spawn_blocking(move || {
        begun.send(()).unwrap();
        _ = released.recv();
        7
    });
    has_begun.recv().unwrap();
    (call, release)
}

#[test]
fn a_call_gives_its_result_to_whoever_awaits_it() {
    run(async {
        let home = thread::current().id();
        let call = spawn_blocking(move || (thread::current().id() != home, String::from("done")));
        let id = call.id();
        let (is_elsewhere, said) = call.await.unwrap();
        assert!(is_elsewhere);
        assert_eq!(said, "done");
        assert_ne!(spawn_blocking(|| {}).id(), id);
        let call = spawn_blocking(|| 7);
        assert_eq!(spawn(call).await.unwrap().unwrap(), 7, "in a task");
        let call = spawn_blocking(|| 8);
        let elsewhere = thread::spawn(move || futures_lite::future::block_on(call).unwrap());
        assert_eq!(elsewhere.join().unwrap(), 8, "on another thread");
    });
}

#[test]
fn a_panic_is_delivered_and_the_thread_serves_on() {
    let runtime = pool_of(1);
    runtime.block_on(async {
        for round in 0..3 {
            let error = spawn_blocking(move || panic_quietly(format!("call {round}")))
                .await
                .map(|(): ()| ())
                .unwrap_err();
            assert!(error.is_panic());
            assert_eq!(message(&*error.into_panic()), format!("call {round}"));
            assert_eq!(spawn_blocking(move || round).await.unwrap(), round);
        }
    });
}

#[test]
fn no_more_threads_are_taken_than_allowed_and_no_call_is_lost() {
    let _watchdog = watchdog();
    let runtime = pool_of(3);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let (now, most) = (now.clone(), most.clone());
            runtime.spawn_blocking(move || {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::sleep(Duration::from_micros(100));
                now.fetch_sub(1, SeqCst);
                n
            })
        })
        .collect();
    runtime.block_on(async {
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), n);
        }
    });
    assert!(most.load(SeqCst) <= 3);
}

#[test]
fn calls_that_wait_for_each_other_each_have_a_thread() {
    run(async {
        // This holds also if some threads are idle at first, each of which can take only one call.
        for count in [3, 8, 4, 16] {
            let barrier = Arc::new(Barrier::new(count));
            let calls: Vec<_> = (0..count)
                .map(|_| {
                    spawn_blocking({
                        let barrier = barrier.clone();
                        move || _ = barrier.wait()
                    })
                })
                .collect();
            for call in calls {
                call.await.unwrap();
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
}

#[test]
fn a_call_may_make_another() {
    run(async {
        let handle = Handle::current();
        let inner = spawn_blocking(move || handle.spawn_blocking(|| 7)).await.unwrap();
        assert_eq!(inner.await.unwrap(), 7);
        let handle = Handle::current();
        assert_eq!(spawn_blocking(move || handle.block_on(async { 8 })).await.unwrap(), 8);
        assert_eq!(
            spawn_blocking(|| runtime::block_on(async { 9 })).await.unwrap(),
            9,
            "a runtime of its own"
        );
    });
}

/// Programs written for tokio expect this.
#[test]
fn a_call_finds_its_runtime_and_its_own_id() {
    run(async {
        let home = thread::current().id();
        let outer = format!("{:?}", Handle::current());
        let call = spawn_blocking(move || {
            let handle = Handle::current();
            assert_eq!(format!("{handle:?}"), outer);
            assert_eq!(handle.block_on(async { thread::current().id() }), home);
            let task = handle.spawn(async { (thread::current().id(), task::id()) });
            let id = task.id();
            assert_eq!(futures_lite::future::block_on(task).unwrap(), (home, id));
            let own = task::id();
            let another = spawn_blocking(task::id);
            let id = another.id();
            assert_eq!(handle.block_on(another).unwrap(), id, "a call made by a call");
            // The runtime that is entered on the thread comes first, for as long as it is entered.
            let inner = runtime::block_on(async { (format!("{:?}", Handle::current()), task::try_id()) });
            assert!(inner.0 != outer && inner.1.is_none());
            assert_eq!(format!("{:?}", Handle::try_current().unwrap()), outer);
            assert_eq!(task::try_id(), Some(own));
            own
        });
        let id = call.id();
        assert_eq!(call.await.unwrap(), id);
        // The thread goes on to serve other calls. A call that panics must not leave its id behind.
        drop(spawn_blocking(|| panic_quietly("with a name")).await.map(|(): ()| ()));
        let call = spawn_blocking(task::id);
        let id = call.id();
        assert_eq!(call.await.unwrap(), id);
    });
}

#[test]
fn the_handle_that_a_call_finds_is_closed_with_its_runtime() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (release, released) = channel::<()>();
    let (begun, has_begun) = channel();
    let call = runtime.spawn_blocking(move || {
        begun.send(Handle::current().is_closed()).unwrap();
        _ = released.recv();
        Handle::current().is_closed()
    });
    assert_eq!(has_begun.recv(), Ok(false));
    drop(runtime);
    drop(release);
    assert!(futures_lite::future::block_on(call).unwrap());
}

#[test]
fn a_call_is_aborted_before_it_has_begun_and_not_after() {
    let _watchdog = watchdog();
    let runtime = pool_of(1);
    let (under_way, release) = stuck(&runtime);
    let kept = Arc::new(());
    let waits = runtime.spawn_blocking({
        let kept = kept.clone();
        move || drop(kept)
    });
    let next = runtime.spawn_blocking(|| 8);
    waits.abort();
    under_way.abort();
    assert!(!under_way.is_finished());
    release.send(()).unwrap();
    runtime.block_on(async {
        assert_eq!(under_way.await.unwrap(), 7, "it had begun");
        assert!(waits.await.unwrap_err().is_cancelled());
        assert_eq!(Arc::strong_count(&kept), 1, "and is dropped");
        assert_eq!(next.await.unwrap(), 8);
    });
}

#[test]
fn a_call_whose_handle_is_dropped_is_made_all_the_same() {
    run(async {
        let (sender, receiver) = channel();
        drop(spawn_blocking(move || sender.send(7).unwrap()));
        assert_eq!(receiver.recv(), Ok(7));
    });
}

#[test]
fn dropping_the_runtime_waits_for_no_call() {
    let _watchdog = watchdog();
    let runtime = pool_of(1);
    let (under_way, release) = stuck(&runtime);
    let kept = Arc::new(());
    let waits = runtime.spawn_blocking({
        let kept = kept.clone();
        move || drop(kept)
    });
    drop(runtime);
    assert_eq!(Arc::strong_count(&kept), 1, "what has not begun is dropped");
    run(async move {
        assert!(waits.await.unwrap_err().is_cancelled());
        assert!(!under_way.is_finished());
        release.send(()).unwrap();
        assert_eq!(under_way.await.unwrap(), 7, "what has begun ends as ever");
    });
}

#[test]
fn shutdown_timeout_waits_just_so_long() {
    let _watchdog = watchdog();
    let runtime = pool_of(2);
    let (call, release) = stuck(&runtime);
    let start = Instant::now();
    runtime.shutdown_timeout(Duration::from_millis(30));
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(30), "{waited:?}: the call is still under way");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    drop((call, release));

    // The pool does not wait longer than the calls take.
    let runtime = pool_of(2);
    let done = Arc::new(AtomicUsize::new(0));
    let (begun, has_begun) = channel();
    drop(runtime.spawn_blocking({
        let done = done.clone();
        move || {
            begun.send(()).unwrap();
            thread::sleep(Duration::from_millis(5));
            done.fetch_add(1, SeqCst);
        }
    }));
    has_begun.recv().unwrap();
    runtime.shutdown_timeout(Duration::from_secs(3600));
    assert_eq!(done.load(SeqCst), 1);
    Runtime::new().unwrap().shutdown_timeout(Duration::MAX);
}

#[test]
fn shutdown_background_does_not_wait() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (call, release) = stuck(&runtime);
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    assert!(handle.is_closed());
    assert!(!call.is_finished());
    drop(release);
}

#[test]
fn after_the_runtime_a_call_is_cancelled() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let kept = Arc::new(());
    let call = handle.spawn_blocking({
        let kept = kept.clone();
        move || drop(kept)
    });
    assert_eq!(Arc::strong_count(&kept), 1);
    assert!(run(call).unwrap_err().is_cancelled());
}

/// There is no room for the stack that is asked for, so no thread can be started.
#[test]
#[cfg_attr(miri, ignore = "its threads have no stacks")]
fn a_call_for_which_there_is_no_thread_is_cancelled_and_says_so() {
    let _watchdog = watchdog();
    let runtime = Builder::new_current_thread().thread_stack_size(1 << 46).build().unwrap();
    let kept = Arc::new(());
    runtime.block_on(async {
        for _ in 0..3 {
            let held = kept.clone();
            let error = spawn_blocking(move || drop(held)).await.unwrap_err();
            assert!(error.is_cancelled(), "{error}");
            assert!(error.to_string().contains("thread"), "{error}");
            assert_eq!(Arc::strong_count(&kept), 1);
            // A look-up returns the same error, as an `io::Error`.
            assert!(runtime::net::lookup_host("localhost:80").await.is_err());
        }
        // The loop still runs.
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        time::sleep(Duration::from_micros(10)).await;
    });
    runtime.shutdown_timeout(Duration::from_secs(3600));
}

/// One thread can be started, and then no more: the calls wait for that thread.
#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "starts a process, and limits its memory")]
fn where_no_further_thread_can_be_started_calls_go_to_those_there_are() {
    const STACK: usize = 256 << 20;
    in_child(|| {
        let runtime = Builder::new_current_thread().thread_stack_size(STACK).build().unwrap();
        let (under_way, release) = stuck(&runtime);
        let limited = limit_memory(Some(STACK / 4));
        let before = threads();
        let waits: Vec<_> = (0..10).map(|n| runtime.spawn_blocking(move || n)).collect();
        assert_eq!(threads(), before);
        release.send(()).unwrap();
        runtime.block_on(async {
            assert_eq!(under_way.await.unwrap(), 7);
            for (n, call) in waits.into_iter().enumerate() {
                assert_eq!(call.await.unwrap(), n);
            }
        });
        // When there is room again, more threads are started.
        assert!(limited);
        limit_memory(None);
        let barrier = Arc::new(Barrier::new(3));
        let calls = [(); 3].map(|()| {
            let barrier = barrier.clone();
            runtime.spawn_blocking(move || _ = barrier.wait())
        });
        runtime.block_on(async {
            for call in calls {
                call.await.unwrap();
            }
        });
    });
}

/// Limits the memory of this process to `more` bytes above what it has, or lifts the limit.
#[cfg(target_os = "linux")]
fn limit_memory(more: Option<usize>) -> bool {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').next().unwrap().parse().unwrap();
    let limit = more.map_or(libc::RLIM_INFINITY, |more| (pages * 4096 + more) as libc::rlim_t);
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel reads one limit.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) == 0 }
}

#[test]
fn threads_bear_the_runtimes_name() {
    let runtime = Builder::new_current_thread().name("front").build().unwrap();
    let call = runtime.spawn_blocking(|| thread::current().name().map(str::to_owned));
    assert_eq!(runtime.block_on(call).unwrap().as_deref(), Some("front-blocking"));
}

#[test]
fn a_thread_that_just_leaves_loses_no_call() {
    let _watchdog = watchdog();
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(2)
        .thread_keep_alive(Duration::from_nanos(1))
        .build()
        .unwrap();
    runtime.block_on(async {
        for round in common::in_time(common::rounds(20_000, 3_000, 20)) {
            assert_eq!(spawn_blocking(move || round).await.unwrap(), round);
        }
    });
}

/// `Duration::MAX` means that idle threads never end.
#[test]
fn a_thread_may_stay_for_ever() {
    let _watchdog = watchdog();
    for keep_alive in [Duration::MAX, Duration::from_secs(1 << 40), Duration::ZERO] {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(1)
            .thread_keep_alive(keep_alive)
            .timer_slack(keep_alive)
            .build()
            .unwrap();
        runtime.block_on(async {
            for round in 0..3 {
                let call = spawn_blocking(move || (thread::current().id(), round));
                assert_eq!(call.await.unwrap().1, round);
                // The thread is idle by then.
                thread::sleep(Duration::from_millis(1));
            }
        });
        runtime.shutdown_timeout(Duration::MAX);
    }
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and counts its threads")]
fn no_thread_is_started_unless_asked_for() {
    in_child(|| {
        let before = threads();
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let by_number = TcpListener::bind(("::1", 0)).await;
            let server = spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"hello").await.unwrap();
                listener
            });
            // The address is given as text, but it is an address, so no resolver is asked.
            let address = "127.0.0.1:9";
            drop(TcpStream::connect(address).await);
            assert_eq!(runtime::net::lookup_host("[::1]:80").await.unwrap().count(), 1);
            server.abort();
            assert!(server.await.is_err());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let accepting = spawn(async move { listener.accept().await.unwrap().0 });
            let mut client = TcpStream::connect(&address).await.unwrap();
            accepting.await.unwrap().write_all(b"hello").await.unwrap();
            client.read_exact(&mut [0; 5]).await.unwrap();
            time::sleep(Duration::from_millis(1)).await;
            assert!(time::timeout(Duration::from_micros(10), std::future::pending::<()>()).await.is_err());
            Handle::current().spawn(async {}).await.unwrap();
            yield_times(10).await;
            drop(by_number);
            assert_eq!(threads(), before, "nobody asked for a thread");
            spawn_blocking(|| {}).await.unwrap();
            assert_eq!(threads(), before + 1, "now somebody has");
            for _ in 0..10 {
                spawn_blocking(|| {}).await.unwrap();
                // The thread is idle again a moment after it has left its result.
                thread::sleep(Duration::from_millis(1));
            }
            assert!(threads() <= before + 2, "one at a time takes no thread for each");
        });
        runtime.shutdown_timeout(Duration::from_secs(20));
        assert_eq!(threads_come_to(before), before, "idle threads leave with their runtime");
        let brief =
            Builder::new_current_thread().thread_keep_alive(Duration::from_millis(1)).build().unwrap();
        brief.block_on(async {
            spawn_blocking(|| {}).await.unwrap();
            until(|| threads() == before).await;
        });
    });
}
