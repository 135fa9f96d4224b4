//! Law: a loop of another kind can drive the runtime. Nothing that happens between two turns is missed, neither by an
//! edge-triggered host nor by a level-triggered one; and neither of the two keeps the other from running.
#![cfg(not(miri))] // Miri has no nested epoll.

mod common;

use common::host::{AT_LAST, Host, NOW, spawn_reader, std_pair as pair};
use common::selectors::{READ, Seen, Watch, laws, only};
use common::{Count, CountOnDrop, HOUR, Trace, ms, paused, poll_once, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::UnixStream;
use runtime::selector::Kind;
use runtime::task::{spawn_blocking, yield_now};
use runtime::time::{self, sleep};
use runtime::{Builder, Handle, Runtime, spawn};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::io::{ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

laws! {
    everything_that_other_threads_do_ends_the_wait_of_the_host
    messages_before_the_first_turn_and_after_block_on_are_heard
    sockets_are_served_although_the_host_turns_rarely
    a_direction_that_is_armed_again_is_served
    a_message_makes_the_descriptor_readable_until_the_next_turn
    an_idle_guest_costs_nothing
    a_signal_is_reported
    timers_end_the_wait_of_the_host
    the_descriptor_belongs_to_the_kinds_that_have_one
}

fn guest(kind: Kind) -> Runtime {
    Builder::new_current_thread().selector(kind).build().unwrap()
}

fn everything_that_other_threads_do_ends_the_wait_of_the_host(kind: Kind) {
    for mut host in Host::both(|| guest(kind)) {
        let (handle, done) = (host.runtime.handle().clone(), Arc::new(AtomicUsize::new(0)));
        let (waker_sender, waker_receiver) = mpsc::channel();
        let woken = Rc::new(Cell::new(0));
        let count = woken.clone();
        let waiting = host.runtime.spawn(poll_fn(move |cx| {
            count.set(count.get() + 1);
            waker_sender.send(cx.waker().clone()).unwrap();
            Poll::<()>::Pending
        }));
        host.settle();
        let aborted = waiting.abort_handle();
        for round in 1..200 {
            let waker = waker_receiver.recv().unwrap();
            let (handle, done) = (handle.clone(), done.clone());
            let thread = thread::spawn(move || {
                // Half of the messages are sent while the host waits.
                if round % 2 == 0 {
                    thread::sleep(Duration::from_micros(300));
                }
                waker.wake();
                drop(handle.spawn(async move { done.fetch_add(1, SeqCst) }));
            });
            host.until(|| woken.get() == round + 1);
            thread.join().unwrap();
        }
        host.until(|| done.load(SeqCst) == 199);
        thread::spawn(move || aborted.abort()).join().unwrap();
        host.until(|| waiting.is_finished());
        let called = host.runtime.spawn(async { spawn_blocking(|| thread::sleep(ms(5))).await.unwrap() });
        host.until(|| called.is_finished());
    }
}

fn messages_before_the_first_turn_and_after_block_on_are_heard(kind: Kind) {
    for mut host in Host::both(|| guest(kind)) {
        for round in 0..20 {
            let (handle, done) = (host.runtime.handle().clone(), Arc::new(AtomicUsize::new(0)));
            let is_done = done.clone();
            let thread = thread::spawn(move || {
                thread::sleep(ms(1));
                drop(handle.spawn(async move { done.fetch_add(1, SeqCst) }));
            });
            host.until(|| is_done.load(SeqCst) == 1);
            thread.join().unwrap();
            assert_eq!(host.runtime.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
            if round % 2 == 0 {
                let _guard = host.runtime.enter();
                let task = spawn(yield_now());
                assert!(host.runtime.next_deadline().unwrap() <= Instant::now());
                host.until(|| task.is_finished());
            }
        }
        host.settle();
        assert_eq!(host.runtime.next_deadline(), None);
    }
}

fn sockets_are_served_although_the_host_turns_rarely(kind: Kind) {
    for mut host in Host::both(|| guest(kind)) {
        let (server, mut client) = pair();
        let read = Count::default();
        spawn_reader(&host.runtime, server, &read);
        host.settle();
        for round in 1..=100 {
            client.write_all(b"x").unwrap();
            // An event is answered within the turn that collects it.
            let turns = host.waits;
            host.until(|| read.get() == round);
            assert_eq!(host.waits, turns + 1);
        }
        drop(client);
        let handle = host.runtime.handle().clone();
        host.until(|| handle.metrics().num_alive_tasks() == 0);
    }
}

/// A level-triggered selector stops watching a direction that no task waits for. If data arrive before a task waits
/// again, the kernel does not announce them to an edge-triggered host, since the other direction is still watched.
fn a_direction_that_is_armed_again_is_served(kind: Kind) {
    for mut host in Host::both(|| guest(kind)) {
        let (server, mut client) = pair();
        let (gate, mut opener) = pair();
        let read = Count::default();
        let (counted, mut writer) = (read.clone(), client.try_clone().unwrap());
        drop(host.runtime.spawn(async move {
            let stream = UnixStream::from_std(server).unwrap();
            let mut gate = UnixStream::from_std(gate).unwrap();
            let mut buffer = [0; 16];
            // From here on, both directions are watched, and a task waits only for the second one.
            let (mut stream, mut other) = stream.into_split();
            assert!(poll_once(stream.readable()).await.is_none());
            drop(spawn(async move { while other.write(&[0; 65536]).await.is_ok() {} }));
            gate.read_exact(&mut [0]).await.unwrap();
            // This event has come with that of the gate.
            assert_eq!(poll_once(stream.read(&mut buffer)).await.unwrap().unwrap(), 1);
            writer.write_all(b"y").unwrap();
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 1);
            counted.add();
        }));
        host.settle();
        client.write_all(b"x").unwrap();
        opener.write_all(b"g").unwrap();
        host.until(|| read.get() == 1);
    }
}

/// The host never asks for the next deadline, and no descriptor is registered.
fn a_message_makes_the_descriptor_readable_until_the_next_turn(kind: Kind) {
    let runtime = guest(kind);
    let Ok(fd) = runtime.selector_fd() else { return };
    let mut watch = Watch::new(Kind::Poll);
    watch.register(fd, 1, READ);
    for round in 0..10 {
        assert!(watch.now().is_empty(), "after {round} rounds");
        let handle = runtime.handle().clone();
        let task = thread::spawn(move || handle.spawn(async {})).join().unwrap();
        assert_eq!(watch.now(), only(1, Seen::READABLE), "after {round} rounds");
        runtime.turn(NOW);
        assert!(task.is_finished());
        if round % 3 == 0 {
            runtime.block_on(yield_now());
        }
    }
}

fn an_idle_guest_costs_nothing(kind: Kind) {
    for mut host in Host::both(|| guest(kind)) {
        let (server, _client) = pair();
        let read = Count::default();
        spawn_reader(&host.runtime, server, &read);
        let _later = host.runtime.spawn(sleep(HOUR));
        // A message whose notification comes late must not keep the descriptor readable.
        let handle = host.runtime.handle().clone();
        thread::spawn(move || drop(handle.spawn(async {}))).join().unwrap();
        host.settle();
        let (turns, cpu) = (host.runtime.metrics().turns, common::selectors::thread_cpu_time());
        let start = Instant::now();
        while let Some(left) = Duration::from_secs(2).checked_sub(start.elapsed()) {
            host.step(left);
        }
        let turns = host.runtime.metrics().turns - turns;
        let cpu = common::selectors::thread_cpu_time() - cpu;
        assert!(turns <= 5, "{turns} turns");
        assert!(cpu < ms(10), "{cpu:?}");
    }
}

fn a_signal_is_reported(kind: Kind) {
    use runtime::signal::unix::{SignalKind, signal};
    for mut host in Host::both(|| guest(kind)) {
        let task = {
            let _guard = host.runtime.enter();
            let mut signals = signal(SignalKind::user_defined2()).unwrap();
            spawn(async move { signals.recv().await })
        };
        host.settle();
        common::selectors::raise(SignalKind::user_defined2().as_raw_value());
        host.until(|| task.is_finished());
    }
}

fn timers_end_the_wait_of_the_host(kind: Kind) {
    for mut host in Host::both(|| guest(kind)) {
        let start = Instant::now();
        let task = host.runtime.spawn(async {
            for _ in 0..10 {
                sleep(ms(3)).await;
            }
        });
        host.until(|| task.is_finished());
        assert!(start.elapsed() >= ms(30));
        assert!(host.waits <= 50, "{} waits", host.waits);
    }
}

fn the_descriptor_belongs_to_the_kinds_that_have_one(kind: Kind) {
    let runtime = guest(kind);
    let has_one = !matches!(kind, Kind::Poll | Kind::Select);
    match runtime.selector_fd() {
        Ok(_) => assert!(has_one),
        Err(error) => {
            assert_eq!((has_one, error.kind()), (false, ErrorKind::Unsupported));
            assert!(error.to_string().contains(kind.name()), "{error}");
        }
    }
}

#[test]
fn a_turn_ends_soon_whatever_the_tasks_do() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let polls = Count::default();
    for _ in 0..100 {
        let polls = polls.clone();
        drop(runtime.spawn(async move {
            loop {
                polls.add();
                yield_now().await;
            }
        }));
    }
    let (server, mut client) = pair();
    let read = Count::default();
    spawn_reader(&runtime, server, &read);
    let mut shortest = HOUR;
    for round in 1..=50 {
        client.write_all(b"x").unwrap();
        let start = Instant::now();
        // A timeout that is not zero makes no difference: there is no wait while a task is ready.
        runtime.turn(if round % 2 == 0 { NOW } else { None });
        shortest = shortest.min(start.elapsed());
        assert!(runtime.next_deadline().unwrap() <= Instant::now());
        // The reader is served besides them.
        if round > 2 {
            assert!(read.get() >= round - 2, "{} of {round}", read.get());
        }
    }
    // The shortest, since the machine may be busy: a guest that starves its host would take forever each time.
    assert!(shortest < ms(5), "{shortest:?}");
    assert!(polls.get() >= 50);
}

#[test]
fn the_wait_of_a_turn_ends_with_its_timeout() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let runtime = guest(*kind);
        let task = runtime.spawn(sleep(HOUR));
        let start = Instant::now();
        runtime.turn(Some(ms(20)));
        assert!(start.elapsed() >= ms(20) && start.elapsed() < AT_LAST);
        assert!(!task.is_finished());
        // Without a limit, it ends with a timer.
        let soon = runtime.spawn(sleep(ms(20)));
        while !soon.is_finished() {
            runtime.turn(None);
        }
        assert!(start.elapsed() >= ms(40));
        let metrics = runtime.metrics();
        assert!(metrics.turns <= 5, "{metrics:?}");
    }
}

#[test]
fn a_turn_within_a_turn_is_refused() {
    let _watchdog = watchdog();
    let refused = |call: fn(&Runtime)| {
        let runtime = Rc::new(Runtime::new().unwrap());
        let inner = runtime.clone();
        let attempt = async move {
            let payload = catch_unwind(AssertUnwindSafe(|| call(&inner))).unwrap_err();
            payload.downcast_ref::<&str>().map_or_else(
                || payload.downcast_ref::<String>().cloned().unwrap(),
                |message| (*message).to_owned(),
            )
        };
        let task = runtime.spawn(attempt);
        runtime.turn(NOW);
        assert!(task.is_finished());
        runtime.block_on(task).unwrap()
    };
    assert!(refused(|runtime| runtime.turn(NOW)).starts_with("turn inside a runtime"));
    assert!(refused(|runtime| runtime.block_on(async {})).starts_with("block_on inside a runtime"));
    let runtime = Runtime::new().unwrap();
    let other = Runtime::new().unwrap();
    runtime.block_on(async {
        let refused = catch_unwind(AssertUnwindSafe(|| other.turn(NOW)));
        assert!(refused.is_err());
        // To ask is allowed, and does no harm to the loop that turns.
        assert!(runtime.next_deadline().is_none());
        sleep(ms(1)).await;
    });
    assert!(runtime.metrics().turns <= 5, "it slept: {:?}", runtime.metrics());
}

#[test]
fn the_panic_of_a_task_is_contained() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let panics = runtime.spawn(async { common::panic_quietly("oh") });
    let other = runtime.spawn(async { 7 });
    runtime.turn(NOW);
    assert!(panics.is_finished());
    assert_eq!(runtime.block_on(other).unwrap(), 7);
    assert!(runtime.block_on(panics).unwrap_err().is_panic());

    let mut builder = Builder::new_current_thread();
    let runtime = builder.unhandled_panic(runtime::runtime::UnhandledPanic::ShutdownRuntime).build().unwrap();
    drop(runtime.spawn(async { common::panic_quietly("oh") }));
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| runtime.turn(NOW))).is_err());
        assert!(runtime.selector_fd().is_err());
        assert_eq!(runtime.next_deadline(), None);
    }
}

#[test]
fn a_runtime_that_is_dropped_between_turns_drops_its_tasks() {
    let _watchdog = watchdog();
    let drops = Count::default();
    let runtime = Runtime::new().unwrap();
    for _ in 0..10 {
        let dropped = CountOnDrop(drops.clone());
        drop(runtime.spawn(async move {
            let _dropped = dropped;
            pending::<()>().await;
        }));
        runtime.turn(NOW);
    }
    let handle = runtime.handle().clone();
    drop(runtime);
    assert_eq!(drops.get(), 10);
    assert!(handle.is_closed());
}

#[test]
fn a_paused_clock_moves_in_turns() {
    let _watchdog = watchdog();
    let (runtime, trace) = (paused(), Trace::default());
    let wrote = trace.clone();
    let task = runtime.spawn(async move {
        let start = time::Instant::now();
        for _ in 0..3 {
            sleep(HOUR).await;
            wrote.push(format!("{} h", start.elapsed().as_secs() / 3600));
        }
    });
    while !task.is_finished() {
        assert!(runtime.next_deadline().unwrap() <= Instant::now());
        runtime.turn(NOW);
    }
    assert_eq!(trace.take(), ["1 h", "2 h", "3 h"]);
    assert_eq!(runtime.next_deadline(), None);
}

/// While a socket may answer, a paused clock moves only after a time, in however many turns that passes.
#[test]
fn the_grace_of_a_paused_clock_is_kept_across_turns() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let with_grace = |grace: Duration| {
            let mut builder = Builder::new_current_thread();
            builder.selector(*kind).start_paused(true).auto_advance_grace(grace).build().unwrap()
        };
        let (runtime, read) = (with_grace(HOUR), Count::default());
        let (server, mut client) = pair();
        spawn_reader(&runtime, server, &read);
        let task = runtime.spawn(sleep(HOUR));
        runtime.turn(NOW);
        runtime.turn(NOW);
        assert!(runtime.next_deadline().unwrap() > Instant::now() + HOUR / 2, "the grace has begun");
        client.write_all(b"x").unwrap();
        runtime.turn(NOW);
        assert_eq!((read.get(), task.is_finished()), (1, false), "real events come first");

        let (runtime, start) = (with_grace(ms(10)), Instant::now());
        let (server, _client) = pair();
        spawn_reader(&runtime, server, &read);
        let task = runtime.spawn(sleep(HOUR));
        while !task.is_finished() {
            runtime.turn(NOW);
        }
        assert!(start.elapsed() >= ms(10), "{:?}", start.elapsed());
    }
}

#[test]
fn hooks_are_called_only_around_a_sleep() {
    let _watchdog = watchdog();
    let calls = Arc::new(AtomicUsize::new(0));
    let (parks, unparks) = (calls.clone(), calls.clone());
    let runtime = Builder::new_current_thread()
        .on_thread_park(move || assert_eq!(parks.fetch_add(1, SeqCst) % 2, 0))
        .on_thread_unpark(move || assert_eq!(unparks.fetch_add(1, SeqCst) % 2, 1))
        .build()
        .unwrap();
    runtime.turn(NOW);
    assert_eq!(calls.load(SeqCst), 0);
    runtime.turn(Some(ms(1)));
    assert_eq!(calls.load(SeqCst), 2);
}

#[test]
fn tasks_see_their_runtime_in_a_turn_and_not_after_it() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let id = runtime.handle().id();
    let task = runtime.spawn(async move {
        assert_eq!(Handle::current().id(), id);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.write_all(b"x").await.unwrap();
        let mut byte = [0];
        other.read_exact(&mut byte).await.unwrap();
        spawn_blocking(move || byte[0]).await.unwrap()
    });
    while !task.is_finished() {
        runtime.turn(None);
        assert!(Handle::try_current().is_err());
    }
    assert_eq!(runtime.block_on(task).unwrap(), b'x');
}

/// The host asks from within the loop of another runtime, and waits after that.
#[test]
fn messages_are_heard_although_another_runtime_has_turned_when_the_host_asked() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let (runtime, other) = (guest(*kind), Runtime::new().unwrap());
        let Ok(fd) = other.block_on(async { runtime.selector_fd() }) else { continue };
        let mut watch = Watch::new(Kind::Poll);
        watch.register(fd, 1, READ);
        let handle = runtime.handle().clone();
        let task = thread::spawn(move || handle.spawn(async {})).join().unwrap();
        assert_eq!(watch.now(), only(1, Seen::READABLE));
        runtime.turn(NOW);
        assert!(task.is_finished());
    }
}

/// A task, timer or socket that is always ready neither keeps a turn from returning nor the others from being served.
#[test]
fn a_turn_ends_soon_whatever_is_always_ready() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let runtime = guest(*kind);
        let rounds: [Count; 3] = Default::default();
        for (count, pause) in rounds.iter().zip([Duration::ZERO, Duration::from_nanos(1)]) {
            let count = count.clone();
            drop(runtime.spawn(async move {
                loop {
                    sleep(pause).await;
                    count.add();
                }
            }));
        }
        let (one, other) = pair();
        let read = rounds[2].clone();
        drop(runtime.spawn(async move {
            let mut one = UnixStream::from_std(one).unwrap();
            while one.write_all(&[0; 512]).await.is_ok() {}
        }));
        drop(runtime.spawn(async move {
            let mut other = UnixStream::from_std(other).unwrap();
            while other.read(&mut [0; 16]).await.unwrap() > 0 {
                read.add();
            }
        }));
        let (mut shortest, mut before) = (HOUR, [0; 3]);
        for _ in 0..20 {
            let turn = Instant::now();
            runtime.turn(None);
            shortest = shortest.min(turn.elapsed());
            runtime.turn(NOW);
            let now = [0, 1, 2].map(|index| rounds[index].get());
            assert!((0..3).all(|index| now[index] > before[index]), "{kind}: {before:?}, then {now:?}");
            before = now;
        }
        // The shortest, since the machine may be busy.
        assert!(shortest < ms(5), "{kind}: {shortest:?}");
    }
}

/// The tasks that run before the wait may do what the caller waits for, and then no event may come.
#[test]
fn an_unlimited_wait_does_not_follow_a_task_that_has_just_ended() {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        let runtime = guest(*kind);
        let task = runtime.spawn(async {});
        while !task.is_finished() {
            runtime.turn(None);
        }
        let flag = Count::default();
        let (set, stays) = (flag.clone(), runtime.spawn(pending::<()>()));
        drop(runtime.spawn(async move {
            set.add();
            pending::<()>().await;
        }));
        while flag.get() == 0 {
            runtime.turn(None);
        }
        stays.abort();
        while !stays.is_finished() {
            runtime.turn(None);
        }
    }
}
