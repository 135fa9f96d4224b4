//! `AsyncFd` by exclusive references: its guards, and descriptors that are exchanged.

mod net_support;

use futures_lite::future::zip;
use net_support::{in_child, poll_once, run, watchdog};
use runtime::io::unix::{AsyncFd, AsyncFdReadyMutGuard};
use runtime::io::{Interest, Ready};
use runtime::task::yield_now;
use runtime::{Runtime, spawn};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::Poll;
use std::thread;

fn unix_pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

fn fill(stream: &mut AsyncFd<UnixStream>) {
    while stream.try_io(Interest::WRITABLE, |mut stream| stream.write(&[0; 4096])).is_ok() {}
}

#[test]
fn guards_have_the_descriptor_for_themselves() {
    run(async {
        let (a, mut b) = unix_pair();
        let mut a = AsyncFd::new(a).unwrap();
        let mut buffer = [0; 8];
        // An operation through a shared reference to the stream clears the readiness as well.
        b.write_all(b"one").unwrap();
        let mut guard: AsyncFdReadyMutGuard<'_, _> = a.readable_mut().await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE);
        assert_eq!(guard.try_io(|a| a.get_ref().read(&mut buffer)).unwrap().unwrap(), 3);
        let error = guard.try_io(|a| a.get_ref().read(&mut buffer)).unwrap_err();
        assert_eq!(error.to_string(), "the descriptor was not ready after all");
        assert!(format!("{guard:?}").starts_with("AsyncFdReadyMutGuard"));
        assert!(poll_once(a.readable_mut()).await.is_none());
        // So does one through an exclusive reference.
        b.write_all(b"two").unwrap();
        let mut guard = a.readable_mut().await.unwrap();
        assert_eq!(guard.try_io(|a| a.get_mut().read(&mut buffer)).unwrap().unwrap(), 3);
        guard.try_io(|a| a.get_mut().read(&mut buffer)).unwrap_err();
        assert!(poll_once(a.readable_mut()).await.is_none());
        b.write_all(b"three").unwrap();
        let mut guard = a.readable_mut().await.unwrap();
        assert_eq!(guard.get_inner_mut().read(&mut buffer).unwrap(), 5);
        guard.clear_ready();
        guard.retain_ready();
        assert_eq!(guard.get_ref().as_raw_fd(), guard.get_inner().as_raw_fd());
        // A readiness that was recorded for an earlier registration does not count for the present one.
        b.write_all(b"four").unwrap();
        assert!(poll_once(guard.get_mut().readable()).await.is_none(), "it has just been registered");
        guard.clear_ready_matching(Ready::ALL);
        a.readable().await.unwrap().clear_ready();
        // The same holds for writes, and for both directions.
        assert!(a.writable_mut().await.unwrap().ready().is_writable());
        let either = Interest::READABLE | Interest::WRITABLE;
        let mut guard = a.ready_mut(either).await.unwrap();
        assert!(guard.ready().is_writable());
        guard.clear_ready_matching(Ready::WRITABLE);
    });
}

#[test]
fn by_hand_too_and_whoever_waits_is_woken_when_it_is_taken_out() {
    run(async {
        let (a, mut b) = unix_pair();
        let mut a = AsyncFd::new(a).unwrap();
        fill(&mut a);
        let (polls, mut step) = (Rc::new(Cell::new(0)), 0);
        let task = spawn({
            let polls = polls.clone();
            async move {
                poll_fn(|cx| {
                    polls.set(polls.get() + 1);
                    step += 1;
                    if step == 1 {
                        // The poll leaves a waker, and the descriptor can be taken out all the same.
                        assert!(a.poll_write_ready_mut(cx).is_pending());
                        assert!(a.poll_read_ready_mut(cx).is_pending());
                        a.get_mut().set_nonblocking(true).unwrap();
                        return Poll::Pending;
                    }
                    a.poll_read_ready_mut(cx).map_ok(|guard| guard.ready())
                })
                .await
            }
        });
        while polls.get() < 2 {
            yield_now().await;
        }
        b.write_all(b"hello").unwrap();
        assert_eq!(task.await.unwrap().unwrap(), Ready::READABLE);
    });
}

#[test]
fn exchanged_it_is_the_new_one_that_counts() {
    run(async {
        let (first, mut first_peer) = unix_pair();
        let (second, mut second_peer) = unix_pair();
        let mut fd = AsyncFd::new(first).unwrap();
        assert!(poll_once(fd.readable()).await.is_none());
        let first = std::mem::replace(fd.get_mut(), second);
        first_peer.write_all(b"old").unwrap();
        for _ in 0..3 {
            assert!(poll_once(fd.readable()).await.is_none());
            yield_now().await;
        }
        second_peer.write_all(b"new").unwrap();
        let mut buffer = [0; 8];
        let count = fd.async_io(Interest::READABLE, |mut fd| fd.read(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..count], b"new");
        // The first descriptor belongs to no `AsyncFd` any more, and may be registered.
        let first = AsyncFd::new(first).unwrap();
        assert!(first.readable().await.unwrap().ready().is_readable());
    });
}

/// A registered stream is replaced by another one. Its number then goes to a third stream, which is registered as
/// well. What is done to one of them must not affect the other.
#[test]
fn a_number_that_goes_to_another_is_not_taken_from_it() {
    // This runs in a process of its own, so that no other test takes the number.
    in_child("a_number_that_goes_to_another_is_not_taken_from_it", || {
        run(async {
            let (first, _first_peer) = unix_pair();
            let number = first.as_raw_fd();
            let (second, _second_peer) = unix_pair();
            let (third, mut third_peer) = unix_pair();
            let mut fd = AsyncFd::new(first).unwrap();
            assert!(poll_once(fd.readable()).await.is_none());
            // This closes the first stream. The next descriptor gets the lowest number that is free, which is its
            // number.
            *fd.get_mut() = second;
            let stranger = AsyncFd::new(third.try_clone().unwrap()).unwrap();
            assert_eq!(stranger.as_raw_fd(), number);
            assert!(poll_once(stranger.readable()).await.is_none());
            // This registers the stream, deregisters it, and closes it.
            assert!(poll_once(fd.readable()).await.is_none());
            fd.get_mut();
            drop(fd);
            yield_now().await;
            third_peer.write_all(b"hello").unwrap();
            assert!(stranger.readable().await.unwrap().ready().is_readable());
        });
    });
}

#[test]
fn calls_that_need_it_for_themselves() {
    run(async {
        let (a, mut b) = unix_pair();
        let mut a = AsyncFd::new(a).unwrap();
        let mut buffer = [0; 8];
        let mut tries = 0;
        let read = |a: &mut UnixStream| {
            tries += 1;
            a.read(&mut buffer)
        };
        let (count, ()) = zip(a.async_io_mut(Interest::READABLE, read), async {
            yield_now().await;
            b.write_all(b"hello").unwrap();
        })
        .await;
        assert_eq!((count.unwrap(), tries), (5, 2));
        let again = a.try_io_mut(Interest::READABLE, |a| a.read(&mut buffer));
        assert_eq!(again.unwrap_err().kind(), ErrorKind::WouldBlock);
        // If the descriptor is known not to be ready, the operation is not called at all.
        assert!(poll_once(a.readable()).await.is_none());
        let called = a.try_io_mut(Interest::READABLE, |_| -> io::Result<()> { panic!("called") });
        if runtime::Handle::current().selector().to_string() == "epoll" {
            assert_eq!(called.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        let error = a.async_io_mut(Interest::WRITABLE, |_| io::Result::<()>::Err(ErrorKind::Other.into()));
        assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Other);
    });
}

#[test]
fn calls_that_are_always_ready_let_others_have_their_turn() {
    run(async {
        let (a, _b) = unix_pair();
        let flood = spawn(async move {
            let mut a = AsyncFd::new(a).unwrap();
            loop {
                a.async_io_mut(Interest::WRITABLE, |_| Ok(())).await.unwrap();
            }
        });
        yield_now().await;
        yield_now().await;
        flood.abort();
        assert!(flood.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn taken_out_on_another_thread_it_leaves_nothing_behind() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let (a, mut b) = unix_pair();
    let mut a = AsyncFd::new(a).unwrap();
    runtime.block_on(async { assert!(poll_once(a.readable()).await.is_none()) });
    assert_eq!(runtime.metrics().io_sources, 1);
    let mut a = thread::spawn(move || {
        a.get_mut().set_nonblocking(true).unwrap();
        a
    })
    .join()
    .unwrap();
    runtime.block_on(yield_now());
    runtime.block_on(runtime::time::sleep(std::time::Duration::from_millis(1)));
    assert_eq!(runtime.metrics().io_sources, 0);
    b.write_all(b"hello").unwrap();
    runtime.block_on(async { assert!(a.readable_mut().await.unwrap().ready().is_readable()) });
    assert_eq!(runtime.metrics().io_sources, 1);
}

#[test]
fn what_is_refused_comes_back() {
    run(async {
        let (a, _b) = unix_pair();
        let number = a.as_raw_fd();
        let first = AsyncFd::new(a.as_fd()).unwrap();
        let constructors: [fn(_) -> _; 4] = [
            AsyncFd::try_new,
            AsyncFd::register,
            |fd| AsyncFd::try_with_interest(fd, Interest::READABLE),
            |fd| AsyncFd::register_with_interest(fd, Interest::READABLE),
        ];
        for constructor in constructors {
            let refused = constructor(a.as_fd()).unwrap_err();
            assert!(format!("{refused:?} {refused}").contains("exists"), "{refused:?}");
            assert!(std::error::Error::source(&refused).is_some());
            let (back, cause) = refused.into_parts();
            assert_eq!((back.as_raw_fd(), cause.raw_os_error()), (number, Some(libc::EEXIST)));
            assert_eq!(io::Error::from(constructor(back).unwrap_err()).raw_os_error(), Some(libc::EEXIST));
        }
        drop(first);
        for constructor in constructors {
            drop(constructor(a.as_fd()).unwrap());
        }
    });
}
