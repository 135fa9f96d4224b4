//! fork(2): a child has the same descriptors as its parent, and with them the same epoll instance. What
//! it does there must change nothing for the parent; and what it cannot do, it is told.
#![cfg(not(miri))] // No fork there.
#![expect(unsafe_code, reason = "fork, _exit and waitpid, in processes where nothing else happens")]

mod common;

use common::process::in_child;
use common::{message, poll_once, watchdog};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::selector::{Events, Kind, Selector};
use runtime::{Builder, Runtime, time};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Runs `body` in a child, while the parent waits. What goes wrong there goes wrong here.
#[track_caller]
fn forked(body: impl FnOnce()) {
    // SAFETY: nothing else happens in this process, so that no lock is held by another thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_well = catch_unwind(AssertUnwindSafe(body)).is_ok();
        // SAFETY: takes a number. No handler of the parent's is to be called here.
        unsafe { libc::_exit(if is_well { 0 } else { 1 }) };
    }
    assert!(child > 0, "{}", io::Error::last_os_error());
    let mut status = 0;
    // SAFETY: the kernel writes one number.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child failed");
}

/// On every selector, in a process of its own.
fn on_each(law: fn(Runtime)) {
    in_child(|| {
        for kind in Kind::available() {
            eprintln!("{kind}");
            law(Builder::new_current_thread().selector(*kind).build().unwrap());
        }
    });
}

/// Ours, which is registered and waits to be read, and std's at the other end.
async fn waiting_pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut ours = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
    assert!(poll_once(ours.read(&mut [0; 8])).await.is_none());
    (ours, other)
}

async fn hears(ours: &mut TcpStream, other: &mut std::net::TcpStream) {
    // It has to wait, so that the event is needed.
    assert!(poll_once(ours.read(&mut [0; 8])).await.is_none());
    other.write_all(b"hello").unwrap();
    assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 5);
}

#[test]
fn what_a_child_drops_the_parent_still_hears_of() {
    on_each(|runtime| {
        let mut runtime = Some(runtime);
        let (ours, mut other) = runtime.as_ref().unwrap().block_on(waiting_pair());
        let mut ours = Some(ours);
        // Away from the loop; the runtime and what it has; and the runtime first.
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
        // And in the midst of the loop.
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
        // A child of a task returns to the loop.
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
                // What came with it goes over to the new one.
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
                told(selector.unregister(&reader));
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
