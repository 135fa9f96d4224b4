//! fork(2): a child has the same descriptors as its parent, and with them the same epoll instance. What the child
//! does must change nothing for the parent, and an operation that it cannot perform returns an error.
#![cfg(not(miri))] // No fork there.
#![expect(unsafe_code, reason = "fork, _exit and waitpid, in processes where nothing else happens")]

mod common;

use common::process::in_child;
use common::{message, own_waker, poll_once, watchdog, yield_times};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use runtime::io::DuplexStream;
use runtime::net::{TcpListener, TcpStream, UnixStream};
use runtime::selector::{Events, Kind, Selector};
use runtime::task::{JoinHandle, LocalSet};
use runtime::{Builder, Handle, Runtime, time};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// Runs `body` in a child, while the parent waits. A failure in the child fails the test in the parent.
#[track_caller]
fn forked(body: impl FnOnce()) {
    // SAFETY: nothing else happens in this process, so that no lock is held by another thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_well = catch_unwind(AssertUnwindSafe(body)).is_ok();
        // SAFETY: takes a number. No handler of the parent's is to be called here.
        unsafe { libc::_exit(if is_well { 0 } else { 1 }) };
    }
    assert_eq!(status_of(child), 0, "the child failed");
}

/// Runs `law` on every selector, in a process of its own.
fn on_each(law: fn(Runtime)) {
    in_child(|| {
        for kind in Kind::available() {
            eprintln!("{kind}");
            law(Builder::new_current_thread().selector(*kind).build().unwrap());
        }
    });
}

/// Makes a pair of streams. The runtime's is registered and waits to be read.
async fn waiting_pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut ours = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
    assert!(poll_once(ours.read(&mut [0; 8])).await.is_none());
    (ours, other)
}

async fn hears(ours: &mut TcpStream, other: &mut std::net::TcpStream) {
    // The read has to wait, so that the event is needed.
    assert!(poll_once(ours.read(&mut [0; 8])).await.is_none());
    other.write_all(b"hello").unwrap();
    assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 5);
}

#[test]
fn a_child_that_waits_without_a_runtime_gets_an_error() {
    on_each(|runtime| {
        let (ours, mut other) = runtime.block_on(waiting_pair());
        let mut ours = Some(ours);
        let read = |ours: &mut TcpStream| {
            std::pin::pin!(ours.read(&mut [0; 8])).poll(&mut Context::from_waker(Waker::noop()))
        };
        // One child before the parent waits itself, and one while it waits.
        for _ in 0..2 {
            forked(|| {
                let mut ours = ours.take().unwrap();
                assert!(matches!(read(&mut ours), Poll::Ready(Err(_))));
                drop(ours);
            });
            assert!(read(ours.as_mut().unwrap()).is_pending());
            runtime.turn(Some(Duration::ZERO));
        }
        other.write_all(b"hello").unwrap();
        let read = runtime.block_on(async { ours.as_mut().unwrap().read(&mut [0; 8]).await });
        assert_eq!(read.unwrap(), 5);
    });
}

#[test]
fn what_a_child_drops_the_parent_still_hears_of() {
    on_each(|runtime| {
        let mut runtime = Some(runtime);
        let (ours, mut other) = runtime.as_ref().unwrap().block_on(waiting_pair());
        let mut ours = Some(ours);
        // The child drops the stream outside of the loop; the runtime and the stream; and the runtime first.
        forked(|| drop(ours.take()));
        forked(|| {
            drop(ours.take());
            drop(runtime.take());
        });
        forked(|| {
            drop(runtime.take());
            drop(ours.take());
        });
        let mut ours = ours.unwrap();
        runtime.as_ref().unwrap().block_on(hears(&mut ours, &mut other));
        // The same while the loop runs.
        runtime.as_ref().unwrap().block_on(async {
            let (mut more, mut another) = waiting_pair().await;
            let mut dropped = Some(more);
            forked(|| drop(dropped.take()));
            more = dropped.unwrap();
            hears(&mut more, &mut another).await;
            hears(&mut ours, &mut other).await;
        });
    });
}

#[test]
fn a_child_that_goes_on_with_its_parents_loop_is_told() {
    on_each(|runtime| {
        let (mut ours, mut other) = runtime.block_on(waiting_pair());
        let is_told = |future: &mut dyn FnMut()| {
            let caught = catch_unwind(AssertUnwindSafe(future)).unwrap_err();
            let said = message(&*caught);
            assert!(said.contains("fork") && said.contains("make a new one"), "{said}");
        };
        forked(|| {
            let _watchdog = watchdog();
            is_told(&mut || runtime.block_on(time::sleep(Duration::from_millis(1))));
            is_told(&mut || runtime.block_on(std::future::pending()));
            other.write_all(b"stolen").unwrap();
            is_told(&mut || drop(runtime.block_on(ours.readable())));
        });
        runtime.block_on(async {
            assert_eq!(ours.read(&mut [0; 6]).await.unwrap(), 6, "not stolen");
            hears(&mut ours, &mut other).await;
        });
        // In the child, the task returns to the loop.
        runtime.block_on(async {
            forked(|| {
                let _watchdog = watchdog();
                let (one, _other) = io::pipe().unwrap();
                let error = runtime::net::AsyncFd::new(one).unwrap_err();
                assert!(error.to_string().contains("fork"), "{error}");
            });
            hears(&mut ours, &mut other).await;
        });
    });
}

#[test]
fn a_child_may_have_a_runtime_of_its_own() {
    on_each(|runtime| {
        let (mut ours, mut other) = runtime.block_on(waiting_pair());
        let kind = runtime.selector();
        forked(|| {
            let _watchdog = watchdog();
            let fresh = Builder::new_current_thread().selector(kind).build().unwrap();
            fresh.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (mut server, _) = listener.accept().await.unwrap();
                client.write_all(b"here").await.unwrap();
                server.read_exact(&mut [0; 4]).await.unwrap();
                time::sleep(Duration::from_micros(100)).await;
                assert_eq!(runtime::task::spawn_blocking(|| 7).await.unwrap(), 7);
                // The state that was stored with the old descriptor works with the new one.
                hears(&mut ours, &mut other).await;
                other.write_all(b"for the parent").unwrap();
            });
            drop(fresh);
        });
        let mut said = [0; 14];
        runtime.block_on(ours.read_exact(&mut said)).unwrap();
        assert_eq!(&said, b"for the parent");
        runtime.block_on(hears(&mut ours, &mut other));
    });
}

#[test]
fn a_selector_by_itself_is_its_makers() {
    in_child(|| {
        for kind in Kind::available() {
            let mut selector = Selector::with(*kind).unwrap();
            let mut events = Events::with_capacity(8);
            let (mut reader, mut writer) = io::pipe().unwrap();
            selector.register(&reader, 1, runtime::io::Interest::READABLE).unwrap();
            forked(|| {
                let told = |result: io::Result<()>| {
                    assert!(result.is_err_and(|error| error.to_string().contains("fork")), "{kind}");
                };
                told(selector.modify(&reader, 2, runtime::io::Interest::READABLE));
                told(selector.deregister(&reader));
                told(selector.register(&writer, 3, runtime::io::Interest::WRITABLE));
                told(selector.wait(&mut events, Some(Duration::ZERO)));
            });
            writer.write_all(b"x").unwrap();
            selector.wait(&mut events, Some(Duration::from_secs(5))).unwrap();
            assert_eq!(events.iter().map(|event| event.key()).collect::<Vec<_>>(), [1], "{kind}");
            assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
        }
    });
}

/// Neither the threads that make blocking calls nor any receiver of messages to the loop exist in the child.
#[test]
fn a_child_does_not_wait_for_the_threads_of_its_parent() {
    on_each(|runtime| {
        let (begun, has_begun) = channel();
        let (release, released) = channel::<()>();
        let call = runtime.spawn_blocking(move || {
            begun.send(()).unwrap();
            released.recv().is_ok()
        });
        has_begun.recv().unwrap();
        let handle = runtime.handle().clone();
        let sent = handle.spawn(async { 7 });
        let number = |handle: &Handle| format!("{handle:?}").replace("true", "false");
        let mut inherited = Some((runtime, call, sent));
        forked(|| {
            let _watchdog = watchdog();
            let (runtime, call, sent) = inherited.take().unwrap();
            let fresh = Runtime::new().unwrap();
            assert_ne!(number(fresh.handle()), number(&handle));
            assert!(handle.is_closed() && !fresh.handle().is_closed());
            assert!(call.is_finished() && sent.is_finished());
            fresh.block_on(async {
                assert!(call.await.unwrap_err().is_cancelled());
                assert!(sent.await.unwrap_err().is_cancelled());
                assert!(handle.spawn_blocking(|| 7).await.unwrap_err().is_cancelled());
            });
            assert!(catch_unwind(AssertUnwindSafe(|| handle.block_on(async {}))).is_err());
            runtime.shutdown_timeout(Duration::from_secs(3600));
        });
        let (runtime, call, sent) = inherited.unwrap();
        release.send(()).unwrap();
        runtime.block_on(async {
            assert!(call.await.unwrap());
            assert_eq!(sent.await.unwrap(), 7);
        });
    });
}

/// A set that was made before the fork is used as it would have been without one.
#[test]
fn a_child_starts_the_tasks_that_it_has_inherited() {
    on_each(|runtime| {
        let set = LocalSet::new();
        let member = set.spawn_local(async { 7 });
        let mut inherited = Some((set, member));
        forked(|| {
            let (set, member) = inherited.take().unwrap();
            let fresh = Runtime::new().unwrap();
            fresh.block_on(set);
            assert_eq!(fresh.block_on(member).unwrap(), 7);
        });
        let (set, member) = inherited.unwrap();
        runtime.block_on(set);
        assert_eq!(runtime.block_on(member).unwrap(), 7);
    });
}

/// Forks while other threads use a runtime in many ways.
///
/// The child inherits their locks, in the state in which the threads held them, and not the threads. It must not wait
/// for any of those locks, whether in a new runtime or in a drop of what it has inherited. It has twenty seconds for
/// that, and prints nothing, since std's lock of the standard streams may be one of those locks.
#[test]
fn a_child_waits_for_no_lock_of_a_thread_that_it_does_not_have() {
    const FORKS: usize = 150;
    in_child(|| {
        std::panic::set_hook(Box::new(|_| {}));
        let runtime = Builder::new_current_thread().max_blocking_threads(2).build().unwrap();
        let phase = Phase::default();
        let (stream, mut end) = runtime::io::duplex(8);
        let works = busy_threads(&runtime, stream);
        let others: Vec<_> = works.into_iter().map(|work| phase.repeat(work)).collect();
        let mut forks = 0;
        let failed = loop {
            let inherited = Inherited::new(&runtime);
            phase.set(Some(true));
            (0..forks % 16).for_each(|_| thread::yield_now());
            // SAFETY: the child does not do what POSIX forbids it, but for malloc, which glibc allows.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: takes a number. By default the signal ends the process.
                unsafe { libc::alarm(20) };
                let is_well = catch_unwind(AssertUnwindSafe(|| {
                    uses_a_runtime_of_its_own();
                    inherited.uses();
                    drop((runtime, end));
                    uses_a_runtime_of_its_own();
                }));
                // SAFETY: takes a number.
                unsafe { libc::_exit(if is_well.is_ok() { 0 } else { 1 }) };
            }
            phase.set(Some(false));
            let status = status_of(child);
            forks += 1;
            if status != 0 || forks == FORKS {
                break (status != 0).then_some(status);
            }
            // These are the messages of the other threads.
            runtime.block_on(yield_times(8));
            drop(runtime.block_on(poll_once(end.read(&mut [0; 8]))));
        };
        phase.set(None);
        others.into_iter().for_each(|thread| thread.join().unwrap());
        drop(std::panic::take_hook());
        let said = failed.map(|status| format!("child {forks} ended with {}", ExitStatus::from_raw(status)));
        assert_eq!(said, None);
    });
}

type Work = Box<dyn FnMut() + Send>;

/// Starts threads that use the runtime, and runtimes of their own.
fn busy_threads(runtime: &Runtime, mut stream: DuplexStream) -> [Work; 4] {
    let waker = runtime.block_on(own_waker());
    let [handle, other] = [(); 2].map(|()| runtime.handle().clone());
    let (sent, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    [
        Box::new(|| {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(runtime.spawn(async {})).unwrap();
        }),
        Box::new(move || {
            waker.wake_by_ref();
            // The threads send no more than the loop takes.
            if sent.load(Relaxed) < 1000 {
                sent.fetch_add(1, Relaxed);
                let sent = sent.clone();
                let task = handle.spawn(async move { sent.fetch_sub(1, Relaxed) });
                task.abort_handle().is_finished();
            }
            assert!(!handle.is_closed());
        }),
        Box::new(move || {
            if calls.load(Relaxed) < 1000 {
                calls.fetch_add(1, Relaxed);
                let calls = calls.clone();
                drop(other.spawn_blocking(move || calls.fetch_sub(1, Relaxed)));
            }
        }),
        Box::new(move || {
            let mut cx = Context::from_waker(Waker::noop());
            _ = Pin::new(&mut stream).poll_write(&mut cx, b"x").is_ready();
            _ = Pin::new(&mut stream).poll_read(&mut cx, &mut [0; 8]).is_ready();
        }),
    ]
}

/// Says whether the other threads are at work, and is `None` when they are to end. They pause while the parent waits
/// for a child, so that the child has a processor.
#[derive(Clone)]
struct Phase(Arc<(Mutex<Option<bool>>, Condvar)>);

impl Default for Phase {
    fn default() -> Phase {
        Phase(Arc::new((Mutex::new(Some(false)), Condvar::new())))
    }
}

impl Phase {
    fn set(&self, phase: Option<bool>) {
        *self.0.0.lock().unwrap() = phase;
        self.0.1.notify_all();
    }

    fn repeat(&self, mut work: Work) -> thread::JoinHandle<()> {
        let phase = self.clone();
        thread::spawn(move || {
            loop {
                let rests = |phase: &mut Option<bool>| *phase == Some(false);
                let now = *phase.0.1.wait_while(phase.0.0.lock().unwrap(), rests).unwrap();
                if now.is_none() {
                    return;
                }
                work();
            }
        })
    }
}

/// The objects besides the runtime that a child inherits from its parent. Another thread uses each of them as well.
struct Inherited {
    handle: Handle,
    waker: Waker,
    local: JoinHandle<()>,
    /// The messages are on their way, and in the child no thread delivers them.
    sent: JoinHandle<()>,
    called: JoinHandle<()>,
    stream: TcpStream,
    other: std::net::TcpStream,
}

impl Inherited {
    fn new(runtime: &Runtime) -> Inherited {
        let (stream, other) = runtime.block_on(waiting_pair());
        stream.set_read_timeout(Some(Duration::from_secs(3600))).unwrap();
        let handle = runtime.handle().clone();
        Inherited {
            waker: runtime.block_on(own_waker()),
            local: runtime.spawn(std::future::pending()),
            sent: handle.spawn(std::future::pending()),
            called: handle.spawn_blocking(|| thread::sleep(Duration::from_micros(10))),
            handle,
            stream,
            other,
        }
    }

    /// Uses everything, in the child.
    fn uses(self) {
        let Inherited { handle, waker, local, sent, called, mut stream, mut other } = self;
        waker.wake();
        assert!(handle.is_closed());
        sent.abort();
        local.abort();
        let late = (handle.spawn(async {}), handle.spawn_blocking(|| {}));
        runtime::block_on(async {
            assert!(late.0.await.unwrap_err().is_cancelled());
            assert!(late.1.await.unwrap_err().is_cancelled());
            assert!(local.await.unwrap_err().is_cancelled());
            assert!(sent.is_finished());
            assert!(sent.await.unwrap_err().is_cancelled());
            // It may have been made before the fork.
            drop(called.await);
            hears(&mut stream, &mut other).await;
        });
    }
}

fn uses_a_runtime_of_its_own() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        time::sleep(Duration::from_micros(10)).await;
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let said = runtime::spawn(async move { one.write_all(b"here").await });
        other.read_exact(&mut [0; 4]).await.unwrap();
        said.await.unwrap().unwrap();
        assert_eq!(runtime::task::spawn_blocking(|| 7).await.unwrap(), 7);
        assert_eq!(Handle::current().spawn(async { 7 }).await.unwrap(), 7);
    });
}

/// Returns the status with which a child has ended.
fn status_of(child: libc::pid_t) -> i32 {
    assert!(child > 0, "{}", io::Error::last_os_error());
    let mut status = 0;
    // SAFETY: the kernel writes one number.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(waited, child);
    status
}
