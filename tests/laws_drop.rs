//! Law: where the library drops what belongs to the user, a panic in that drop ends there, and what was to
//! follow it follows.
//!
//! Every value here panics in its drop, also while another panic unwinds. Two of them dropped in a row by
//! drop glue, or one dropped while a panic unwinds, would end the process.

mod common;

use common::subjects::works;
use common::{message, panic_quietly, run, until, watchdog};
use runtime::task::{JoinError, spawn_blocking, yield_now};
use runtime::{Builder, Handle, Runtime, spawn};
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::task::{Context, Poll};

/// Counts its drop, and panics in it, whatever else is under way.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        panic_quietly("a bomb");
    }
}

/// Makes bombs, and tells how many have been dropped.
#[derive(Default)]
struct Bombs(Arc<AtomicUsize>);

impl Bombs {
    fn one(&self) -> Bomb {
        Bomb(self.0.clone())
    }

    fn dropped(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// A future that is pending for ever, and panics when it is dropped.
    fn future(&self) -> impl Future<Output = ()> + Send + use<> {
        let bomb = self.one();
        async move {
            let _bomb = bomb;
            pending().await
        }
    }
}

/// Runs `body` as it would run in a drop while a panic unwinds.
fn while_unwinding(body: impl FnOnce()) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _body = common::OnDrop::new(body);
        panic_quietly("the first panic");
    }));
    assert_eq!(message(&*caught.unwrap_err()), "the first panic");
}

fn is_bomb<T>(result: Result<T, JoinError>) -> bool {
    let payload = result.err().and_then(|error| error.try_into_panic().ok());
    payload.is_some_and(|payload| message(&*payload) == "a bomb")
}

/// As in tokio, the panic of the drop is the reason why there is no output.
#[test]
fn a_future_that_is_aborted() {
    let bombs = Bombs::default();
    run(async {
        for polls in [0, 1] {
            let local = spawn(bombs.future());
            let by_handle = Handle::current().spawn(bombs.future());
            common::yield_times(2 * polls).await;
            local.abort();
            by_handle.abort();
            assert!(is_bomb(local.await));
            assert!(is_bomb(by_handle.await));
        }
        assert_eq!(bombs.dropped(), 4);
        // The panic of the poll comes first.
        let bomb = bombs.one();
        let panics = async move {
            let _bomb = bomb;
            pending::<()>().await;
        };
        let mut panics = Box::pin(panics);
        let mut polls = 0;
        let both = poll_fn(move |cx| {
            assert!(panics.as_mut().poll(cx).is_pending());
            polls += 1;
            if polls == 2 {
                panic_quietly("in the poll");
            }
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        let error = Handle::current().spawn(both).await.unwrap_err();
        assert_eq!(message(&*error.into_panic()), "in the poll");
        assert_eq!(bombs.dropped(), 5);
        works().await;
    });
}

/// Ready at once, and panics when it is dropped.
struct ReadyBomb(Bomb);

impl Future for ReadyBomb {
    type Output = CountedOutput;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<CountedOutput> {
        Poll::Ready(CountedOutput(self.0.0.clone()))
    }
}

/// An output that counts its drop.
struct CountedOutput(Arc<AtomicUsize>);

impl Drop for CountedOutput {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_future_that_is_ready() {
    let bombs = Bombs::default();
    run(async {
        assert!(is_bomb(spawn(ReadyBomb(bombs.one())).await));
        assert_eq!(bombs.dropped(), 2, "the future, and the output that nobody gets");
        assert!(is_bomb(Handle::current().spawn(ReadyBomb(bombs.one())).await));
        assert_eq!(bombs.dropped(), 4);
    });
}

#[test]
fn a_future_that_goes_with_its_runtime() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    let runtime = Runtime::new().unwrap();
    let started = runtime.handle().spawn(bombs.future());
    runtime.block_on(yield_now());
    let sent = runtime.handle().spawn(bombs.future());
    let handle = runtime.handle().clone();
    drop((runtime.spawn(bombs.future()), runtime.spawn(bombs.future())));
    drop(runtime);
    let late = handle.spawn(bombs.future());
    assert_eq!(bombs.dropped(), 5);
    for task in [started, sent, late] {
        assert!(is_bomb(run(task)));
    }
}

#[test]
fn a_blocking_call_that_is_never_made() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    let call = |bombs: &Bombs| {
        let bomb = bombs.one();
        move || drop(bomb)
    };
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (release, released) = channel::<()>();
    let (begun, has_begun) = channel();
    let first = runtime.spawn_blocking(move || {
        begun.send(()).unwrap();
        released.recv().is_ok()
    });
    has_begun.recv().unwrap();
    let aborted = runtime.spawn_blocking(call(&bombs));
    aborted.abort();
    release.send(()).unwrap();
    runtime.block_on(async {
        assert!(first.await.unwrap());
        assert!(is_bomb(aborted.await));
    });
    assert_eq!(bombs.dropped(), 1);

    let (release, released) = channel::<()>();
    let (begun, has_begun) = channel();
    drop(runtime.spawn_blocking(move || {
        begun.send(()).unwrap();
        released.recv().is_ok()
    }));
    has_begun.recv().unwrap();
    let unmade = [(); 2].map(|()| runtime.spawn_blocking(call(&bombs)));
    let handle = runtime.handle().clone();
    drop(runtime);
    let late = handle.spawn_blocking(call(&bombs));
    drop(release);
    assert_eq!(bombs.dropped(), 4);
    for call in unmade.into_iter().chain([late]) {
        assert!(is_bomb(run(call)));
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri starts a thread however large its stack")]
fn a_blocking_call_for_which_there_is_no_thread() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    let runtime = Builder::new_current_thread().thread_stack_size(1 << 46).build().unwrap();
    let bomb = bombs.one();
    let call = runtime.spawn_blocking(move || drop(bomb));
    assert!(is_bomb(runtime.block_on(call)));
    assert_eq!(bombs.dropped(), 1);
}

/// One that came after its join handle had gone.
#[test]
fn an_output_that_nobody_wants() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (bomb, other) = (bombs.one(), bombs.one());
    drop(runtime.spawn_blocking(move || bomb));
    drop(runtime.handle().spawn(async { other }));
    runtime.block_on(async {
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
        until(|| bombs.dropped() == 2).await;
    });
    // And while the handle goes in a panic.
    let done = runtime.spawn(ready(bombs.one()));
    let away = runtime.handle().spawn(ready(bombs.one()));
    runtime.block_on(until(|| done.is_finished() && away.is_finished()));
    while_unwinding(|| {
        runtime.block_on(async {
            drop(done);
            drop(away);
        });
    });
    assert_eq!(bombs.dropped(), 4);
}
