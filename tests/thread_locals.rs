//! Law: the library works in the destructors of thread-locals, also when its own have been destroyed.
//!
//! A thread-local that is made first is destroyed last. By then, the thread-locals that the thread has used in
//! between have been destroyed, and if one of them is used again, std panics, which ends the process.
#![cfg(not(miri))] // Sockets, and processes.
#![expect(unsafe_code, reason = "_exit, in processes that are about to end anyway")]

mod common;

use common::process::{exit_of_child, in_child};
use common::subjects::{Subject, subjects};
use common::{OnDrop, own_waker, watchdog};
use runtime::cores::PerCore;
use runtime::io::{self, AsyncReadExt, AsyncWriteExt, copy_bidirectional, send_file, splice};
use runtime::net::{TcpListener, TcpStream, UnixStream, serve};
use runtime::task::{self, LocalSet, coop, spawn_blocking, spawn_local, unconstrained, yield_now};
use runtime::{Handle, Runtime, block_on, spawn, time};
use std::cell::RefCell;
use std::future::pending;
use std::io::Write;
use std::sync::mpsc::channel;
use std::task::Context;
use std::thread;
use std::time::Duration;

type Work = Box<dyn FnOnce()>;

thread_local! {
    static LAST: RefCell<Option<OnDrop<Work>>> = const { RefCell::new(None) };
}

/// Makes this thread run `work` at its end, after the destructors of all that it uses from now on.
fn at_the_end(work: impl FnOnce() + 'static) {
    LAST.set(Some(OnDrop::new(Box::new(work))));
}

/// Runs `work` at the end of a thread that has used everything before, in a process of its own.
fn at_the_end_of_a_thread(work: fn()) {
    in_child(|| {
        let (done, is_done) = channel();
        let thread = thread::spawn(move || {
            at_the_end(move || {
                work();
                done.send(()).unwrap();
            });
            everything();
        });
        thread.join().unwrap();
        is_done.recv().expect("the thread's end does the work");
    });
}

#[test]
fn a_set_is_entered() {
    at_the_end_of_a_thread(|| {
        let set = LocalSet::new();
        let entered = set.enter();
        let member = spawn_local(async { 7 });
        drop(entered);
        assert_eq!(block_on(async { set.run_until(member).await.unwrap() }), 7);
        block_on(set);
    });
}

#[test]
fn a_task_of_a_set_starts_another() {
    at_the_end_of_a_thread(|| {
        let (set, runtime) = (LocalSet::new(), Runtime::new().unwrap());
        let nested = set.spawn_local(async { spawn_local(async { 7 }).await.unwrap() });
        assert_eq!(set.block_on(&runtime, nested).unwrap(), 7);
        let outer = set.spawn_local(async {
            drop(spawn_local(pending::<()>()));
            pending::<()>().await;
        });
        runtime.block_on(yield_now());
        drop(set);
        assert!(runtime.block_on(outer).unwrap_err().is_cancelled());
    });
}

#[test]
fn a_local_task_is_spawned_in_no_set() {
    at_the_end_of_a_thread(|| assert_eq!(block_on(async { spawn_local(async { 7 }).await.unwrap() }), 7));
}

#[test]
fn a_bulk_is_copied_from_socket_to_socket() {
    at_the_end_of_a_thread(|| block_on(bulk()));
}

#[test]
fn everything_is_used_once_more() {
    at_the_end_of_a_thread(everything);
}

#[test]
fn everything_that_waits_comes_to_its_end() {
    at_the_end_of_a_thread(|| {
        for (_, make) in subjects() {
            block_on(async {
                let Subject { mut poll, ready } = make();
                let waker = own_waker().await;
                let mut polled = poll(&mut Context::from_waker(&waker));
                ready();
                while polled.is_pending() {
                    yield_now().await;
                    polled = poll(&mut Context::from_waker(&waker));
                }
            });
        }
    });
}

/// The destructors of the thread that calls exit(3), such as the main thread, run while the process ends.
#[test]
fn the_process_ends() {
    let status = exit_of_child(|| {
        at_the_end(|| {
            everything();
            // SAFETY: takes a number.
            unsafe { libc::_exit(42) };
        });
        everything();
        std::process::exit(0);
    });
    assert_eq!(status.code(), Some(42), "{status}");
}

/// A guard, a set, a runtime and a task that still exist are dropped with the thread.
#[test]
fn a_thread_ends_in_the_midst_of_it() {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }
    let _watchdog = watchdog();
    for order in 0..2 {
        let (dropped, drops) = channel();
        let thread = thread::spawn(move || {
            let keep = |kept: Box<dyn std::any::Any>| KEPT.with_borrow_mut(|all| all.push(kept));
            if order == 0 {
                // This is destroyed after the library's own thread-locals.
                keep(Box::new(()));
            }
            let (set, runtime) = (LocalSet::new(), Runtime::new().unwrap());
            let guarded = |name: &'static str| {
                let dropped = dropped.clone();
                let guard = OnDrop::new(move || dropped.send(name).unwrap());
                async move {
                    let _guard = guard;
                    pending::<()>().await;
                }
            };
            drop(set.spawn_local(guarded("unstarted")));
            let guard = set.enter();
            keep(Box::new(spawn_local(guarded("by a guard"))));
            runtime.block_on(async { drop(set.spawn_local(guarded("started"))) });
            keep(Box::new(guard));
            keep(Box::new(set));
            keep(Box::new(runtime));
        });
        thread.join().unwrap();
        let mut names: Vec<_> = drops.iter().collect();
        names.sort_unstable();
        assert_eq!(names, ["by a guard", "started", "unstarted"], "{order}");
    }
}

/// Copies a bulk of data from one socket to another, which the kernel moves, and one from a file.
async fn bulk() {
    const BYTES: usize = 1 << 20;
    let (mut client, mut server) = tcp_pair().await;
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let copying = spawn(async move { splice(&mut server, &mut near).await.unwrap() });
    let writing = spawn(async move {
        client.write_all(&vec![7; BYTES]).await.unwrap();
    });
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.unwrap();
    assert_eq!((bytes.len(), copying.await.unwrap()), (BYTES, BYTES as u64));
    writing.await.unwrap();

    let (mut near, mut far) = UnixStream::pair().unwrap();
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let sending = spawn(async move { send_file(&file, 0, BYTES as u64, &mut near).await.unwrap() });
    bytes.clear();
    far.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(sending.await.unwrap(), bytes.len() as u64);
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// Uses nearly everything that the library has.
fn everything() {
    let set = LocalSet::new();
    drop(set.enter());
    drop(set.spawn_local(async {}));
    block_on(async {
        assert!(task::try_id().is_none());
        assert!(spawn(async { task::id() }).await.unwrap().to_string().parse::<u64>().is_ok());
        set.run_until(async { spawn_local(yield_now()).await.unwrap() }).await;
        set.await;
        spawn_local(coop::consume_budget()).await.unwrap();
        assert!(coop::has_budget_remaining());
        unconstrained(coop::cooperative(yield_now())).await;
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
        let handle = Handle::current();
        assert_eq!(handle.spawn(async { 7 }).await.unwrap(), 7);
        let other = thread::spawn(move || handle.block_on(async { 7 }));
        while !other.is_finished() {
            time::sleep(Duration::from_micros(10)).await;
        }
        assert!(time::timeout(Duration::from_micros(10), pending::<()>()).await.is_err());
        time::interval(Duration::from_secs(1)).tick().await;
        bulk().await;
        let (one, mut other) = io::duplex(8);
        let (reader, mut writer) = io::split(one);
        writer.write_all(b"x").await.unwrap();
        drop((other.read(&mut [0]).await.unwrap(), reader, writer));
        let (mut one, far) = UnixStream::pair().unwrap();
        drop(far);
        drop(copy_bidirectional(&mut one, &mut other).await);
        drop(runtime::net::lookup_host("localhost:80").await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = spawn(async move { drop(TcpStream::connect(address).await.unwrap()) });
        let served = serve(listener).graceful(client, Duration::MAX).run(async |_: TcpStream, _| {}).await;
        assert_eq!(served.unwrap().panicked(), 0);
        drop(io::stdout().write(b"").await);
        drop(io::stderr().write(b"").await);
        time::pause();
        time::advance(Duration::from_secs(1)).await;
    });
    assert_eq!(PerCore::new().threads(2).run(async |core| core.index()).unwrap(), [0, 1]);
    drop(std::io::stdout().flush());
}
