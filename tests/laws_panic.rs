//! Law: a panic of a task ends that task, is delivered by its join handle, and disturbs nothing else.
//!
//! There is a test for every place where user code runs and may panic. Each time the other tasks go on, every future
//! is dropped exactly once, and the runtime still works.

mod common;

use common::adversary::{Adversary, Deed, FUNCTIONS, On};
use common::process::blocking_threads_leave;
use common::subjects::{ENDINGS, Gate, ordeal, subjects, works};
use common::{
    Count, CountOnDrop, CountingWaker, OnDrop, message, panic_quietly, run, until, watchdog, yield_times,
};
use runtime::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, Interest, duplex};
use runtime::net::{AsyncFd, TcpListener, TcpStream, serve};
use runtime::task::{JoinHandle, LocalSet, yield_now};
use runtime::{Handle, Runtime, spawn, task};
use std::future::{pending, poll_fn};
use std::io::{Write, pipe};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// A value that panics when it is dropped, unless a panic is already unwinding, and counts its drops.
struct Bomb(Count);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.add();
        if !thread::panicking() {
            panic_quietly("a bomb");
        }
    }
}

/// Three tasks that run by themselves, before and after the one that panics, and their counts.
#[derive(Default)]
struct Others {
    polls: Count,
    drops: Count,
}

impl Others {
    fn spawn(&self) {
        let (polls, dropped) = (self.polls.clone(), CountOnDrop(self.drops.clone()));
        drop(spawn(async move {
            let _dropped = dropped;
            loop {
                polls.add();
                yield_now().await;
            }
        }));
    }

    /// Runs `body` on a runtime with three such tasks, and checks that they ran until its end.
    fn around<T>(body: impl AsyncFnOnce() -> T) -> T {
        let _watchdog = watchdog();
        let others = Others::default();
        let runtime = Runtime::new().unwrap();
        let output = runtime.block_on(async {
            others.spawn();
            others.spawn();
            let output = body().await;
            others.spawn();
            let before = others.polls.get();
            yield_times(10).await;
            assert_eq!(others.polls.get() - before, 30, "the others go on");
            assert_eq!(others.drops.get(), 0);
            works().await;
            output
        });
        assert_eq!(runtime.metrics().num_alive_tasks, 3, "and nobody else is left");
        drop(runtime);
        assert_eq!(others.drops.get(), 3, "each is dropped once");
        output
    }
}

fn panic_of<T: 'static>(result: Result<T, runtime::task::JoinError>) -> String {
    let payload = result.err().expect("it panicked").into_panic();
    message(&*payload).to_owned()
}

#[test]
fn in_a_poll() {
    let drops = Count::default();
    Others::around(async || {
        for polls in 0..3 {
            let dropped = CountOnDrop(drops.clone());
            let task = spawn(async move {
                let _dropped = dropped;
                yield_times(polls).await;
                panic_quietly("in a poll");
            });
            assert_eq!(panic_of(task.await), "in a poll");
            assert_eq!(drops.get(), polls + 1);
        }
        drop(spawn(async { panic_quietly("nobody hears it") }));
        drop(spawn(async {
            yield_now().await;
            panic_quietly(String::from("nor this"));
        }));
        yield_times(3).await;
    });
}

#[test]
fn in_a_poll_by_the_usual_macro() {
    Others::around(async || {
        let task = spawn(async { panic!("with {} arguments", 2) });
        let error = task.await.unwrap_err();
        assert!(error.to_string().ends_with("panicked with message \"with 2 arguments\""), "{error}");
    });
}

#[test]
fn in_a_task_that_came_by_handle() {
    Others::around(async || {
        let drops = Arc::new(());
        let kept = drops.clone();
        let task = Handle::current().spawn(async move {
            let _kept = kept;
            yield_now().await;
            panic_quietly("away");
        });
        assert_eq!(panic_of::<()>(task.await), "away");
        assert_eq!(Arc::strong_count(&drops), 1, "the future is gone before its panic is seen");
    });
}

#[test]
fn in_a_futures_drop() {
    let drops = Count::default();
    Others::around(async || {
        // At completion, the future is dropped before its output can be seen, so the panic is the task's result.
        struct ReadyBomb(#[expect(dead_code, reason = "its drop is what it is for")] Bomb);
        impl Future for ReadyBomb {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                Poll::Ready(())
            }
        }
        let completes = spawn(ReadyBomb(Bomb(drops.clone())));
        assert_eq!(panic_of(completes.await), "a bomb");
        assert_eq!(drops.get(), 1);
        drop(spawn(ReadyBomb(Bomb(drops.clone()))));
        yield_now().await;
        assert_eq!(drops.get(), 2);

        // The same holds for an abort.
        for is_polled in [false, true] {
            let bomb = Bomb(drops.clone());
            let aborted = spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            });
            yield_times(usize::from(is_polled)).await;
            aborted.abort();
            assert_eq!(panic_of(aborted.await), "a bomb");
        }
        assert_eq!(drops.get(), 4);

        // If the poll has panicked before, its panic is the result.
        let bomb = Bomb(drops.clone());
        let future = OnDrop::new(move || drop(bomb));
        let mut is_first = true;
        let both = spawn(poll_fn(move |_| {
            let _future = &future;
            if std::mem::take(&mut is_first) {
                panic_quietly("in the poll");
            }
            Poll::<()>::Pending
        }));
        assert_eq!(panic_of(both.await), "in the poll");
        assert_eq!(drops.get(), 5);
    });
}

#[test]
fn in_a_futures_drop_at_the_runtimes_end() {
    let _watchdog = watchdog();
    let (bombs, drops) = (Count::default(), Count::default());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for n in 0..6 {
            let (bomb, dropped) = ((n % 2 == 0).then(|| Bomb(bombs.clone())), CountOnDrop(drops.clone()));
            drop(spawn(async move {
                let (_bomb, _dropped) = (bomb, dropped);
                pending::<()>().await;
            }));
        }
        yield_now().await;
    });
    let (bomb, dropped) = (Bomb(bombs.clone()), CountOnDrop(drops.clone()));
    drop(runtime.spawn(async move { drop((bomb, dropped)) }));
    drop(runtime);
    assert_eq!((bombs.get(), drops.get()), (4, 7));
}

#[test]
fn in_an_outputs_drop() {
    let bombs = Count::default();
    Others::around(async || {
        // The output is joined, and belongs to the caller.
        let output = Bomb(bombs.clone());
        let output = spawn(async move { output }).await.ok();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(output))).is_err());
        // The task is detached before its end; after its end; and was spawned by `Handle::spawn`.
        let output = Bomb(bombs.clone());
        drop(spawn(async move { output }));
        let output = Bomb(bombs.clone());
        let done = spawn(async move { output });
        yield_times(2).await;
        assert!(done.is_finished());
        drop(done);
        assert_eq!(bombs.get(), 3);
    });
    // The output waits for its join handle when the runtime is dropped.
    let runtime = Runtime::new().unwrap();
    let output = Bomb(bombs.clone());
    let done = runtime.spawn(async move { output });
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(bombs.get(), 4);
    drop(done);
}

/// A payload whose drop panics with another payload. Its type has no size, so that leaking one takes no memory.
struct Payload<P: Default + Send + 'static>(PhantomData<P>);

impl<P: Default + Send> Default for Payload<P> {
    fn default() -> Payload<P> {
        Payload(PhantomData)
    }
}

impl<P: Default + Send + 'static> Drop for Payload<P> {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic_quietly(P::default());
        }
    }
}

#[test]
fn with_a_payload_that_panics_in_its_drop() {
    let caught = catch_unwind(|| {
        payloads_that_panic::<Payload<()>>();
        payloads_that_panic::<Payload<Payload<()>>>();
        payloads_that_panic::<Payload<Payload<Payload<()>>>>();
    });
    // A payload that came out must not be dropped: the test harness would not survive it.
    assert!(caught.map_err(std::mem::forget).is_ok(), "a payload came out");
}

fn payloads_that_panic<P: Default + Send + 'static>() {
    Others::around(async || {
        drop(spawn(async { panic_quietly(P::default()) }));
        yield_times(2).await;
        let joined = spawn(async { panic_quietly(P::default()) });
        yield_times(2).await;
        drop(joined);
        drop(Handle::current().spawn(async { panic_quietly(P::default()) }));
        drop(task::spawn_blocking(|| panic_quietly(P::default())));
        let error = spawn(async { panic_quietly(P::default()) }).await.unwrap_err();
        std::mem::forget(error.into_panic());
        yield_times(2).await;
        // The same with a payload from a drop.
        let bomb = OnDrop::new(|| panic_quietly(P::default()));
        let aborted = spawn(async move {
            let _bomb = bomb;
            pending::<()>().await;
        });
        yield_now().await;
        aborted.abort();
        drop(aborted);
        yield_now().await;
    });
}

#[test]
#[cfg_attr(miri, ignore = "a few thousand runtimes")]
fn in_any_function_of_a_foreign_waker() {
    let _watchdog = watchdog();
    for (name, make) in subjects() {
        for on in FUNCTIONS {
            for call in 0..3 {
                for ending in ENDINGS {
                    // Only one of the two panics: a second panic while the first unwinds would end the process,
                    // whoever called them.
                    for deeds in [[Deed::Panic(call), Deed::Nothing], [Deed::Nothing, Deed::Panic(call)]] {
                        // The checks of `ordeal` on the others hold whatever panics.
                        let report = ordeal(*make, on, deeds, ending);
                        let case = format!("{name}, {on:?}: {deeds:?}, {ending:?}");
                        assert_eq!(report.live_wakers, 0, "{case}: a waker is left, or dropped twice");
                        assert!(report.panics <= 1, "{case}");
                    }
                }
            }
        }
    }
    blocking_threads_leave();
}

#[test]
fn in_the_wake_of_one_of_many_who_wait() {
    Others::around(async || {
        let wait = |adversary: &Arc<Adversary>, future: &mut Pin<Box<dyn Future<Output = ()>>>| {
            assert!(future.as_mut().poll(&mut Context::from_waker(&adversary.waker())).is_pending());
        };
        let (one, mut other) = pipe().unwrap();
        let one = Rc::new(AsyncFd::new(one).unwrap());
        let adversaries: Vec<_> = (0..8).map(|_| Adversary::new(On::Wake, Deed::Panic(0))).collect();
        let mut futures: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for _ in 0..4 {
            let one = one.clone();
            futures.push(Box::pin(async move { drop(one.readable().await.unwrap()) }));
        }
        for _ in 4..8 {
            futures.push(Box::pin(runtime::time::sleep(Duration::from_millis(1))));
        }
        adversaries.iter().zip(&mut futures).for_each(|(adversary, future)| wait(adversary, future));
        other.write_all(b"x").unwrap();
        until(|| adversaries.iter().all(|adversary| adversary.wakes() == 1)).await;
        assert!(adversaries.iter().all(|adversary| adversary.live() == 0));
    });
}

/// All others that wait for the end of the server are woken, and the server ends.
#[test]
fn in_the_wake_of_one_of_many_who_wait_for_a_drain() {
    Others::around(async || {
        let gate = Gate::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = serve(listener).graceful(gate.wait(), Duration::ZERO);
        let drain = server.drain();
        let adversaries: Vec<_> = (0..8).map(|_| Adversary::new(On::Wake, Deed::Panic(0))).collect();
        let mut waits: Vec<_> = adversaries.iter().map(|_| Box::pin(drain.started())).collect();
        for (adversary, wait) in adversaries.iter().zip(&mut waits) {
            assert!(wait.as_mut().poll(&mut Context::from_waker(&adversary.waker())).is_pending());
        }
        let served = spawn(server.run(async |_: TcpStream, _| {}));
        yield_now().await;
        gate.open();
        assert_eq!(served.await.unwrap().unwrap().accepted(), 0);
        assert!(adversaries.iter().all(|adversary| (adversary.wakes(), adversary.live()) == (1, 0)));
    });
}

/// The operation that wakes has done its work, and returns its result.
#[test]
fn in_the_waker_of_the_other_end_of_a_stream() {
    Others::around(async || {
        let waiting = |end: &mut DuplexStream, bytes: &mut [u8]| {
            let adversary = Adversary::new(On::Wake, Deed::Panic(0));
            let waker = adversary.waker();
            assert!(Pin::new(end).poll_read(&mut Context::from_waker(&waker), bytes).is_pending());
            adversary
        };
        let (mut one, mut other) = duplex(4);
        let adversary = waiting(&mut one, &mut [0; 8]);
        assert_eq!(other.write(b"hello").await.unwrap(), 4);
        assert_eq!((adversary.wakes(), adversary.live()), (1, 0));
        let mut word = [0; 8];
        assert_eq!(one.read(&mut word).await.unwrap(), 4);
        let adversary = waiting(&mut one, &mut word);
        other.close().await.unwrap();
        assert_eq!((adversary.wakes(), adversary.live()), (1, 0));
        assert_eq!(one.read(&mut word).await.unwrap(), 0);
        // The same when the end is dropped.
        let adversary = waiting(&mut other, &mut word);
        drop(one);
        assert_eq!((adversary.wakes(), adversary.live()), (1, 0));
    });
}

/// The same holds for a task that was the last one of its set.
#[test]
fn in_the_waker_that_waits_for_a_set_of_tasks() {
    Others::around(async || {
        let (mut set, gate) = (LocalSet::new(), Gate::default());
        let last = set.spawn_local(gate.wait());
        let adversary = Adversary::new(On::Wake, Deed::Panic(0));
        assert!(Pin::new(&mut set).poll(&mut Context::from_waker(&adversary.waker())).is_pending());
        gate.open();
        last.await.unwrap();
        assert_eq!((adversary.wakes(), adversary.live()), (1, 0));
        set.await;
    });
}

#[test]
fn in_a_waker_that_waits_for_a_join_handle() {
    Others::around(async || {
        for on in FUNCTIONS {
            let gate = Gate::default();
            let adversary = Adversary::new(on, Deed::Panic(0));
            let mut task: JoinHandle<()> = spawn(gate.wait());
            let waker = adversary.waker();
            let polled = catch_unwind(AssertUnwindSafe(|| {
                assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
            }));
            assert_eq!(polled.is_err(), on == On::Clone);
            drop(catch_unwind(AssertUnwindSafe(|| drop(waker))));
            gate.open();
            until(|| task.is_finished()).await;
            task.await.unwrap();
            assert_eq!(adversary.live(), 0);
        }
    });
}

#[test]
fn in_a_blocking_call() {
    Others::around(async || {
        let call = task::spawn_blocking(|| panic_quietly("in a call"));
        assert_eq!(panic_of::<()>(call.await), "in a call");
        let call = Handle::current().spawn_blocking(|| panic_quietly("by handle"));
        assert_eq!(panic_of::<()>(call.await), "by handle");
        let bomb = OnDrop::new(|| panic_quietly("in the drop of the closure"));
        let call = task::spawn_blocking(move || drop(bomb));
        assert_eq!(panic_of(call.await), "in the drop of the closure");
        // The result of a call without a join handle panics in its drop on a thread of the pool, which still serves
        // the next call.
        drop(task::spawn_blocking(|| OnDrop::new(|| panic_quietly("a result"))));
        assert_eq!(task::spawn_blocking(|| 7).await.unwrap(), 7);
    });
}

#[test]
fn in_a_blocking_call_that_is_dropped_unmade() {
    let _watchdog = watchdog();
    let runtime = runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = std::sync::mpsc::channel();
    drop(runtime.spawn_blocking(move || {
        begun.send(()).unwrap();
        released.recv().is_ok()
    }));
    has_begun.recv().unwrap();
    let drops = Arc::new(());
    for _ in 0..3 {
        let kept = drops.clone();
        let bomb = OnDrop::new(move || {
            drop(kept);
            panic_quietly("unmade");
        });
        drop(runtime.spawn_blocking(move || drop(bomb)));
    }
    drop(runtime);
    assert_eq!(Arc::strong_count(&drops), 1);
    drop(release);
}

#[test]
fn in_a_future_that_never_arrived() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let late: Vec<_> = (0..3)
        .map(|_| {
            let bomb = OnDrop::new(|| panic_quietly("in the inbox"));
            handle.spawn(async move { drop(bomb) })
        })
        .collect();
    drop(runtime);
    for task in late {
        assert_eq!(panic_of(run(task)), "in the inbox");
    }
}

#[test]
fn in_the_closures_of_io() {
    Others::around(async || {
        let (one, mut other) = pipe().unwrap();
        let one = AsyncFd::new(one).unwrap();
        other.write_all(b"x").unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            drop(one.try_io(Interest::READABLE, |_| -> std::io::Result<()> { panic_quietly("in try_io") }));
        }));
        assert_eq!(message(&*caught.unwrap_err()), "in try_io");
        {
            let mut guard = one.readable().await.unwrap();
            let caught = catch_unwind(AssertUnwindSafe(|| {
                drop(guard.try_io(|_| -> std::io::Result<()> { panic_quietly("in a guard") }));
            }));
            assert_eq!(message(&*caught.unwrap_err()), "in a guard");
        }
        let task = spawn(async move {
            let result: std::io::Result<()> =
                one.async_io(Interest::READABLE, |_| panic_quietly("in async_io")).await;
            drop(result);
        });
        assert_eq!(panic_of(task.await), "in async_io");
    });
}

#[test]
fn in_a_task_while_another_thread_waits_for_it() {
    let _watchdog = watchdog();
    Others::around(async || {
        let handle = Handle::current();
        let other = thread::spawn(move || {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                handle.block_on(async { panic_quietly("over there") });
            }));
            message(&*caught.unwrap_err()).to_owned()
        });
        until(|| other.is_finished()).await;
        assert_eq!(other.join().unwrap(), "over there");
    });
}

#[test]
fn in_one_task_wakes_who_joins_it_and_nobody_else() {
    Others::around(async || {
        let (counting, waker) = CountingWaker::new();
        let (bystander, others_waker) = CountingWaker::new();
        let gate = Gate::default();
        let waits = gate.wait();
        let mut task = spawn(async move {
            waits.await;
            panic_quietly("at last");
        });
        let mut other = spawn(pending::<()>());
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(Pin::new(&mut other).poll(&mut Context::from_waker(&others_waker)).is_pending());
        gate.open();
        until(|| task.is_finished()).await;
        assert_eq!((counting.wakes(), bystander.wakes()), (1, 0));
        let polled: Poll<Result<(), _>> = Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Err(error)) if error.is_panic()));
        other.abort();
        assert!(other.await.unwrap_err().is_cancelled());
    });
}
