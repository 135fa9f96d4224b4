//! Law: where the library drops a value of the user's, a panic in that drop ends there, and the steps that follow the
//! drop are made.
//!
//! Every value here panics in its drop, also while another panic unwinds. If drop glue dropped two of them in a row,
//! or one were dropped while a panic unwinds, the process would end.

mod common;

use common::adversary::{Adversary, Deed, On};
use common::process::blocking_threads_leave;
use common::subjects::{ENDINGS, Gate, ordeal, subjects, works};
use common::{Count, CountOnDrop, CountingWaker, message, panic_quietly, poll_once, run, until, watchdog};
use runtime::cores::PerCore;
use runtime::io::{AsyncRead, SimplexStream, duplex};
use runtime::net::{Accept, AsyncFd, serve};
use runtime::sync::watch;
use runtime::task::{JoinError, JoinMap, JoinSet, LocalSet, scope, spawn_blocking, yield_now};
use runtime::{Builder, Handle, Runtime, spawn, time};
use std::future::{pending, poll_fn, ready};
use std::hash::{Hash, Hasher};
use std::io::{Write, pipe};
use std::mem::ManuallyDrop;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A value that counts its drop, and panics in it, also while another panic unwinds.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        panic_quietly("a bomb");
    }
}

/// Makes bombs, and counts those that have been dropped.
#[derive(Default)]
struct Bombs(Arc<AtomicUsize>);

impl Bombs {
    fn one(&self) -> Bomb {
        Bomb(self.0.clone())
    }

    fn dropped(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Returns a future that is pending for ever, and panics when it is dropped.
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

/// Polls with a waker that panics in its drop. The panic of the test's own clone is caught here.
fn poll_with_bomb<F: Future + Unpin>(future: &mut F) -> (Poll<F::Output>, Arc<Adversary>) {
    let adversary = Adversary::new(On::Drop, Deed::PanicAlways);
    let waker = adversary.waker();
    let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(waker))).is_err());
    (polled, adversary)
}

#[test]
fn the_members_of_a_set_that_were_never_started() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    let set = LocalSet::new();
    let waiting: Vec<_> = (0..3).map(|_| set.spawn_local(bombs.future())).collect();
    drop(set);
    assert_eq!(bombs.dropped(), 3);
    waiting.into_iter().for_each(|task| assert!(is_bomb(run(task))));

    let set = LocalSet::new();
    drop((set.spawn_local(bombs.future()), set.spawn_local(bombs.future())));
    while_unwinding(|| drop(set));
    assert_eq!(bombs.dropped(), 5);
}

#[test]
fn the_members_of_a_set_are_aborted_whatever_panics_before() {
    let bombs = Bombs::default();
    let drops = Count::default();
    let set = LocalSet::new();
    let runtime = Runtime::new().unwrap();
    let dropped = CountOnDrop(drops.clone());
    let mut started = None;
    runtime.block_on(async {
        started = Some(set.spawn_local(async move {
            let _dropped = dropped;
            pending::<()>().await;
        }));
        yield_now().await;
    });
    drop(set.spawn_local(bombs.future()));
    drop(set.spawn_local(bombs.future()));
    drop(set);
    assert_eq!(bombs.dropped(), 2);
    assert!(runtime.block_on(started.unwrap()).unwrap_err().is_cancelled());
    assert_eq!(drops.get(), 1);
}

/// A set that is polled without a runtime cannot start its members, and keeps them.
/// A key of a map, which panics when it is dropped.
struct Key(u32, #[expect(dead_code, reason = "it is dropped")] Bomb);

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn the_keys_of_a_map() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    let key = |number| Key(number, bombs.one());
    run(async {
        let mut map = JoinMap::new();
        (0..3).for_each(|number| map.spawn(key(number), pending::<()>()));
        drop(map);
        assert_eq!(bombs.dropped(), 3);

        let mut map = JoinMap::new();
        (0..2).for_each(|number| map.spawn(key(number), pending::<()>()));
        while_unwinding(|| drop(map));
        assert_eq!(bombs.dropped(), 5);

        let mut map = JoinMap::new();
        (0..2).for_each(|number| map.spawn(key(number), ready(())));
        map.detach_all();
        assert_eq!((bombs.dropped(), map.len()), (7, 0));

        map.spawn(key(0), pending());
        map.spawn(key(0), ready(()));
        assert_eq!((bombs.dropped(), map.len()), (8, 1));
        map.spawn(key(1), pending());
        map.shutdown().await;
        assert_eq!((bombs.dropped(), map.len()), (10, 0));
    });
}

#[test]
fn the_outputs_of_a_group_that_is_shut_down() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    run(async {
        let (mut set, mut map) = (JoinSet::new(), JoinMap::new());
        for number in 0..2 {
            set.spawn(ready(bombs.one()));
            map.spawn(number, ready(bombs.one()));
        }
        yield_now().await;
        set.shutdown().await;
        assert_eq!((bombs.dropped(), set.len()), (2, 0));
        map.shutdown().await;
        assert_eq!((bombs.dropped(), map.len()), (4, 0));
    });
}

#[test]
fn the_output_of_a_child_that_nobody_awaits() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    run(scope(async |scope| {
        drop(scope.spawn(ready(bombs.one())));
        let waiting = scope.spawn(ready(bombs.one()));
        yield_now().await;
        while_unwinding(|| drop(waiting));
    }));
    assert_eq!(bombs.dropped(), 2);
}

#[test]
fn the_value_of_a_watch_channel() {
    let bombs = Bombs::default();
    drop(watch::channel(bombs.one()));
    assert_eq!(bombs.dropped(), 1);

    let (sender, receiver) = watch::channel(bombs.one());
    drop(receiver);
    while_unwinding(|| drop(sender));
    assert_eq!(bombs.dropped(), 2);

    let (sender, receiver) = watch::channel(bombs.one());
    assert!(sender.send(bombs.one()).is_ok());
    assert_eq!(bombs.dropped(), 3);
    drop(sender);
    while_unwinding(|| drop(receiver));
    assert_eq!(bombs.dropped(), 4);
}

#[test]
fn a_set_that_cannot_start_its_members_keeps_them() {
    let _watchdog = watchdog();
    let (ran, mut set) = (Count::default(), LocalSet::new());
    for _ in 0..3 {
        let ran = ran.clone();
        drop(set.spawn_local(async move { _ = ran.add() }));
    }
    let polled = catch_unwind(AssertUnwindSafe(|| {
        Pin::new(&mut set).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }));
    assert!(message(&*polled.unwrap_err()).contains("runtime"));
    run(set);
    assert_eq!(ran.get(), 3);
}

/// Only the drops of the wakers panic, so no poll and no drop of the library does.
#[test]
#[cfg_attr(miri, ignore = "a hundred runtimes")]
fn the_wakers_of_everything_that_waits() {
    let _watchdog = watchdog();
    for (name, make) in subjects() {
        for ending in ENDINGS {
            let report = ordeal(*make, On::Drop, [Deed::PanicAlways; 2], ending);
            let case = format!("{name}, {ending:?}");
            assert_eq!(report.live_wakers, 0, "{case}");
            assert_eq!(report.panics, 2, "{case}: of the test's own wakers");
        }
    }
    blocking_threads_leave();
}

/// A waiter for both directions of a descriptor is dropped with the descriptor.
#[test]
fn the_wakers_of_both_directions_of_a_descriptor() {
    let _watchdog = watchdog();
    for unwinds in [false, true] {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let (one, _other) = UnixStream::pair().unwrap();
            one.set_nonblocking(true).unwrap();
            while (&one).write(&[0; 4096]).is_ok() {}
            let fd = AsyncFd::new(one).unwrap();
            let mut adversaries = Vec::new();
            while adversaries.is_empty() {
                let (polled, adversary) = poll_with_bomb(&mut poll_fn(|cx| {
                    let mut guard = std::task::ready!(fd.poll_write_ready(cx)).unwrap();
                    guard.clear_ready();
                    Poll::Ready(())
                }));
                adversaries.extend(polled.is_pending().then_some(adversary));
            }
            let (polled, adversary) = poll_with_bomb(&mut poll_fn(|cx| fd.poll_read_ready(cx).map(drop)));
            assert!(polled.is_pending());
            adversaries.push(adversary);
            assert!(adversaries.iter().all(|adversary| adversary.live() == 1));
            if unwinds {
                while_unwinding(|| drop(fd));
            } else {
                drop(fd);
            }
            assert!(adversaries.iter().all(|adversary| adversary.live() == 0));
            works().await;
        });
    }
}

#[test]
fn the_waker_in_a_stream_within_the_process() {
    let _watchdog = watchdog();
    let (mut stream, _other) = duplex(8);
    let (polled, adversary) =
        poll_with_bomb(&mut poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut [0])));
    assert!(polled.is_pending());
    while_unwinding(|| drop(stream));
    assert_eq!(adversary.live(), 0);
    let mut stream = SimplexStream::new_unsplit(8);
    let (polled, adversary) =
        poll_with_bomb(&mut poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut [0])));
    assert!(polled.is_pending());
    while_unwinding(|| drop(stream));
    assert_eq!(adversary.live(), 0);
}

#[test]
fn the_waker_of_what_is_dropped_while_a_panic_unwinds() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (reader, _writer) = pipe().unwrap();
        let reader = AsyncFd::new(reader).unwrap();
        let gate = Gate::default();
        let waits: [Pin<Box<dyn Future<Output = ()>>>; 5] = [
            Box::pin(time::sleep(Duration::from_secs(3600))),
            Box::pin(async { drop(reader.readable().await) }),
            Box::pin(async { drop(spawn(gate.wait()).await) }),
            Box::pin(async { drop(Handle::current().spawn(gate.wait()).await) }),
            Box::pin(async {
                let set = LocalSet::new();
                drop(set.spawn_local(pending::<()>()));
                set.await;
            }),
        ];
        for mut wait in waits {
            let (polled, adversary) = poll_with_bomb(&mut wait);
            assert!(polled.is_pending());
            while_unwinding(|| drop(wait));
            // The wakers that tasks hold are dropped in the next turn of the loop.
            until(|| adversary.live() == 0).await;
        }
    });
}

/// As in tokio, the panic of the drop becomes the reason why there is no output.
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
        // If the poll panics as well, its panic is reported.
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

/// A future that is ready at once, and panics when it is dropped.
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

/// The output arrives after its join handle was dropped.
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
    // The handle is dropped while a panic unwinds.
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

#[test]
fn the_hooks_of_a_builder() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    let hook = || {
        let bomb = bombs.one();
        move || _ = &bomb
    };
    let mut builder = Builder::new_current_thread();
    builder.on_thread_park(hook()).on_thread_unpark(hook()).on_thread_start(hook()).on_thread_stop(hook());
    builder.on_thread_park(hook());
    assert_eq!(bombs.dropped(), 1, "one takes the other's place");
    let runtime = builder.build().unwrap();
    runtime.block_on(async {
        time::sleep(Duration::from_millis(1)).await;
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
    });
    drop(builder);
    runtime.shutdown_timeout(Duration::from_secs(60));
    blocking_threads_leave();
    assert_eq!(bombs.dropped(), 5);
    let mut builder = Builder::new_current_thread();
    builder.on_thread_park(hook()).on_thread_unpark(hook());
    while_unwinding(|| drop(builder));
    assert_eq!(bombs.dropped(), 7);
}

/// A listener to which no client connects.
struct Silence(Bomb);

impl Accept for Silence {
    type Stream = ();
    type Addr = ();

    async fn accept(&self) -> std::io::Result<((), ())> {
        let _bomb = Bomb(self.0.0.clone());
        pending().await
    }
}

#[test]
fn all_that_a_server_is_made_of() {
    let bombs = Bombs::default();
    let server = |shutdown: Gate| {
        let (ends, reports, handles) = (bombs.one(), bombs.one(), bombs.one());
        let mut wait = Box::pin(shutdown.wait());
        let shutdown = poll_fn(move |cx| {
            // The guard is not dropped before the future itself.
            let _ends = &ends;
            wait.as_mut().poll(cx)
        });
        let server = serve(Silence(bombs.one()))
            .on_error(move |_| _ = &reports)
            .graceful(shutdown, Duration::from_secs(3600));
        let drain = server.drain();
        (server.run(async move |(), ()| _ = &handles), drain)
    };
    run(async {
        let gate = Gate::default();
        let (served, drain) = server(gate.clone());
        let served = spawn(served);
        yield_now().await;
        gate.open();
        drain.started().await;
        assert_eq!(served.await.unwrap().unwrap().accepted(), 0);
        // The server accepts a last time when it is to end.
        assert_eq!(bombs.dropped(), 6);
        // The server is dropped before its end.
        let (served, _drain) = server(Gate::default());
        let mut served = Box::pin(served);
        assert!(poll_once(&mut served).await.is_none());
        while_unwinding(|| drop(served));
        assert_eq!(bombs.dropped(), 11);
    });
}

#[test]
fn the_outputs_of_threads_when_another_fails() {
    let _watchdog = watchdog();
    let bombs = Bombs::default();
    let ended = AtomicUsize::new(0);
    let error = PerCore::new().threads(4).run(async |core| {
        if core.index() == 3 {
            until(|| ended.load(SeqCst) == 3).await;
            panic_quietly("the fourth");
        }
        ended.fetch_add(1, SeqCst);
        bombs.one()
    });
    let error = error.map(std::mem::forget).unwrap_err();
    assert_eq!(message(&*error.into_panic()), "the fourth");
    assert_eq!(bombs.dropped(), 3);
}

/// Each waker that is dropped arms another timer with another such waker, as long as there is a runtime, and then
/// panics.
#[test]
fn wakers_that_come_again_while_a_runtime_goes() {
    struct Again(Arc<AtomicUsize>);

    impl Wake for Again {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Again {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            if Handle::try_current().is_ok() {
                arm(&self.0);
            }
            panic_quietly("again");
        }
    }

    fn arm(drops: &Arc<AtomicUsize>) {
        // The sleep is never dropped, so that its timer stays armed.
        let mut sleep = ManuallyDrop::new(time::sleep(Duration::from_secs(3600)));
        let waker = Waker::from(Arc::new(Again(drops.clone())));
        assert!(Pin::new(&mut *sleep).poll(&mut Context::from_waker(&waker)).is_pending());
    }

    let _watchdog = watchdog();
    let drops = Arc::default();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { (0..3).for_each(|_| arm(&drops)) });
    drop(runtime);
    let dropped = drops.load(SeqCst);
    assert!(dropped > 3, "{dropped}");
    assert_eq!(Arc::strong_count(&drops), 1, "none is left");
}

/// The waker of an earlier poll is still woken. An `async fn` would not do here, because a panic ends it.
#[test]
fn a_waker_whose_clone_panics_does_not_take_the_place_of_another() {
    const POLLED: [&str; 10] = [
        "a join handle",
        "a join handle from Handle::spawn",
        "a join handle of a blocking call",
        "sleep",
        "Interval::poll_tick",
        "TcpStream::poll_read",
        "TcpStream::poll_write",
        "AsyncFd::poll_read_ready",
        "DuplexStream::poll_read",
        "LocalSet",
    ];
    let _watchdog = watchdog();
    let polled = subjects().filter(|(name, _)| POLLED.contains(name));
    assert_eq!(polled.clone().count(), POLLED.len());
    for (name, make) in polled {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let mut subject = make();
            let (counting, waker) = CountingWaker::new();
            assert!((subject.poll)(&mut Context::from_waker(&waker)).is_pending(), "{name}");
            let adversary = Adversary::new(On::Clone, Deed::PanicAlways);
            let hostile = adversary.waker();
            let polled = catch_unwind(AssertUnwindSafe(|| {
                (subject.poll)(&mut Context::from_waker(&hostile)).is_pending()
            }));
            assert!(polled.is_err(), "{name}");
            (subject.ready)();
            until(|| counting.wakes() > 0).await;
        });
    }
}
