//! The panics of tasks: a runtime that shuts down because of one, and reports of panics that nobody has read.

mod common;

use common::{Count, CountOnDrop, OnDrop, watchdog};
use runtime::Runtime;
use runtime::runtime::{Builder, UnhandledPanic};
use runtime::task::{JoinSet, spawn_blocking, yield_now};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};

const MESSAGE: &str = "a spawned task panicked and the runtime is configured to shut down on unhandled panic";

fn shutting_down() -> Runtime {
    Builder::new_current_thread().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap()
}

/// Runs the loop until it panics, and returns the message.
fn message(runtime: &Runtime, future: impl Future<Output = ()>) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| runtime.block_on(future))).unwrap_err();
    *payload
        .downcast::<String>()
        .unwrap_or_else(|payload| Box::new((*payload.downcast::<&str>().expect("a message")).to_owned()))
}

fn waits(dropped: &Count) -> impl Future<Output = ()> + 'static {
    let guard = CountOnDrop(dropped.clone());
    async move {
        let _guard = guard;
        pending::<()>().await;
    }
}

#[test]
fn the_panic_of_a_task_drops_all_tasks_and_is_a_panic_of_block_on() {
    let _watchdog = watchdog();
    let (runtime, dropped, polled) = (shutting_down(), Count::default(), Count::default());
    let mut handles = vec![runtime.spawn(waits(&dropped))];
    let panicking = runtime.spawn(async { panic!("expected") });
    let late = polled.clone();
    handles.push(runtime.spawn(async move { _ = late.add() }));
    handles.push(runtime.spawn(waits(&dropped)));
    assert_eq!(message(&runtime, pending()), MESSAGE);
    assert_eq!((dropped.get(), polled.get()), (2, 0), "no other task runs after the panic");
    assert_eq!(runtime.metrics().num_alive_tasks, 0);
    assert!(runtime.handle().is_closed() && panicking.is_finished());
    assert!(handles.iter().all(|handle| handle.is_finished()));
    // Handles that outlive the shutdown count as those of a runtime that has been dropped.
    runtime::block_on(async {
        for handle in handles {
            assert!(handle.await.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_runtime_that_has_shut_down_runs_nothing_any_more() {
    let _watchdog = watchdog();
    let (runtime, dropped) = (shutting_down(), Count::default());
    drop(runtime.spawn(async { panic!("expected") }));
    message(&runtime, pending());
    let late = runtime.spawn(waits(&dropped));
    assert_eq!((dropped.get(), late.is_finished()), (1, true), "dropped at once");
    assert_eq!(message(&runtime, async {}), MESSAGE);
    let remote = runtime.handle().spawn(async {});
    assert!(runtime::block_on(remote).unwrap_err().is_cancelled());
    drop(runtime);
    assert_eq!(runtime::block_on(async { 1 }), 1);
}

#[test]
fn a_task_that_another_thread_has_spawned_shuts_the_runtime_down_too() {
    let _watchdog = watchdog();
    let runtime = shutting_down();
    let remote = runtime.handle().spawn(async { panic!("expected") });
    assert_eq!(message(&runtime, pending()), MESSAGE);
    assert!(runtime::block_on(remote).unwrap_err().is_panic(), "the handle has its error nevertheless");
}

#[test]
fn what_is_not_the_panic_of_a_task_shuts_nothing_down() {
    let _watchdog = watchdog();
    let runtime = shutting_down();
    runtime.block_on(async {
        assert!(spawn_blocking(|| panic!("expected")).await.unwrap_err().is_panic());
        let aborted = runtime::spawn(pending::<()>());
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
    });
    assert_eq!(message(&runtime, async { panic!("of the main future") }), "of the main future");
    assert_eq!(runtime.block_on(async { 7 }), 7);
}

#[test]
fn tasks_that_are_spawned_by_the_drops_of_a_shutdown_are_dropped() {
    let _watchdog = watchdog();
    let (runtime, dropped) = (shutting_down(), Count::default());
    let spawns = OnDrop::new({
        let dropped = dropped.clone();
        move || drop(runtime::spawn(waits(&dropped)))
    });
    runtime.spawn(async move {
        let _guard = spawns;
        pending::<()>().await;
    });
    drop(runtime.spawn(async { panic!("expected") }));
    message(&runtime, pending());
    assert_eq!(dropped.get(), 1);
}

#[test]
fn by_default_a_panic_ends_only_its_task() {
    let _watchdog = watchdog();
    let runtime = Builder::new_current_thread().unhandled_panic(UnhandledPanic::Ignore).build().unwrap();
    let panicking = runtime.spawn(async { panic!("expected") });
    let going_on = runtime.spawn(async { 7 });
    runtime.block_on(async {
        assert!(panicking.await.unwrap_err().is_panic());
        assert_eq!(going_on.await.unwrap(), 7);
    });
}

/// A runtime that reports panics, and the reports.
fn reporting() -> (Runtime, Arc<Mutex<Vec<String>>>) {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let sink = reports.clone();
    let builder = &mut Builder::new_current_thread();
    builder.on_unread_panic(move |error| {
        sink.lock().unwrap().push(error.to_string());
        panic!("a panic of the function is caught");
    });
    (builder.build().unwrap(), reports)
}

#[test]
fn a_panic_is_reported_if_its_handle_was_dropped_before_or_after() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting();
    runtime.block_on(async {
        let before = runtime::spawn(async { panic!("before") });
        let after = runtime::spawn(async { panic!("after") });
        let ids = [before.id(), after.id()];
        drop(before);
        yield_now().await;
        let report = |at: usize, name: &str| format!("task {} panicked with message {name:?}", ids[at]);
        assert_eq!(*reports.lock().unwrap(), [report(0, "before")]);
        drop(after);
        assert_eq!(*reports.lock().unwrap(), [report(0, "before"), report(1, "after")]);
    });
}

#[test]
fn a_panic_that_is_read_and_a_task_that_is_aborted_are_not_reported() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting();
    runtime.block_on(async {
        assert!(runtime::spawn(async { panic!("read") }).await.unwrap_err().is_panic());
        runtime::spawn(pending::<()>()).abort();
        let mut set = JoinSet::new();
        set.spawn(async { panic!("read from the set") });
        assert!(set.join_next().await.unwrap().is_err());
        let remote = runtime::Handle::current().spawn(async { panic!("read from afar") });
        assert!(remote.await.unwrap_err().is_panic());
        drop(runtime::spawn(async { Rc::new("output") }));
        yield_now().await;
    });
    drop(runtime);
    assert!(reports.lock().unwrap().is_empty(), "{reports:?}");
}

#[test]
fn panics_of_blocking_calls_and_of_tasks_from_elsewhere_are_reported_once() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting();
    runtime.block_on(async {
        let call = spawn_blocking(|| panic!("call"));
        let remote = runtime::Handle::current().spawn(async { panic!("remote") });
        while !call.is_finished() || !remote.is_finished() {
            yield_now().await;
        }
        assert!(reports.lock().unwrap().is_empty());
        drop(call);
        drop(remote);
        assert_eq!(reports.lock().unwrap().len(), 2);
        drop(runtime::Handle::current().spawn(async { panic!("dropped before") }));
        let (sender, receiver) = mpsc::channel::<()>();
        drop(spawn_blocking(move || {
            let _ = receiver.recv();
            panic!("dropped before");
        }));
        drop(sender);
        while reports.lock().unwrap().len() < 4 {
            yield_now().await;
        }
    });
    drop(runtime);
    assert_eq!(reports.lock().unwrap().len(), 4);
}

#[test]
fn the_panic_of_a_drop_and_of_the_members_of_a_set_are_reported() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting();
    let mut kept = None;
    runtime.block_on(async {
        let aborted = runtime::spawn(async {
            let _guard = OnDrop::new(|| panic!("drop"));
            pending::<()>().await;
        });
        let mut set = JoinSet::new();
        set.spawn(async { panic!("member") });
        yield_now().await;
        drop(set);
        assert_eq!(reports.lock().unwrap().len(), 1);
        aborted.abort();
        drop(aborted);
        kept = Some(runtime::spawn(async { panic!("kept") }));
        yield_now().await;
        assert_eq!(reports.lock().unwrap().len(), 2);
    });
    drop(runtime);
    assert_eq!(reports.lock().unwrap().len(), 3, "of a handle that outlives its runtime");
    assert!(kept.is_some_and(|handle| handle.is_finished()));
}
