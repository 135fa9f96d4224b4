//! `task_local!`: values that belong to a task, and who sees them.

mod common;

use common::{OnDrop, Trace, run, watchdog};
use runtime::task::yield_now;
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Waker};

runtime::task_local! {
    /// The documentation and the visibility of a key are kept.
    pub(crate) static NUMBER: u32;
    static NAME: String
}

runtime::task_local! {}

fn number() -> Option<u32> {
    NUMBER.try_get().ok()
}

fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    payload
        .downcast_ref::<&str>()
        .map(|said| said.to_string())
        .unwrap_or_else(|| *payload.downcast::<String>().expect("a message"))
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn tasks_that_alternate_see_each_its_own_value() {
    run(async {
        let tasks: Vec<_> = (0..3)
            .map(|n| {
                runtime::spawn(NUMBER.scope(n, async move {
                    for _ in 0..5 {
                        assert_eq!(NUMBER.get(), n);
                        yield_now().await;
                        NUMBER.scope(n + 10, async { yield_now().await }).await;
                        NAME.scope(format!("{n}"), async { assert!(NAME.with(String::len) == 1) }).await;
                    }
                    assert!(NAME.try_with(|_| ()).is_err());
                }))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(number(), None);
    });
}

#[test]
fn a_cancelled_scope_is_dropped_with_its_value() {
    let _watchdog = watchdog();
    let trace = Trace::default();
    let guarded = |trace: &Trace| {
        let trace = trace.clone();
        NUMBER.scope(7, async move {
            let _guard = OnDrop::new(move || trace.push(format!("{:?}", number())));
            pending::<()>().await;
        })
    };
    NUMBER.sync_scope(1, || {
        let mut scope = Box::pin(guarded(&trace));
        assert!(poll(scope.as_mut()).is_pending());
        drop(scope);
        assert_eq!(number(), Some(1));
    });
    runtime::block_on(async {
        let task = runtime::spawn(guarded(&trace));
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
    assert_eq!(trace.take(), ["Some(7)", "Some(7)"]);
}

#[test]
fn a_future_that_is_ready_is_dropped_with_its_value() {
    let trace = Trace::default();
    let guard = OnDrop::new({
        let trace = trace.clone();
        move || trace.push(format!("{:?}", number()))
    });
    // The guard is part of the future, and not of its body, so it is dropped after the future was ready.
    let mut guard = Some(guard);
    let future = std::future::poll_fn(move |_| {
        let _ = &mut guard;
        std::task::Poll::Ready(5)
    });
    let mut scope = pin!(NUMBER.scope(3, future));
    assert!(poll(scope.as_mut()).is_ready());
    assert_eq!(trace.take(), ["Some(3)"]);
    assert_eq!(scope.as_mut().take_value(), Some(3));
    assert_eq!(scope.as_mut().take_value(), None);
    assert_eq!(format!("{scope:?}"), "TaskLocalFuture { value: <missing> }");
    assert_eq!(message(|| _ = poll(scope)), "`TaskLocalFuture` polled after completion");
}

#[test]
fn after_a_panic_the_outer_value_is_back() {
    NUMBER.sync_scope(1, || {
        assert!(catch_unwind(|| NUMBER.sync_scope(2, || panic!("expected"))).is_err());
        assert_eq!(number(), Some(1));
        let mut scope = Box::pin(NUMBER.scope(3, async { panic!("expected") }));
        assert!(catch_unwind(AssertUnwindSafe(|| poll(scope.as_mut()))).is_err());
        assert_eq!(number(), Some(1));
        assert_eq!(scope.as_mut().take_value(), Some(3), "the scope has its own value back");
    });
    assert_eq!(number(), None);
}

#[test]
fn a_scope_within_with_is_the_documented_error() {
    let said = "cannot enter a task-local scope while the task-local storage is borrowed";
    NUMBER.sync_scope(1, || {
        NUMBER.with(|_| {
            assert_eq!(message(|| NUMBER.sync_scope(2, || ())), said);
            let mut scope = pin!(NUMBER.scope(2, async {}));
            assert_eq!(message(|| _ = poll(scope.as_mut())), said);
            // Reading is not an error, and other keys are not affected.
            assert_eq!(NUMBER.get(), 1);
            NAME.sync_scope(String::new(), || ());
        });
        assert_eq!(NUMBER.sync_scope(2, || NUMBER.get()), 2);
    });
}

#[test]
fn errors_say_what_tokios_do() {
    let error = NUMBER.try_get().unwrap_err();
    assert_eq!(
        (error.to_string(), format!("{error:?}")),
        ("task-local value not set".into(), "AccessError".into())
    );
    assert_eq!(
        message(|| _ = NUMBER.get()),
        "cannot access a task-local storage value without setting it first"
    );
    assert_eq!(format!("{NUMBER:?}"), "LocalKey { .. }");
    assert_eq!(format!("{:?}", NUMBER.scope(4, async {})), "TaskLocalFuture { value: 4 }");
}

#[test]
fn a_spawned_task_has_the_value_only_if_it_is_asked_for() {
    run(NUMBER.scope(7, async {
        assert_eq!(runtime::spawn(async { number() }).await.unwrap(), None);
        let inherited = runtime::spawn(NUMBER.inherit(async { number() }));
        assert_eq!(inherited.await.unwrap(), Some(7));
        let nested = NAME.inherit(async { NAME.try_get().is_ok() });
        assert!(!runtime::spawn(nested).await.unwrap(), "no value is set, so none is inherited");
    }));
}

/// A value whose drop reads the key, a scope that is dropped with the thread-locals, and a runtime that is.
#[test]
fn the_end_of_a_thread_is_silent() {
    static DROPS: AtomicU32 = AtomicU32::new(0);
    struct Reads;
    impl Drop for Reads {
        fn drop(&mut self) {
            let _ = NUMBER.try_get();
            DROPS.fetch_add(1, SeqCst);
        }
    }
    runtime::task_local! {
        static READS: Reads;
    }
    type Kept = Pin<Box<dyn Future<Output = ()>>>;
    thread_local! {
        static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
        static RUNTIME: Cell<Option<runtime::Runtime>> = const { Cell::new(None) };
    }
    let thread = std::thread::spawn(|| {
        let scope = || {
            Box::pin(READS.scope(Reads, async {
                let _guard = Reads;
                NUMBER.scope(1, pending::<()>()).await;
            }))
        };
        KEPT.with_borrow_mut(|kept| kept.push(scope()));
        KEPT.with_borrow_mut(|kept| assert!(poll(kept[0].as_mut()).is_pending()));
        let runtime = runtime::Runtime::new().unwrap();
        runtime.spawn(scope());
        runtime.block_on(yield_now());
        RUNTIME.set(Some(runtime));
    });
    thread.join().unwrap();
    assert_eq!(DROPS.load(SeqCst), 4);
}
