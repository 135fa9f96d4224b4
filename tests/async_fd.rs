//! `AsyncFd`: descriptors of all kinds, guards, and what they promise.
// The descriptors that stand for all kinds here are Linux's.
#![cfg(any(target_os = "linux", target_os = "android"))]
#![expect(unsafe_code, reason = "eventfd, memfd_create, pidfd_open and epoll_create1")]

mod net_support;

use futures_lite::future::zip;
use net_support::{poll_once, run, watchdog};
use runtime::io::{Interest, Ready};
use runtime::net::{AsyncFd, AsyncFdReadyGuard};
use runtime::selector::Kind;
use runtime::task::yield_now;
use runtime::{Handle, Runtime, spawn, time};
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

fn owned(fd: RawFd) -> File {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the caller has just made it.
    File::from(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn eventfd() -> File {
    // SAFETY: takes two numbers.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

fn add(mut eventfd: &File, count: u64) {
    eventfd.write_all(&count.to_ne_bytes()).unwrap();
}

fn take(mut eventfd: &File) -> io::Result<u64> {
    let mut count = [0; 8];
    eventfd.read_exact(&mut count).map(|()| u64::from_ne_bytes(count))
}

fn unix_pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

fn pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    for end in [reader.as_fd(), writer.as_fd()] {
        socket2::SockRef::from(&end).set_nonblocking(true).unwrap();
    }
    (reader, writer)
}

#[test]
fn it_goes_where_its_descriptor_goes() {
    fn of_many_threads<T: Send + Sync>(value: T) -> T {
        value
    }
    run(of_many_threads_future(async {
        let fd = of_many_threads(AsyncFd::new(eventfd()).unwrap());
        drop(of_many_threads_future(fd.readable()));
        drop(of_many_threads_future(fd.async_io(Interest::READABLE, |_| Ok(()))));
        add(fd.get_ref(), 1);
        of_many_threads(fd.readable().await.unwrap()).clear_ready();
    }));

    fn of_many_threads_future<F: Future + Send>(future: F) -> F {
        future
    }
}

#[test]
#[cfg_attr(miri, ignore = "it has no memfd")]
fn what_cannot_be_waited_for_is_refused_at_once() {
    run(async {
        // SAFETY: the name ends in a zero.
        let memory = owned(unsafe { libc::memfd_create(c"memory".as_ptr(), libc::MFD_CLOEXEC) });
        for file in [File::open("Cargo.toml"), File::open("."), Ok(memory)] {
            assert_eq!(AsyncFd::new(file.unwrap()).unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
        let null = AsyncFd::new(File::open("/dev/null").unwrap());
        match Handle::current().selector() {
            Kind::Epoll | Kind::EpollLevel => {
                assert_eq!(null.unwrap_err().raw_os_error(), Some(libc::EPERM));
            }
            _ => drop(null.unwrap().readable().await.unwrap()),
        }
        // SAFETY: takes a number.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) });
        for file in [eventfd(), epoll] {
            AsyncFd::new(file).unwrap();
        }
        // The descriptor is neither closed twice nor left registered.
        yield_now().await;
    });
    // Without a runtime, the first wait returns the error.
    let fd = AsyncFd::new(File::open("Cargo.toml").unwrap()).unwrap();
    let error = runtime::block_on(async { fd.readable().await.unwrap_err() });
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    let error = runtime::block_on(
        fd.async_io(Interest::WRITABLE, |_| io::Result::<()>::Err(ErrorKind::WouldBlock.into())),
    );
    assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EPERM));
}

#[test]
fn one_descriptor_is_registered_once_and_a_duplicate_again() {
    run(async {
        let fd = eventfd();
        let first = AsyncFd::new(fd.as_fd()).unwrap();
        assert_eq!(AsyncFd::new(fd.as_fd()).unwrap_err().raw_os_error(), Some(libc::EEXIST));
        let duplicate = fd.try_clone().unwrap();
        let second = AsyncFd::new(duplicate.as_fd()).unwrap();
        let (one, other) = zip(first.readable(), async {
            add(&fd, 1);
            second.readable().await
        })
        .await;
        drop((one.unwrap(), other.unwrap()));
        // Once the first registration has been removed, the descriptor may be registered again.
        drop(first);
        let first = AsyncFd::new(fd.as_fd()).unwrap();
        assert!(first.readable().await.unwrap().ready().is_readable(), "and says what is there already");
    });
}

#[test]
#[cfg_attr(miri, ignore = "it has no processes")]
fn nothing_is_ready_before_the_kernel_says_so() {
    run(async {
        // A pidfd is readable when its process has ended, which no read would show.
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        // SAFETY: takes two numbers.
        let pidfd = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) } as RawFd);
        let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE).unwrap();
        for _ in 0..3 {
            assert!(poll_once(pidfd.readable()).await.is_none());
            time::sleep(Duration::from_millis(1)).await;
        }
        drop(child.stdin.take());
        let guard = pidfd.readable().await.unwrap();
        assert!(child.try_wait().unwrap().is_some());
        drop(guard);
        // It stays readable, because no guard has cleared the readiness.
        assert!(poll_once(pidfd.readable()).await.is_some());
    });
}

#[test]
fn a_guard_that_is_cleared_waits_for_the_next_event() {
    run(async {
        let fd = AsyncFd::new(eventfd()).unwrap();
        for round in 1..=3 {
            add(fd.get_ref(), round);
            let mut guard = fd.readable().await.unwrap();
            assert!(guard.ready().is_readable() && !guard.ready().is_writable());
            assert_eq!(guard.try_io(|fd| take(fd.get_ref())).unwrap().unwrap(), round);
            assert!(guard.try_io(|fd| take(fd.get_ref())).is_err(), "it would block");
            assert!(poll_once(fd.readable()).await.is_none());
        }
        // The descriptor stays ready, both if the guard retains the readiness and if it is dropped.
        add(fd.get_ref(), 1);
        fd.readable().await.unwrap().retain_ready();
        assert!(poll_once(fd.readable()).await.is_some());
        take(fd.readable().await.unwrap().get_inner()).unwrap();
        assert!(poll_once(fd.readable()).await.is_some());
        fd.readable().await.unwrap().clear_ready();
        assert!(poll_once(fd.readable()).await.is_none());
    });
}

#[test]
fn an_event_newer_than_the_guard_outlives_its_clearing() {
    run(async {
        let fd = AsyncFd::new(eventfd()).unwrap();
        add(fd.get_ref(), 1);
        let mut old = fd.readable().await.unwrap();
        take(fd.get_ref()).unwrap();
        // The next event arrives while the guard is held.
        add(fd.get_ref(), 1);
        yield_now().await;
        time::sleep(Duration::from_millis(1)).await;
        old.clear_ready();
        assert!(poll_once(fd.readable()).await.is_some(), "what is there can be had");
        assert_eq!(take(fd.get_ref()).unwrap(), 1);
        // The same holds if another guard has taken that event already: the selector does not report it again.
        let mut older = fd.readable().await.unwrap();
        let mut same = fd.readable().await.unwrap();
        same.clear_ready();
        add(fd.get_ref(), 1);
        drop(fd.readable().await.unwrap());
        older.clear_ready();
        assert!(poll_once(fd.readable()).await.is_some(), "cleared by one who has not seen it");
        assert_eq!(take(fd.get_ref()).unwrap(), 1);
    });
}

#[test]
fn a_guard_cleared_in_another_runtime_clears_nothing_there() {
    run(async {
        let fd = Arc::new(AsyncFd::new(eventfd()).unwrap());
        add(fd.get_ref(), 1);
        let mut guard = fd.readable().await.unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                runtime::block_on(async {
                    // Its slot in the other runtime has the same number as the slot of the guard's descriptor here.
                    let other = AsyncFd::new(eventfd()).unwrap();
                    add(other.get_ref(), 1);
                    drop(other.readable().await.unwrap());
                    guard.clear_ready();
                    assert!(poll_once(other.readable()).await.is_some());
                });
            });
        });
        drop(guard);
        assert!(poll_once(fd.readable()).await.is_some());
    });
}

#[test]
#[cfg_attr(miri, ignore = "its socketpairs always block")]
fn sides_are_told_apart_and_cleared_apart() {
    run(async {
        let (a, mut b) = unix_pair();
        let a = AsyncFd::new(a).unwrap();
        let either = Interest::READABLE | Interest::WRITABLE;
        let guard = a.ready(either).await.unwrap();
        assert_eq!(guard.ready(), Ready::WRITABLE);
        b.write_all(b"x").unwrap();
        drop(a.readable().await.unwrap());
        let mut guard = a.ready(either).await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE | Ready::WRITABLE);
        guard.clear_ready_matching(Ready::READABLE);
        assert!(poll_once(a.readable()).await.is_none());
        let mut guard = poll_once(a.ready(either)).await.unwrap().unwrap();
        assert_eq!(guard.ready(), Ready::WRITABLE);
        guard.clear_ready();
        assert!(poll_once(a.ready(either)).await.is_none());
        drop(b);
        until_closed(&a).await;
    });
}

/// Waits until the other end of a stream is closed. Another test of this process may be spawning a child, which has that
/// end as well until it executes its program.
async fn until_closed(fd: &AsyncFd<UnixStream>) {
    loop {
        let mut guard = fd.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        if guard.ready().is_read_closed() && guard.ready().is_write_closed() {
            return;
        }
        guard.clear_ready();
    }
}

#[test]
#[cfg_attr(miri, ignore = "its socketpairs always block")]
fn who_waits_hears_of_the_other_end_going() {
    run(async {
        // A writer has no room, and its reader is closed.
        let (reader, writer) = pipe();
        let writer = Rc::new(AsyncFd::new(writer).unwrap());
        let write = |mut pipe: &PipeWriter| pipe.write(&[0; 4096]);
        while writer.try_io(Interest::WRITABLE, write).is_ok() {}
        let task = spawn({
            let writer = writer.clone();
            async move { writer.async_io(Interest::WRITABLE, write).await }
        });
        yield_now().await;
        assert!(!task.is_finished());
        drop(reader);
        assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
        // A reader waits, and its writer is closed.
        let (reader, writer) = pipe();
        let reader = AsyncFd::new(reader).unwrap();
        let read = reader.async_io(Interest::READABLE, |mut pipe| pipe.read(&mut [0]));
        let (count, ()) = zip(read, async {
            yield_now().await;
            drop(writer);
        })
        .await;
        assert_eq!(count.unwrap(), 0);
        // A task waits for either side of a stream, and the peer is closed.
        let (a, b) = unix_pair();
        let a = Rc::new(AsyncFd::new(a).unwrap());
        while a.try_io(Interest::WRITABLE, |mut a| a.write(&[0; 4096])).is_ok() {}
        let sides = [Interest::READABLE, Interest::WRITABLE, Interest::READABLE | Interest::WRITABLE];
        let tasks = sides.map(|side| {
            let a = a.clone();
            spawn(async move { a.ready(side).await.map(|guard| guard.ready()) })
        });
        yield_now().await;
        drop(b);
        for task in tasks {
            let ready = task.await.unwrap().unwrap();
            assert!(ready.is_read_closed() || ready.is_write_closed(), "{ready:?}");
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "its socketpairs always block")]
fn operations_on_either_side_go_on_when_one_is_ready() {
    run(async {
        let (a, mut b) = unix_pair();
        let a = AsyncFd::new(a).unwrap();
        while a.try_io(Interest::WRITABLE, |mut a| a.write(&[0; 4096])).is_ok() {}
        let mut tries = 0;
        let mut read = |mut a: &UnixStream| {
            tries += 1;
            a.read(&mut [0; 8])
        };
        let either = Interest::READABLE | Interest::WRITABLE;
        let (count, ()) = zip(a.async_io(either, &mut read), async {
            yield_now().await;
            b.write_all(b"hello").unwrap();
        })
        .await;
        assert_eq!(count.unwrap(), 5);
        assert_eq!(a.try_io(either, &mut read).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(tries <= 4, "{tries}");
    });
}

#[test]
fn many_wait_for_one_and_by_hand_the_latest() {
    run(async {
        let fd = Rc::new(AsyncFd::new(eventfd()).unwrap());
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let fd = fd.clone();
                spawn(async move { fd.readable().await.map(drop) })
            })
            .collect();
        let by_hand = spawn({
            let fd = fd.clone();
            async move {
                let readable =
                    std::future::poll_fn(|cx| fd.poll_read_ready(cx).map_ok(|guard| guard.ready()));
                let writable =
                    std::future::poll_fn(|cx| fd.poll_write_ready(cx).map_ok(|guard| guard.ready()));
                zip(readable, writable).await
            }
        });
        yield_now().await;
        add(fd.get_ref(), 1);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let (readable, writable) = by_hand.await.unwrap();
        assert_eq!((readable.unwrap(), writable.unwrap()), (Ready::READABLE, Ready::WRITABLE));
    });
}

#[test]
fn a_wait_that_is_given_up_leaves_no_waker_behind() {
    struct Nothing;
    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }
    run(async {
        let ours = Arc::new(Nothing);
        let waker = Waker::from(ours.clone());
        for side in [Interest::READABLE, Interest::READABLE | Interest::WRITABLE] {
            let fd = AsyncFd::new(eventfd()).unwrap();
            fd.ready(Interest::WRITABLE).await.unwrap().clear_ready();
            let mut wait = Box::pin(fd.ready(side));
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            assert!(Arc::strong_count(&ours) > 2);
            drop(wait);
            assert_eq!(Arc::strong_count(&ours), 2, "{side:?}");
        }
    });
}

#[test]
fn taken_out_it_is_as_it_was() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let fd = runtime.block_on(async {
        let fd = AsyncFd::new(eventfd()).unwrap();
        let number = fd.as_raw_fd();
        assert!(poll_once(fd.readable()).await.is_none());
        let fd = fd.into_inner();
        assert_eq!(fd.as_raw_fd(), number);
        fd
    });
    assert_eq!(runtime.metrics().io_sources, 0);
    // A descriptor that is made outside of a runtime is registered with the runtime that waits first, and outlives
    // it.
    let fd = AsyncFd::new(fd).unwrap();
    let waits = || async { poll_once(fd.readable()).await.is_none() };
    assert!(runtime.block_on(waits()));
    assert_eq!(runtime.metrics().io_sources, 1);
    drop(runtime);
    assert!(runtime::block_on(waits()));
    add(fd.get_ref(), 1);
    runtime::block_on(async { fd.readable().await.unwrap().clear_ready() });
}

#[test]
fn operations_that_are_always_ready_let_others_have_their_turn() {
    run(async {
        let fd = Rc::new(AsyncFd::new(eventfd()).unwrap());
        add(fd.get_ref(), 1);
        drop(fd.readable().await.unwrap());
        type Operation = fn(Rc<AsyncFd<File>>) -> Pin<Box<dyn Future<Output = ()>>>;
        let operations: [Operation; 3] = [
            |fd| Box::pin(async move { drop(fd.readable().await) }),
            |fd| Box::pin(async move { drop(fd.ready(Interest::READABLE | Interest::WRITABLE).await) }),
            |fd| Box::pin(async move { drop(fd.async_io(Interest::WRITABLE, |_| Ok(())).await) }),
        ];
        for operation in operations {
            let fd = fd.clone();
            let flood = spawn(async move {
                loop {
                    operation(fd.clone()).await;
                }
            });
            yield_now().await;
            yield_now().await;
            flood.abort();
            assert!(flood.await.unwrap_err().is_cancelled());
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "it cannot show an eventfd")]
fn a_guard_says_what_it_is_of() {
    run(async {
        let fd = AsyncFd::new(eventfd()).unwrap();
        add(fd.get_ref(), 1);
        let mut guard: AsyncFdReadyGuard<'_, File> = fd.readable().await.unwrap();
        assert!(std::ptr::eq(guard.get_ref(), &fd));
        let shown = format!("{guard:?}");
        assert!(shown.contains("READABLE") && shown.contains("AsyncFd"), "{shown}");
        let error = guard.try_io(|_| io::Result::<()>::Err(ErrorKind::WouldBlock.into())).unwrap_err();
        assert_eq!(error.to_string(), "the descriptor was not ready after all");
        // Another error is returned as the result of the operation, and clears no readiness.
        add(fd.get_ref(), 1);
        let mut guard = fd.readable().await.unwrap();
        let error = guard.try_io(|_| io::Result::<()>::Err(ErrorKind::Other.into())).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(poll_once(fd.readable()).await.is_some());
    });
}
