//! Entering a runtime by a guard, and what a handle says about its runtime.

mod common;

use common::{Count, run, watchdog};
use runtime::runtime::{Builder, RuntimeMetrics};
use runtime::task::{LocalSet, spawn_blocking, spawn_local, yield_now};
use runtime::time::{Duration, Instant, sleep};
use runtime::{Handle, Runtime};
use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

#[test]
fn an_entered_runtime_takes_tasks_and_still_runs() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    assert!(catch_unwind(|| runtime::spawn(async {})).is_err());
    let guard = runtime.enter();
    let local = Rc::new(7);
    let task = runtime::spawn(async move { *local });
    let call = spawn_blocking(|| 8);
    assert_eq!(Handle::current().id(), runtime.handle().id());
    assert_eq!(runtime.block_on(async { task.await.unwrap() + call.await.unwrap() }), 15);
    let set = LocalSet::new();
    assert_eq!(set.block_on(&runtime, async { spawn_local(async { 9 }).await.unwrap() }), 9);
    drop(guard);
    assert!(catch_unwind(|| runtime::spawn(async {})).is_err());
    assert!(Handle::try_current().is_err());
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    let _watchdog = watchdog();
    let runtimes: [Runtime; 3] = std::array::from_fn(|_| Runtime::new().unwrap());
    let current = || Handle::try_current().ok().map(|handle| handle.id());
    let id = |at: usize| Some(runtimes[at].handle().id());
    let mut guards: Vec<_> = runtimes.iter().map(|runtime| Some(runtime.enter())).collect();
    assert_eq!(current(), id(2));
    guards[1] = None;
    assert_eq!(current(), id(2));
    // The loop of another runtime turns meanwhile, and what is entered below it stays.
    runtimes[0].block_on(async {
        assert_eq!(current(), id(0));
        guards[2] = None;
        assert_eq!(current(), id(0));
    });
    assert_eq!(current(), id(0));
    guards[0] = None;
    assert_eq!(current(), None);
}

#[test]
fn a_forgotten_guard_ends_with_its_runtime() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    std::mem::forget(runtime.enter());
    drop(runtime);
    assert!(Handle::try_current().is_err());
    assert_eq!(runtime::block_on(async { runtime::spawn(async { 1 }).await.unwrap() }), 1);
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let guard = handle.enter();
    drop(runtime);
    assert!(Handle::try_current().is_err(), "the runtime has gone before its guard");
    drop(guard);
}

#[test]
fn a_loop_does_not_turn_within_another_and_a_guard_is_not_a_loop() {
    let _watchdog = watchdog();
    let (one, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let _guard = other.enter();
    one.block_on(async {
        let _guard = other.enter();
        let nested = catch_unwind(AssertUnwindSafe(|| other.block_on(async {})));
        let message = *nested.unwrap_err().downcast::<&str>().unwrap();
        assert!(message.starts_with("block_on inside a runtime"), "{message}");
    });
    assert_eq!(one.block_on(async { 1 }) + other.block_on(async { 2 }), 3);
}

/// The guard of the other runtime is kept across polls: what belongs to the first one still works.
#[test]
fn a_task_that_enters_another_runtime_keeps_its_id_its_wakes_and_its_handles() {
    let _watchdog = watchdog();
    let (one, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let foreign = one.block_on(async {
        let task = runtime::spawn(async {
            yield_now().await;
            5
        });
        let id = runtime::spawn(async { runtime::task::id() });
        let expected = id.id();
        assert_eq!(id.await.unwrap(), expected);
        let guarded = runtime::spawn({
            let handle = other.handle().clone();
            async move {
                let own = runtime::task::id();
                let _guard = handle.enter();
                assert_eq!(runtime::task::id(), own);
                let output = task.await.unwrap();
                (output, runtime::spawn(async { 6 }))
            }
        });
        guarded.await.unwrap()
    });
    assert_eq!(foreign.0, 5);
    assert_eq!(other.block_on(foreign.1).unwrap(), 6);
}

#[test]
fn on_another_thread_a_guard_says_which_handle_is_current() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let call = thread::spawn(move || {
        let outer = handle.enter();
        assert_eq!(Handle::current().id(), handle.id());
        let message = *catch_unwind(|| runtime::spawn(async {})).unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("send it to one by Handle::spawn"), "{message}");
        // A runtime of this thread counts first.
        runtime::block_on(async { assert_ne!(Handle::current().id(), handle.id()) });
        let second = Runtime::new().unwrap();
        let inner = second.enter();
        assert_eq!(Handle::current().id(), second.handle().id());
        drop(outer);
        assert_eq!(Handle::current().id(), second.handle().id());
        drop(inner);
        assert!(Handle::try_current().is_err());
        let _guard = handle.enter();
        spawn_blocking(|| 7)
    });
    assert_eq!(runtime.block_on(call.join().unwrap()).unwrap(), 7);
}

/// In a blocking call, the handle is that of the runtime: its tasks run on the loop, while this thread waits.
#[test]
fn a_blocking_call_spawns_and_waits_through_the_current_handle() {
    run(async {
        let looping = thread::current().id();
        let call = spawn_blocking(move || {
            let own = runtime::task::id();
            let handle = Handle::current();
            let task = handle.spawn(async { (thread::current().id(), runtime::task::id()) });
            let (thread, id) = handle.block_on(async { task.await.unwrap() });
            assert_eq!(thread, looping);
            assert_ne!(id, own);
            assert_eq!(runtime::task::try_id(), Some(own));
            // A runtime of this thread's own: its main future is not a task.
            runtime::block_on(async { assert_eq!(runtime::task::try_id(), None) });
            own
        });
        let id = call.id();
        assert_eq!(call.await.unwrap(), id);
    });
}

#[test]
fn a_timeout_that_is_made_under_a_guard_counts_from_then() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    // A timer is armed, so that the loop keeps a log of its turns.
    runtime.block_on(async { drop(runtime::spawn(sleep(Duration::from_secs(60)))) });
    let guard = runtime.enter();
    let begin = Instant::now();
    let mut timeout = Box::pin(runtime::time::timeout(Duration::from_millis(1), pending::<()>()));
    while begin.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
    let is_over = poll_fn(|cx| Poll::Ready(timeout.as_mut().poll(cx).is_ready()));
    assert!(runtime.block_on(is_over), "the time before the first poll counts");
    drop(guard);
}

#[test]
fn a_handle_has_the_id_and_the_name_of_its_runtime() {
    let runtimes: Vec<Runtime> = (0..10).map(|_| Runtime::new().unwrap()).collect();
    let ids: HashSet<_> = runtimes.iter().map(|runtime| runtime.handle().id()).collect();
    assert_eq!(ids.len(), runtimes.len());
    assert_eq!(runtimes[0].handle().clone().id(), runtimes[0].handle().id());
    assert!(runtimes[0].handle().id().to_string().parse::<u64>().is_ok());
    assert_eq!(runtimes[0].handle().name(), None);
    let named = Builder::new_current_thread().name("front").build().unwrap();
    let handle = named.handle().clone();
    assert_eq!(
        thread::spawn(move || handle.name().map(str::to_owned)).join().unwrap().as_deref(),
        Some("front")
    );
}

#[test]
fn counts_are_exact_on_the_thread_of_the_runtime_and_those_of_a_turn_elsewhere() {
    let _watchdog = watchdog();
    // The loop publishes its counts when it goes to sleep. A timer of a clock that goes may end before that.
    let runtime = common::paused();
    let handle = runtime.handle().clone();
    let (question, asked) = mpsc::channel::<()>();
    let (answer, answered) = mpsc::channel::<RuntimeMetrics>();
    let elsewhere = handle.clone();
    let thread = thread::spawn(move || {
        while asked.recv().is_ok() {
            answer.send(elsewhere.metrics()).unwrap();
        }
    });
    let ask = || {
        question.send(()).unwrap();
        answered.recv().unwrap()
    };
    assert_eq!(ask(), handle.metrics(), "nothing has run");
    runtime.block_on(async {
        let tasks: Vec<_> = (0..3).map(|_| runtime::spawn(pending::<()>())).collect();
        let done = runtime::spawn(async {});
        assert_eq!(handle.metrics().num_alive_tasks(), 4);
        yield_now().await;
        assert_eq!(handle.metrics().num_alive_tasks(), 3, "a task that has ended does not count");
        sleep(Duration::from_millis(1)).await;
        let seen = ask();
        assert_eq!((seen.num_alive_tasks(), seen.num_workers()), (3, 1));
        assert!(seen.turns > 0 && seen.polls > 0 && seen.polls <= handle.metrics().polls);
        tasks[0].abort();
        yield_now().await;
        assert_eq!(handle.metrics().num_alive_tasks(), 2);
        drop((tasks, done));
    });
    // The loop does not run, so that the messages of another thread wait.
    let sender = handle.clone();
    thread::spawn(move || (0..5).for_each(|_| drop(sender.spawn(async {})))).join().unwrap();
    assert_eq!((handle.metrics().global_queue_depth(), ask().global_queue_depth()), (5, 5));
    runtime.block_on(sleep(Duration::from_millis(1)));
    assert_eq!((handle.metrics().global_queue_depth(), handle.metrics().num_alive_tasks()), (0, 2));
    drop(runtime);
    assert_eq!((ask().num_alive_tasks(), ask().io_sources), (0, 0));
    drop(question);
    thread.join().unwrap();
}

#[test]
fn tasks_that_are_refused_or_shut_down_are_not_counted() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let spawns = common::OnDrop::new(|| drop(runtime::spawn(pending::<()>())));
    runtime.spawn(async move {
        let _guard = spawns;
        pending::<()>().await;
    });
    assert_eq!(handle.metrics().num_alive_tasks(), 1);
    drop(runtime);
    assert_eq!(handle.metrics().num_alive_tasks(), 0);
}

#[test]
fn a_function_names_each_blocking_thread() {
    let _watchdog = watchdog();
    let started = std::sync::Arc::new(AtomicU32::new(0));
    let counter = started.clone();
    let name = move || match counter.fetch_add(1, Relaxed) {
        0 => "first".to_owned(),
        1 => panic!("a panic of the function is caught"),
        2 => "zero\0byte".to_owned(),
        n => format!("thread-{n}"),
    };
    let runtime = Builder::new_current_thread().name("front").thread_name_fn(name).build().unwrap();
    let (all_run, barrier) = (Count::default(), std::sync::Arc::new(std::sync::Barrier::new(4)));
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let barrier = barrier.clone();
            runtime.spawn_blocking(move || {
                barrier.wait();
                thread::current().name().unwrap().to_owned()
            })
        })
        .collect();
    let mut names = runtime.block_on(async {
        let mut names = Vec::new();
        for call in calls {
            names.push(call.await.unwrap());
            all_run.add();
        }
        names
    });
    names.sort_unstable();
    assert_eq!(names, ["first", "front-blocking", "front-blocking", "thread-3"]);
    let renamed = Builder::new_current_thread().thread_name_fn(|| "made".into()).thread_name("fixed").build();
    let renamed = renamed.unwrap();
    let name = renamed.spawn_blocking(|| thread::current().name().unwrap().to_owned());
    assert_eq!(renamed.block_on(name).unwrap(), "fixed");
}
