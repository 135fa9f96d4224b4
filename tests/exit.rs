//! A process exits while a runtime runs: the destructors of thread-locals run, and with them that of the runtime,
//! while the stack frames below stay as they are. What another thread-local keeps for longer finds no runtime any
//! more.

mod common;

use common::process::exits_of_children;
use common::{OnDrop, own_waker, poll_once, yield_times};
use runtime::net::{AsyncFd, TcpStream, UnixStream};
use runtime::task::yield_now;
use runtime::{Builder, Handle, Runtime, spawn, time};
use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Debug;
use std::future::{pending, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

thread_local! {
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

/// Keeps a value until its thread-local is destroyed, which is after the one with the runtime.
fn keep(value: impl Any) {
    KEPT.with_borrow_mut(|kept| kept.push(Box::new(value)));
}

/// Calls `f` after the runtime has been destroyed.
fn at_last(f: impl FnOnce() + 'static) {
    keep(OnDrop::new(f));
}

fn exit() -> ! {
    std::process::exit(7)
}

/// For each case, drives the runtime of a thread-local in a process of its own, until the process exits by [`exit`].
fn exits_in<T: Copy + Debug>(build: fn() -> Runtime, cases: &[T], body: impl AsyncFnOnce(T)) {
    let ends = exits_of_children(cases, |case| {
        // The thread-local that is used first is destroyed last.
        KEPT.with_borrow_mut(Vec::clear);
        RUNTIME.with(|runtime| runtime.get_or_init(build).block_on(body(case)));
    });
    for (case, end) in cases.iter().zip(ends) {
        assert_eq!(end.code(), Some(7), "{case:?}: {end}");
    }
}

fn exits(body: impl AsyncFnOnce()) {
    exits_each(&[()], async |()| body().await);
}

fn exits_each<T: Copy + Debug>(cases: &[T], body: impl AsyncFnOnce(T)) {
    exits_in(|| Runtime::new().unwrap(), cases, body);
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Keeps one of everything that belongs to a runtime.
async fn keep_everything() {
    at_last(no_runtime_is_entered);
    keep(spawn(pending::<()>()));
    keep(Handle::current().spawn(pending::<()>()));
    keep(runtime::task::spawn_blocking(|| thread::sleep(HOUR)));
    let abort = spawn(pending::<()>()).abort_handle();
    at_last(move || abort.abort());
    let waker = own_waker().await;
    at_last(move || waker.wake());
    let mut sleep = time::sleep(HOUR);
    assert!(Pin::new(&mut sleep).poll(&mut noop()).is_pending());
    keep(sleep);
    let mut sleep = time::sleep(HOUR);
    assert!(Pin::new(&mut sleep).poll(&mut noop()).is_pending());
    at_last(move || Pin::new(&mut sleep).reset(time::Instant::now()));
    keep(waiting_pair().await);
    let (stream, _other) = waiting_pair().await;
    at_last(move || {
        stream.set_read_timeout(None).unwrap();
        assert_eq!(stream.try_read(&mut [0; 8]).unwrap(), 0, "the peer has gone");
    });
    let handle = Handle::current();
    at_last(move || {
        assert!(handle.is_closed());
        drop(handle.spawn(async {}));
    });
}

fn no_runtime_is_entered() {
    assert!(Handle::try_current().is_err(), "it has been destroyed");
}

/// Makes a pair of streams. The runtime's waits to be read, with a timeout, with the shared waker and with one of its
/// own.
async fn waiting_pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ours = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
    ours.set_read_timeout(Some(HOUR)).unwrap();
    assert!(ours.poll_read_ready(&mut noop()).is_pending());
    assert!(poll_once(ours.readable()).await.is_none());
    (ours, other)
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_join_handle_is_kept_beyond_its_runtime() {
    exits(async || {
        keep(spawn(pending::<()>()));
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn the_output_of_a_task_is_kept_beyond_its_runtime() {
    exits(async || {
        let task = spawn(async { Box::new(7) });
        yield_now().await;
        assert!(task.is_finished());
        keep(task);
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn an_abort_handle_is_used_beyond_its_runtime() {
    exits(async || {
        let abort = spawn(pending::<()>()).abort_handle();
        at_last(move || {
            abort.abort();
            assert!(abort.is_finished());
        });
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn wakers_are_used_beyond_their_runtime() {
    exits(async || {
        let main = own_waker().await;
        let task = spawn(own_waker()).await.unwrap();
        at_last(move || [main, task].into_iter().for_each(Waker::wake));
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn an_armed_sleep_is_kept_beyond_its_runtime() {
    exits(async || {
        let mut sleep = time::sleep(HOUR);
        assert!(poll_once(&mut sleep).await.is_none());
        keep(sleep);
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn an_armed_sleep_is_reset_beyond_its_runtime() {
    exits(async || {
        let mut sleep = time::sleep(HOUR);
        assert!(poll_once(&mut sleep).await.is_none());
        at_last(move || Pin::new(&mut sleep).reset(time::Instant::now()));
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_tcp_stream_that_waits_is_kept_beyond_its_runtime() {
    exits(async || {
        keep(waiting_pair().await);
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_unix_stream_that_waits_is_kept_beyond_its_runtime() {
    exits(async || {
        let (one, other) = UnixStream::pair().unwrap();
        assert!(poll_once(one.readable()).await.is_none());
        keep((one, other));
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn another_runtime_is_driven_after_the_one_that_was_left() {
    exits(async || {
        keep_everything().await;
        at_last(|| runtime::block_on(common::subjects::works()));
        exit();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_task_exits() {
    exits(async || {
        keep_everything().await;
        spawn(async { exit() }).await.unwrap();
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn the_drop_of_an_aborted_task_exits() {
    exits(async || {
        keep_everything().await;
        let task = spawn(async {
            let _guard = OnDrop::new(|| exit());
            pending::<()>().await;
        });
        yield_now().await;
        task.abort();
        drop(task.await);
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn the_drop_of_an_output_that_nobody_takes_exits() {
    exits_each(&["done", "not done"], async |case| {
        keep_everything().await;
        let task = spawn(async { OnDrop::new(|| exit()) });
        if case == "done" {
            yield_now().await;
        }
        drop(task);
        pending::<()>().await;
    });
}

/// The loop makes a call for another thread, which drops the output of a task. That drop exits.
#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_call_for_another_thread_exits() {
    exits(async || {
        keep_everything().await;
        let task = spawn(async { OnDrop::new(|| exit()) });
        yield_now().await;
        thread::spawn(move || drop(task)).join().unwrap();
        pending::<()>().await;
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_task_that_another_thread_has_spawned_exits() {
    exits(async || {
        keep_everything().await;
        let handle = Handle::current();
        drop(thread::spawn(move || handle.spawn(async { exit() })).join());
        pending::<()>().await;
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_hook_before_the_sleep_exits() {
    let build = || Builder::new_current_thread().on_thread_park(|| exit()).build().unwrap();
    exits_in(build, &[()], async |()| {
        keep_everything().await;
        time::sleep(HOUR).await;
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_hook_after_the_sleep_exits() {
    let build = || Builder::new_current_thread().on_thread_unpark(|| exit()).build().unwrap();
    exits_in(build, &[()], async |()| {
        keep_everything().await;
        loop {
            time::sleep(Duration::from_millis(1)).await;
        }
    });
}

/// A waker that exits when it is woken, or when its last clone is dropped.
struct Exiting {
    is_woken: bool,
}

impl Wake for Exiting {
    fn wake(self: Arc<Self>) {
        if self.is_woken {
            exit();
        }
    }
}

impl Drop for Exiting {
    fn drop(&mut self) {
        exit();
    }
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_foreign_waker_exits_when_it_is_woken() {
    let cases = ["a timer", "a socket", "a task"].map(|by| [(by, true), (by, false)]);
    exits_each(cases.as_flattened(), async |(by, is_woken)| {
        keep_everything().await;
        let waker = Waker::from(Arc::new(Exiting { is_woken }));
        let mut cx = Context::from_waker(&waker);
        let (ours, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = AsyncFd::new(ours).unwrap();
        let (mut sleep, mut task) = (time::sleep(HOUR), spawn(yield_now()));
        assert!(match by {
            "a timer" => Pin::new(&mut sleep).poll(&mut cx).is_pending(),
            "a socket" => ours.poll_read_ready(&mut cx).is_pending(),
            _ => Pin::new(&mut task).poll(&mut cx).is_pending(),
        });
        drop(waker);
        Pin::new(&mut sleep).reset(time::Instant::now());
        other.write_all(b"x").unwrap();
        pending::<()>().await;
    });
}

/// The second runtime is being dropped, and is entered above the first one.
#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_task_of_a_runtime_that_is_being_dropped_inside_exits() {
    exits(async || {
        keep(spawn(pending::<()>()));
        keep(waiting_pair().await);
        let inner = Runtime::new().unwrap();
        let guard = OnDrop::new(|| {
            // These belong to the inner runtime.
            keep(spawn(pending::<()>()));
            let mut sleep = time::sleep(HOUR);
            assert!(Pin::new(&mut sleep).poll(&mut noop()).is_pending());
            keep(sleep);
            exit();
        });
        drop(inner.spawn(async move { drop(guard) }));
        drop(inner);
    });
}

/// One runtime is destroyed before the one that is driven, and the other after it.
#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn two_more_runtimes_are_left_in_thread_locals() {
    thread_local! {
        static EARLIER: OnceCell<Runtime> = const { OnceCell::new() };
    }
    exits(async || {
        keep(waiting_pair().await);
        let later = Runtime::new().unwrap();
        keep(later.spawn(pending::<()>()));
        drop(later.spawn(async {}));
        keep(later);
        EARLIER.with(|earlier| {
            let earlier = earlier.get_or_init(|| Runtime::new().unwrap());
            let guard = OnDrop::new(|| keep(spawn(pending::<()>())));
            keep(earlier.spawn(async move { drop(guard) }));
        });
        // The exit happens while a third runtime is dropped.
        let inner = Runtime::new().unwrap();
        let guard = OnDrop::new(|| exit());
        drop(inner.spawn(async move { drop(guard) }));
        drop(inner);
    });
}

/// The tasks of the runtime hold handles to it, and use them when they are dropped at the exit.
#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn what_tasks_do_when_they_are_dropped_at_the_exit_is_as_at_any_other_end() {
    exits(async || {
        keep_everything().await;
        let dropped = Rc::new(Cell::new(0));
        let counted = dropped.clone();
        at_last(move || assert_eq!(counted.get(), 3, "each task has been dropped"));
        for _ in 0..3 {
            let dropped = dropped.clone();
            drop(spawn(async move {
                let _guard = OnDrop::new(move || {
                    dropped.set(dropped.get() + 1);
                    assert!(Handle::try_current().is_ok());
                    keep(spawn(pending::<()>()));
                    let (one, other) = UnixStream::pair().unwrap();
                    assert!(one.poll_read_ready(&mut noop()).is_pending());
                    keep((one, other));
                });
                pending::<()>().await;
            }));
        }
        yield_times(2).await;
        exit();
    });
}

/// Another thread wakes, spawns and aborts until the exit.
#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_task_exits_while_another_thread_floods_its_runtime() {
    exits(async || {
        keep_everything().await;
        let (handle, waker) = (Handle::current(), own_waker().await);
        let abort = spawn(pending::<()>()).abort_handle();
        let rounds = Arc::new(AtomicUsize::new(0));
        let counted = rounds.clone();
        drop(thread::spawn(move || {
            loop {
                waker.wake_by_ref();
                abort.abort();
                drop(handle.spawn(async {}));
                counted.fetch_add(1, SeqCst);
            }
        }));
        poll_fn(|cx| {
            if rounds.load(SeqCst) > 100 {
                exit();
            }
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
    });
}
