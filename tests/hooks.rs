//! The hooks of the builder: blocking threads call them when they begin and end, and the loop calls them around its
//! sleep.

mod common;

use common::attempts::holds_once;
use common::subjects::Gate;
use common::watchdog;
use runtime::task::{spawn_blocking, yield_now};
use runtime::{Builder, Handle, time};
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

type Counter = Arc<AtomicUsize>;

fn add(counter: &Counter) -> impl Fn() + Send + Sync + 'static {
    let counter = counter.clone();
    move || _ = counter.fetch_add(1, SeqCst)
}

#[test]
fn a_blocking_thread_calls_when_it_begins_and_before_it_ends() {
    let _watchdog = watchdog();
    let (started, stopped) = (Counter::default(), Counter::default());
    let runtime = Builder::new_current_thread()
        .on_thread_start(add(&started))
        .on_thread_stop(add(&stopped))
        .thread_name("calls")
        .thread_stack_size(256 << 10)
        .build()
        .unwrap();
    assert_eq!(started.load(SeqCst), 0, "no thread unless asked");
    let counted = started.clone();
    let seen = runtime.block_on(async {
        spawn_blocking(move || (counted.load(SeqCst), thread::current().name().map(str::to_owned))).await
    });
    assert_eq!(seen.unwrap(), (1, Some("calls".to_owned())));
    assert_eq!(stopped.load(SeqCst), 0);
    drop(runtime);
    while stopped.load(SeqCst) == 0 {
        thread::yield_now();
    }
    assert_eq!((started.load(SeqCst), stopped.load(SeqCst)), (1, 1));
}

#[test]
fn a_shutdown_waits_until_the_last_hook_has_been_called() {
    let _watchdog = watchdog();
    let stopped = Counter::default();
    let counted = stopped.clone();
    let (begun, has_begun) = channel();
    let begun = Mutex::new(begun);
    let runtime = Builder::new_current_thread()
        .thread_keep_alive(Duration::ZERO)
        .on_thread_stop(move || {
            begun.lock().unwrap().send(()).unwrap();
            // A hook that does not wait has returned by then.
            thread::sleep(Duration::from_millis(50));
            counted.fetch_add(1, SeqCst);
        })
        .build()
        .unwrap();
    runtime.block_on(async { spawn_blocking(|| {}).await.unwrap() });
    has_begun.recv().unwrap();
    runtime.shutdown_timeout(Duration::from_secs(3600));
    assert_eq!(stopped.load(SeqCst), 1);
}

/// The thread that runs its last hook cannot make the call.
#[test]
fn a_call_does_not_wait_for_a_thread_that_calls_its_last_hook() {
    let _watchdog = watchdog();
    let (begun, has_begun) = channel();
    let (release, released) = channel::<()>();
    let (begun, released) = (Mutex::new(begun), Mutex::new(released));
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::ZERO)
        .on_thread_stop(move || {
            begun.lock().unwrap().send(()).unwrap();
            _ = released.lock().unwrap().recv();
        })
        .build()
        .unwrap();
    runtime.block_on(async { spawn_blocking(|| {}).await.unwrap() });
    has_begun.recv().unwrap();
    assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 7)).unwrap(), 7);
    drop(release);
    runtime.shutdown_timeout(Duration::from_secs(3600));
}

#[test]
fn a_hook_of_a_blocking_thread_that_panics_costs_no_call() {
    let _watchdog = watchdog();
    let runtime = Builder::new_current_thread()
        .on_thread_start(|| panic!("begins badly"))
        .on_thread_stop(|| panic!("ends badly"))
        .thread_keep_alive(Duration::ZERO)
        .build()
        .unwrap();
    runtime.block_on(async {
        for n in 0..10 {
            assert_eq!(spawn_blocking(move || n).await.unwrap(), n);
        }
    });
}

#[test]
fn the_loop_calls_before_and_after_it_sleeps_and_not_while_it_works() {
    let _watchdog = watchdog();
    let (parked, unparked) = (Counter::default(), Counter::default());
    let runtime = Builder::new_current_thread()
        .on_thread_park(add(&parked))
        .on_thread_unpark(add(&unparked))
        .build()
        .unwrap();
    let counts = || (parked.load(SeqCst), unparked.load(SeqCst));
    runtime.block_on(async {
        for _ in 0..1000 {
            yield_now().await;
        }
    });
    assert_eq!(counts(), (0, 0));
    while counts().0 < 4 {
        // The timer may end before the loop sleeps.
        runtime.block_on(time::sleep(Duration::from_millis(1)));
        let (parks, unparks) = counts();
        assert_eq!(parks, unparks);
    }
    // The loop moves a paused clock, and sleeps for that as well.
    let paused =
        Builder::new_current_thread().start_paused(true).on_thread_park(add(&parked)).build().unwrap();
    let before = counts().0;
    paused.block_on(time::sleep(Duration::from_secs(3600)));
    assert!(counts().0 > before);
}

#[test]
fn what_is_spawned_and_woken_before_the_sleep_runs_instead() {
    let _watchdog = watchdog();
    let handle: Arc<Mutex<Option<Handle>>> = Arc::default();
    let (spawned, ran) = (Counter::default(), Counter::default());
    let hook = {
        let (handle, ran) = (handle.clone(), ran.clone());
        move || {
            if spawned.fetch_add(1, SeqCst) < 3 {
                // On the runtime's own thread, without a message to itself…
                let ran = ran.clone();
                drop(runtime::spawn(async move { _ = ran.fetch_add(1, SeqCst) }));
            } else if let Some(handle) = handle.lock().unwrap().take() {
                // …and with one.
                let ran = ran.clone();
                drop(handle.spawn(async move { _ = ran.fetch_add(1, SeqCst) }));
            }
        }
    };
    let runtime = Builder::new_current_thread().on_thread_park(hook).build().unwrap();
    *handle.lock().unwrap() = Some(runtime.handle().clone());
    runtime.block_on(std::future::poll_fn(|cx| {
        if ran.load(SeqCst) == 4 {
            return std::task::Poll::Ready(());
        }
        // This future is polled whenever the loop is about to sleep for long, since nothing else is left to do.
        let waker = cx.waker().clone();
        drop(runtime::spawn(async move {
            yield_now().await;
            time::sleep(Duration::from_millis(1)).await;
            waker.wake();
        }));
        std::task::Poll::Pending
    }));
}

/// Neither a timer nor another thread would end such a sleep.
#[test]
fn a_loop_does_not_sleep_after_its_hook_has_spawned_work() {
    let _watchdog = watchdog();
    for is_spawned in [false, true] {
        let gate = Gate::default();
        let (opened, calls) = (gate.wait(), Counter::default());
        let hook = move || {
            if calls.fetch_add(1, SeqCst) == 0 {
                // A waiting task is woken by another task, or by the hook itself.
                let gate = gate.clone();
                match is_spawned {
                    true => drop(runtime::spawn(async move { gate.open() })),
                    false => gate.open(),
                }
            }
        };
        let runtime = Builder::new_current_thread().on_thread_park(hook).build().unwrap();
        runtime.block_on(opened);
    }
}

/// The loop has had no timer, and so has not read its clock, when the hook arms one.
#[test]
fn a_timer_that_is_armed_before_the_sleep_is_not_late_by_the_time_since_the_last_look() {
    let _watchdog = watchdog();
    holds_once(lateness_of_a_timer_that_a_hook_arms, |late| *late < Duration::from_millis(500));
}

fn lateness_of_a_timer_that_a_hook_arms() -> Duration {
    const LENGTH: Duration = Duration::from_millis(20);
    let armed: Arc<Mutex<Option<Pin<Box<time::Sleep>>>>> = Arc::default();
    let waits: Arc<Mutex<Option<Waker>>> = Arc::default();
    let hook = {
        let (armed, waits) = (armed.clone(), waits.clone());
        move || {
            if let Some(waker) = waits.lock().unwrap().take() {
                // A hook may also do other work that takes long.
                thread::sleep(Duration::from_millis(700));
                let mut sleep = Box::pin(time::sleep(LENGTH));
                if sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    waker.wake();
                }
                *armed.lock().unwrap() = Some(sleep);
            }
        }
    };
    let runtime = Builder::new_current_thread().on_thread_park(hook).build().unwrap();
    runtime.block_on(poll_fn(|cx| match &mut *armed.lock().unwrap() {
        None => {
            *waits.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        }
        Some(sleep) => sleep.as_mut().poll(cx).map(|()| sleep.deadline().elapsed()),
    }))
}

/// If the loop did not look at its sockets, a program whose hook spawns a task before each sleep would get no event.
#[test]
fn sockets_get_events_although_the_hook_spawns_work_each_time() {
    let _watchdog = watchdog();
    let calls = Counter::default();
    let hook = move || {
        assert!(calls.fetch_add(1, SeqCst) < 100, "it is not heard of");
        drop(runtime::spawn(async {}));
    };
    let runtime = Builder::new_current_thread().on_thread_park(hook).build().unwrap();
    runtime.block_on(async {
        let (ours, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = runtime::net::AsyncFd::new(ours).unwrap();
        io::Write::write_all(&mut other, b"x").unwrap();
        assert!(ours.readable().await.unwrap().ready().is_readable());
    });
}

/// A program that counts the sleeping loops adds one before the sleep and subtracts one after it.
#[test]
fn each_call_before_the_sleep_has_one_after_it_even_without_a_sleep() {
    let _watchdog = watchdog();
    let (parked, unparked) = (Counter::default(), Counter::default());
    let hook = {
        let (parked, unparked) = (parked.clone(), unparked.clone());
        move || {
            assert_eq!(parked.fetch_add(1, SeqCst), unparked.load(SeqCst), "never twice in a row");
            if parked.load(SeqCst) % 2 == 1 {
                drop(runtime::spawn(async {}));
            }
        }
    };
    let runtime =
        Builder::new_current_thread().on_thread_park(hook).on_thread_unpark(add(&unparked)).build().unwrap();
    for _ in 0..3 {
        runtime.block_on(time::sleep(Duration::from_millis(1)));
        assert_eq!(parked.load(SeqCst), unparked.load(SeqCst));
    }
}

/// By then the events have been taken from the kernel, which does not report them again.
#[test]
fn a_panic_of_the_hook_after_the_sleep_loses_no_wake() {
    #[derive(Default)]
    struct Foreign(AtomicUsize);
    impl std::task::Wake for Foreign {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let _watchdog = watchdog();
    let runtime = Builder::new_current_thread().on_thread_unpark(|| panic!("each time")).build().unwrap();
    let (ours, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    let woken = Arc::new(Foreign::default());
    let waits = AssertUnwindSafe(|| {
        runtime.block_on(async {
            let ours = runtime::net::AsyncFd::new(ours).unwrap();
            let waker = std::task::Waker::from(woken.clone());
            assert!(ours.poll_read_ready(&mut std::task::Context::from_waker(&waker)).is_pending());
            io::Write::write_all(&mut other, b"x").unwrap();
            std::future::pending::<()>().await;
        })
    });
    assert!(catch_unwind(waits).is_err());
    assert_eq!(woken.0.load(SeqCst), 1);
}

#[test]
fn a_panic_before_the_sleep_is_one_of_block_on() {
    let _watchdog = watchdog();
    let calls = Counter::default();
    let hook = {
        let calls = calls.clone();
        move || assert!(calls.fetch_add(1, SeqCst) != 0, "the first time")
    };
    let runtime = Builder::new_current_thread().start_paused(true).on_thread_park(hook).build().unwrap();
    let sleep = || runtime.block_on(time::sleep(Duration::from_millis(1)));
    assert!(catch_unwind(AssertUnwindSafe(sleep)).is_err());
    sleep();
}
