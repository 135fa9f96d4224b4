//! The whole loop in small tests, which Miri interprets and which also run natively.
//!
//! There are tasks, wakers from other threads, a runtime that is dropped meanwhile, timers, and a connection over
//! loopback through the real reactor: Miri has epoll, eventfd and TCP. The tests with `foreign` in their names are
//! interpreted over many schedules.

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::{Duration, sleep, timeout};
use runtime::{Handle, Runtime};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Poll, Waker};
use std::thread;

const ROUNDS: usize = if cfg!(miri) { 4 } else { 2000 };

#[test]
fn tasks_join_abort_and_panic() {
    runtime::block_on(async {
        let shared = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let shared = shared.clone();
                runtime::spawn(async move {
                    for _ in 0..n {
                        runtime::task::yield_now().await;
                    }
                    shared.set(shared.get() + n);
                    Box::new(n)
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(*task.await.unwrap(), n);
        }
        assert_eq!((shared.get(), Rc::strong_count(&shared)), (45, 1));

        let held = shared.clone();
        let waiting = runtime::spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        runtime::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(Rc::strong_count(&shared), 1);

        let failing = runtime::spawn(async { panic!("as planned") });
        assert!(failing.await.unwrap_err().is_panic());
    });
}

#[test]
fn echo_over_loopback() {
    runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = runtime::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 16];
            loop {
                let count = stream.read(&mut buffer).await.unwrap();
                if count == 0 {
                    return;
                }
                stream.write_all(&buffer[..count]).await.unwrap();
            }
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        for round in 0..5u8 {
            let message = [round; 40];
            client.write_all(&message).await.unwrap();
            let mut back = [0; 40];
            client.read_exact(&mut back).await.unwrap();
            assert_eq!(back, message);
        }
        drop(client);
        server.await.unwrap();
    });
}

#[test]
fn timers_and_a_socket_that_stays_silent() {
    let runtime = runtime::Builder::new_current_thread().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = [30, 10, 20]
            .map(|ms| {
                let order = order.clone();
                runtime::spawn(async move {
                    sleep(Duration::from_millis(ms)).await;
                    order.borrow_mut().push(ms);
                })
            })
            .into();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.borrow(), [10, 20, 30]);
        assert!(timeout(Duration::from_millis(5), listener.accept()).await.is_err());
    });
}

/// The poll that a wake causes sees the data written before the wake, also if the task was woken already.
#[test]
fn foreign_wakes_carry_what_was_written_before() {
    for _ in 0..ROUNDS {
        let runtime = Runtime::new().unwrap();
        let data = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        let sum = runtime.block_on(async {
            poll_fn(|cx| {
                if threads.is_empty() {
                    for _ in 0..2 {
                        let (data, waker) = (data.clone(), cx.waker().clone());
                        threads.push(thread::spawn(move || {
                            data.fetch_add(1, Ordering::Relaxed);
                            waker.wake_by_ref();
                        }));
                    }
                }
                match data.load(Ordering::Relaxed) {
                    2 => Poll::Ready(2),
                    _ => Poll::Pending,
                }
            })
            .await
        });
        assert_eq!(sum, 2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// A thread wakes, clones and drops the waker of a task while the runtime is dropped.
#[test]
fn foreign_wakes_race_the_end_of_the_runtime() {
    for _ in 0..ROUNDS {
        let runtime = Runtime::new().unwrap();
        let (sender, receiver) = mpsc::channel::<Waker>();
        drop(runtime.spawn(poll_fn(move |cx| {
            sender.send(cx.waker().clone()).unwrap();
            Poll::<()>::Pending
        })));
        runtime.block_on(runtime::task::yield_now());
        let waker = receiver.recv().unwrap();
        let start = Arc::new(Barrier::new(2));
        let thread = thread::spawn({
            let start = start.clone();
            move || {
                start.wait();
                for _ in 0..5 {
                    waker.wake_by_ref();
                    let clone = waker.clone();
                    clone.wake_by_ref();
                    clone.wake();
                }
            }
        });
        start.wait();
        drop(runtime);
        thread.join().unwrap();
    }
}

#[test]
fn foreign_threads_spawn_and_wait() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let threads: Vec<_> = (0..3u32)
        .map(|n| {
            let handle = handle.clone();
            thread::spawn(move || {
                handle.block_on(async move { Handle::current().spawn(async move { n * 2 }).await })
            })
        })
        .collect();
    let sum: u32 = runtime.block_on(async {
        let joined = runtime::task::spawn_blocking(move || {
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).sum::<u32>()
        });
        joined.await.unwrap()
    });
    assert_eq!(sum, 6);
}

/// A stream is dropped on another thread: it is closed there at once, and its slot is reclaimed here.
#[test]
fn foreign_drop_of_a_registered_stream() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        // There is nothing to read yet, so the wait registers the stream.
        assert!(timeout(Duration::from_millis(1), server.read(&mut byte)).await.is_err());
        let dropped = runtime::task::spawn_blocking(move || drop(server));
        assert_eq!(client.read(&mut byte).await.unwrap(), 0);
        dropped.await.unwrap();
        runtime::task::yield_now().await;
    });
}
