//! Hostile programs, small enough for Miri: ends, drops and panics at the worst moments. The programs contain no
//! `unsafe`, so any undefined behaviour is a fault of the library.

use runtime::io::AsyncReadExt;
use runtime::net::{TcpListener, TcpStream};
use runtime::task::{self, AbortHandle, JoinHandle, LocalSet, coop, spawn_local};
use runtime::time::{Duration, Sleep, sleep};
use runtime::{Builder, Handle, Runtime, spawn};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

const HOUR: Duration = Duration::from_secs(3600);

/// A value that calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Handles of every kind outlive their runtime, on this thread and on another.
#[test]
fn what_is_left_of_a_runtime_does_nothing() {
    let runtime = Runtime::new().unwrap();
    let (mut task, abort, mut timer, mut stream, waker) = runtime.block_on(async {
        let task = spawn(pending::<u8>());
        let abort = spawn(pending::<()>()).abort_handle();
        let mut timer = sleep(HOUR);
        assert!(poll_once(&mut timer).is_pending());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        assert!(poll_once(&mut stream.read(&mut byte)).is_pending());
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        (task, abort, timer, (stream, peer), waker)
    });
    drop(runtime);
    waker.wake_by_ref();
    abort.abort();
    assert!(task.is_finished() && abort.is_finished());
    Pin::new(&mut timer).reset(runtime::time::Instant::now());
    // A later runtime does not know any of them.
    runtime::block_on(async {
        timer.await;
        assert!((&mut task).await.unwrap_err().is_cancelled());
        let mut byte = [0];
        assert!(poll_once(&mut stream.0.read(&mut byte)).is_pending());
    });
    thread::spawn(move || drop((stream, waker, abort))).join().unwrap();
}

thread_local! {
    static KEPT: RefCell<Vec<(JoinHandle<()>, AbortHandle, Sleep)>> = const { RefCell::new(Vec::new()) };
    static LOCAL: Runtime = Runtime::new().unwrap();
}

/// A runtime in a thread-local is dropped before the values that it has left in an older thread-local.
#[test]
fn a_runtime_in_a_thread_local_ends_with_its_thread() {
    thread::spawn(|| {
        KEPT.with_borrow_mut(|kept| kept.reserve(1));
        LOCAL.with(|runtime| {
            runtime.block_on(async {
                let task = spawn(pending());
                let mut timer = sleep(HOUR);
                assert!(poll_once(&mut timer).is_pending());
                let abort = task.abort_handle();
                KEPT.with_borrow_mut(|kept| kept.push((task, abort, timer)));
            });
        });
    })
    .join()
    .unwrap();
}

/// Drops panic, one after another, while tasks, outputs and the runtime are dropped.
#[test]
fn drops_that_panic_end_where_they_are() {
    let runtime = Runtime::new().unwrap();
    let drops = Rc::new(Cell::new(0));
    let bomb = || {
        let drops = drops.clone();
        OnDrop(move || {
            drops.set(drops.get() + 1);
            panic!("as planned");
        })
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    runtime.block_on(async {
        for _ in 0..2 {
            let bomb = bomb();
            drop(spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            }));
        }
        let output = bomb();
        drop(spawn(async move { output }));
        let aborted = spawn({
            let bomb = bomb();
            async move {
                let _bomb = bomb;
                pending::<()>().await;
            }
        });
        task::yield_now().await;
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_panic());
    });
    let set = LocalSet::new();
    for _ in 0..2 {
        let bomb = bomb();
        drop(set.spawn_local(async move { drop(bomb) }));
    }
    drop(set);
    drop(runtime);
    std::panic::set_hook(hook);
    assert_eq!(drops.get(), 6);
}

/// A waker in a join handle and in a timer spawns, aborts, and drops handles in each of its functions.
#[test]
fn a_waker_calls_back_from_within() {
    struct Hostile(Mutex<Option<AbortHandle>>);
    impl Wake for Hostile {
        fn wake(self: Arc<Self>) {
            if let Some(abort) = self.0.lock().unwrap().take() {
                abort.abort();
            }
            if Handle::try_current().is_ok() {
                drop(spawn(async {}));
            }
        }
    }
    let runtime = Builder::new_current_thread().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let victim = spawn(pending::<()>());
        let hostile = Waker::from(Arc::new(Hostile(Mutex::new(Some(victim.abort_handle())))));
        let mut cx = Context::from_waker(&hostile);
        let mut awaited = spawn(task::yield_now());
        let mut timer = sleep(Duration::from_millis(1));
        assert!(Pin::new(&mut awaited).poll(&mut cx).is_pending());
        assert!(Pin::new(&mut timer).poll(&mut cx).is_pending());
        drop(hostile);
        assert!(victim.await.unwrap_err().is_cancelled());
        sleep(Duration::from_millis(2)).await;
        awaited.await.unwrap();
    });
}

/// Executors run within polls and drops, runtimes are dropped within others, and `block_on` is called where it is
/// refused.
#[test]
fn one_within_another() {
    runtime::block_on(async {
        let inner = Runtime::new().unwrap();
        drop(inner.spawn(async {
            let _spawns = OnDrop(|| drop(spawn(async {})));
            pending::<()>().await;
        }));
        let refused = catch_unwind(AssertUnwindSafe(|| inner.block_on(async {})));
        assert!(refused.is_err());
        drop(inner);
        let nested = async {
            for _ in 0..300 {
                coop::consume_budget().await;
            }
        };
        futures_lite::future::block_on(nested);
        let set = LocalSet::new();
        let guards = [set.enter(), LocalSet::new().enter()];
        let joined = spawn_local(async { 7 });
        let [first, second] = guards;
        drop(first);
        drop(second);
        assert_eq!(joined.await.map_err(|error| error.is_cancelled()), Err(true));
    });
}

/// Another thread resets and drops sleeps, aborts tasks and spawns some, while the loop turns and ends.
#[test]
fn foreign_threads_reach_into_a_runtime_that_ends() {
    for _ in 0..if cfg!(miri) { 2 } else { 200 } {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        let (sender, receiver) = mpsc::channel::<(Sleep, AbortHandle)>();
        let thread = thread::spawn(move || {
            for (mut timer, abort) in receiver {
                Pin::new(&mut timer).reset(runtime::time::Instant::now());
                abort.abort();
                drop(handle.spawn(async {}));
            }
        });
        runtime.block_on(async {
            for _ in 0..3 {
                let mut timer = sleep(HOUR);
                assert!(poll_once(&mut timer).is_pending());
                sender.send((timer, spawn(pending::<()>()).abort_handle())).unwrap();
                task::yield_now().await;
            }
        });
        drop((runtime, sender));
        thread.join().unwrap();
    }
}
