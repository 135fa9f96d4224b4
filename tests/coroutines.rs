//! Stackful coroutines: a call of `block_on` is suspended, and ends later, in another order than it began, or never.
//! So the guards of entered runtimes are dropped in any order too. No runtime that has been freed may be entered, and
//! no runtime may be entered once all calls have ended.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
#![forbid(unsafe_code)]

#[path = "common/process.rs"]
#[allow(dead_code, reason = "a part of it is needed here")]
mod process;
#[path = "common/watchdog.rs"]
mod watchdog;

use corosensei::{Coroutine, Yielder};
use process::exits_of_children;
use runtime::net::UnixStream;
use runtime::task::{JoinHandle, coop, try_id, yield_now};
use runtime::{Handle, Runtime, spawn, time};
use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use watchdog::{run, watchdog};

const HOUR: Duration = Duration::from_secs(3600);

type Suspended = Coroutine<(), (), ()>;

thread_local! {
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

fn keep(value: impl Any) {
    KEPT.with_borrow_mut(|kept| kept.push(Box::new(value)));
}

/// Calls a closure on drop.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `body` until it suspends itself for the first time.
fn suspended(body: impl FnOnce(&Yielder<(), ()>) + 'static) -> Suspended {
    let mut coroutine = Coroutine::new(move |yielder: &Yielder<(), ()>, ()| body(yielder));
    assert!(coroutine.resume(()).as_yield().is_some());
    coroutine
}

/// A runtime that lives on the coroutine's stack, with a call of `block_on` that suspends itself `times` times.
fn suspended_call(times: usize) -> Suspended {
    suspended(move |yielder| {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let _things = things();
            for _ in 0..times {
                yielder.suspend(());
            }
        });
    })
}

/// The fate of a coroutine that is suspended for the last time.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Resumed,
    /// The stack of the coroutine is unwound.
    Dropped,
}

const ENDS: [End; 2] = [End::Resumed, End::Dropped];

fn end(mut coroutine: Suspended, how: End) {
    if how == End::Resumed {
        assert!(coroutine.resume(()).as_return().is_some());
    }
    drop(coroutine);
}

/// Makes one of everything that belongs to the runtime that is entered.
fn things() -> impl Any {
    let mut cx = Context::from_waker(Waker::noop());
    let mut sleep = time::sleep(HOUR);
    assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
    let (one, other) = UnixStream::pair().unwrap();
    assert!(one.poll_read_ready(&mut cx).is_pending());
    let mut task = spawn(pending::<()>());
    // The poll is refused if the runtime is being dropped.
    _ = Pin::new(&mut task).poll(&mut cx);
    (sleep, one, other, task, Handle::current().spawn(pending::<()>()))
}

/// Checks that no runtime is entered, and that the next one works.
fn assert_none_is_entered() {
    assert!(Handle::try_current().is_err());
    assert!(
        (0..1000)
            .all(|_| pin!(coop::consume_budget()).poll(&mut Context::from_waker(Waker::noop())).is_ready())
    );
    assert!(coop::has_budget_remaining());
    assert!(catch_unwind(|| drop(spawn(async {}))).is_err());
    assert!(try_id().is_none());
    run(async {
        drop(things());
        time::sleep(Duration::from_millis(1)).await;
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
    });
    assert!(Handle::try_current().is_err());
}

#[test]
fn a_call_is_suspended_and_ends() {
    let _watchdog = watchdog();
    for how in ENDS {
        let coroutine = suspended_call(1);
        assert!(Handle::try_current().is_ok(), "it is entered as long as the call lasts");
        end(coroutine, how);
        assert_none_is_entered();
    }
}

/// The guard of the call is dropped below that of the runtime that is being dropped.
#[test]
fn a_call_ends_in_the_midst_of_the_drop_of_another_runtime() {
    let _watchdog = watchdog();
    for how in ENDS {
        let mut coroutine = Some(suspended_call(1));
        let other = Runtime::new().unwrap();
        let name = format!("{:?}", other.handle());
        let seen = Rc::new(Cell::new(false));
        let guard = OnDrop({
            let seen = seen.clone();
            move || {
                end(coroutine.take().unwrap(), how);
                // The other runtime is still the current one.
                let current = format!("{:?}", Handle::current());
                assert_eq!(current.split_once(',').unwrap().0, name.split_once(',').unwrap().0);
                drop(things());
                seen.set(true);
            }
        });
        drop(other.spawn(async move { drop(guard) }));
        drop(other);
        assert!(seen.get(), "{how:?}");
        assert_none_is_entered();
    }
}

/// The call goes on while the other runtime is dropped, and ends after that.
#[test]
fn a_call_goes_on_in_the_midst_of_the_drop_of_another_runtime() {
    let _watchdog = watchdog();
    for how in ENDS {
        let coroutine = Rc::new(RefCell::new(suspended_call(2)));
        let other = Runtime::new().unwrap();
        let guard = OnDrop({
            let coroutine = coroutine.clone();
            move || assert!(coroutine.borrow_mut().resume(()).as_yield().is_some())
        });
        drop(other.spawn(async move { drop(guard) }));
        drop(other);
        assert!(Handle::try_current().is_ok());
        end(Rc::into_inner(coroutine).unwrap().into_inner(), how);
        assert_none_is_entered();
    }
}

/// Each runtime is dropped by a task of the one before.
#[test]
fn a_call_ends_in_the_midst_of_the_drops_of_several_runtimes() {
    let _watchdog = watchdog();
    for how in ENDS {
        let coroutine = suspended_call(1);
        let mut innermost: Box<dyn FnOnce()> = Box::new(move || end(coroutine, how));
        let ended = Rc::new(Cell::new(0));
        for _ in 0..5 {
            let runtime = Runtime::new().unwrap();
            let (mut inner, ended) = (Some(innermost), ended.clone());
            let guard = OnDrop(move || {
                drop(things());
                inner.take().into_iter().for_each(|inner| inner());
                drop(things());
                ended.set(ended.get() + 1);
            });
            drop(runtime.spawn(async move { drop(guard) }));
            innermost = Box::new(move || drop(runtime));
        }
        innermost();
        assert_eq!(ended.get(), 5);
        assert_none_is_entered();
    }
}

#[test]
fn a_runtime_is_used_from_outside_while_its_call_is_suspended() {
    let _watchdog = watchdog();
    let runtime = Rc::new(Runtime::new().unwrap());
    let (steps, own) = (Rc::new(Cell::new(0)), runtime.clone());
    let counted = steps.clone();
    let mut coroutine = suspended(move |yielder| {
        own.block_on(async {
            let slept = spawn(time::sleep(Duration::from_millis(1)));
            yielder.suspend(());
            slept.await.unwrap();
            while counted.get() < 3 {
                yield_now().await;
            }
        });
    });
    let step = || {
        let steps = steps.clone();
        async move { steps.set(steps.get() + 1) }
    };
    let task = runtime.spawn(step());
    drop(runtime.spawn(step()));
    drop(spawn(step()));
    drop(runtime.handle().spawn(async {}));
    drop(things());
    assert!(!task.is_finished(), "nothing turns the loop");
    let caught = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async {})));
    assert!(caught.is_err(), "it is being driven");
    assert!(coroutine.resume(()).as_return().is_some());
    assert_eq!(steps.get(), 3);
    assert!(task.is_finished());
    drop(runtime);
    assert_none_is_entered();
}

/// A task awaits by suspending a stack that it owns, which is unwound when the task is dropped.
#[test]
fn a_task_awaits_on_a_stack_of_its_own() {
    let _watchdog = watchdog();
    fn await_on<F: Future>(yielder: &Yielder<Waker, ()>, waker: &mut Waker, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return output;
            }
            *waker = yielder.suspend(());
        }
    }
    fn stackful(dropped: Rc<Cell<usize>>, last: Duration) -> impl Future<Output = ()> {
        let mut coroutine = Coroutine::new(move |yielder: &Yielder<Waker, ()>, mut waker| {
            let _dropped = OnDrop(|| dropped.set(dropped.get() + 1));
            let (one, other) = UnixStream::pair().unwrap();
            let _guard = OnDrop(|| drop(things()));
            await_on(yielder, &mut waker, time::sleep(Duration::from_millis(1)));
            assert_eq!(await_on(yielder, &mut waker, spawn(async { 7 })).unwrap(), 7);
            assert_eq!(other.try_write(b"x").unwrap(), 1);
            await_on(yielder, &mut waker, one.readable()).unwrap();
            await_on(yielder, &mut waker, time::sleep(last));
        });
        poll_fn(move |cx| match coroutine.resume(cx.waker().clone()).as_return() {
            Some(()) => Poll::Ready(()),
            None => Poll::Pending,
        })
    }
    let dropped = Rc::new(Cell::new(0));
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        spawn(stackful(dropped.clone(), Duration::ZERO)).await.unwrap();
        assert_eq!(dropped.get(), 1);
        let task: JoinHandle<()> = spawn(stackful(dropped.clone(), HOUR));
        time::sleep(Duration::from_millis(2)).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(dropped.get(), 2);
        drop(spawn(stackful(dropped.clone(), HOUR)));
        time::sleep(Duration::from_millis(2)).await;
    });
    drop(runtime);
    assert_eq!(dropped.get(), 3);
    assert_none_is_entered();
}

/// The runtime is destroyed at the end of the thread, before the values that are kept of it.
#[test]
fn a_call_that_never_ends_leaves_no_destroyed_runtime_entered() {
    let _watchdog = watchdog();
    let ended = thread::spawn(|| {
        keep(OnDrop(assert_none_is_entered));
        let coroutine = suspended(|yielder| {
            RUNTIME.with(|runtime| {
                runtime.get_or_init(|| Runtime::new().unwrap()).block_on(async {
                    keep(things());
                    yielder.suspend(());
                });
            });
        });
        std::mem::forget(coroutine);
    });
    ended.join().unwrap();
}

/// The stack is unwound by the destructor of another thread-local, after the one with the runtime was destroyed.
#[test]
fn a_call_that_is_unwound_after_its_runtime_enters_nothing_that_was_freed() {
    let _watchdog = watchdog();
    let ended = thread::spawn(|| {
        keep(OnDrop(assert_none_is_entered));
        keep(suspended(|yielder| {
            RUNTIME.with(|runtime| {
                runtime.get_or_init(|| Runtime::new().unwrap()).block_on(async {
                    let _things = things();
                    yielder.suspend(());
                });
            });
        }));
    });
    ended.join().unwrap();
}

#[test]
fn a_process_exits_inside_of_a_call_or_while_it_is_suspended() {
    let ends = exits_of_children(&["inside", "outside"], |place| {
        keep(OnDrop(assert_none_is_entered));
        let coroutine = suspended(move |yielder| {
            RUNTIME.with(|runtime| {
                runtime.get_or_init(|| Runtime::new().unwrap()).block_on(async {
                    keep(things());
                    if place == "inside" {
                        std::process::exit(7);
                    }
                    yielder.suspend(());
                });
            });
        });
        std::mem::forget(coroutine);
        std::process::exit(7);
    });
    for end in ends {
        assert_eq!(end.code(), Some(7), "{end}");
    }
}
