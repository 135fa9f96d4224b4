//! TCP streams that are made on one thread and used on another, and streams that two threads use at once.

mod net_support;

use net_support::{half_std_pair, poll_once, run, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::{TcpListener, TcpStream, lookup_host};
use runtime::spawn;
use runtime::task::yield_now;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

/// Runs `future` on a thread with a runtime of its own.
fn elsewhere<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    thread::spawn(|| runtime::block_on(future)).join().unwrap()
}

#[test]
fn handles_and_futures_go_to_other_threads() {
    fn of_many_threads<T: Send + Sync>() {}
    fn send<T: Send>(value: T) -> T {
        value
    }
    of_many_threads::<TcpStream>();
    of_many_threads::<TcpListener>();
    of_many_threads::<runtime::net::Incoming<'_>>();
    of_many_threads::<runtime::net::tcp::OwnedReadHalf>();
    of_many_threads::<runtime::net::tcp::OwnedWriteHalf>();
    of_many_threads::<runtime::net::tcp::ReadHalf<'_>>();
    of_many_threads::<runtime::net::tcp::WriteHalf<'_>>();
    run(send(async {
        let listener = send(TcpListener::bind(("127.0.0.1".to_owned(), 0))).await?;
        drop(send(listener.accept()));
        drop(send(TcpStream::connect("localhost:1")));
        drop(send(lookup_host("localhost:1")));
        let mut stream = send(TcpStream::connect(listener.local_addr()?)).await?;
        drop(send(stream.readable()));
        drop(send(stream.writable()));
        drop(send(stream.ready(Interest::READABLE | Interest::WRITABLE)));
        drop(send(stream.async_io(Interest::READABLE, || Ok(()))));
        drop(send(stream.peek(&mut [])));
        drop(send(stream.read(&mut [])));
        drop(send(stream.write_all(&[])));
        let (mut reader, writer) = stream.into_split();
        drop(send(reader.peek(&mut [])));
        drop(send(writer.writable()));
        io::Result::Ok(())
    }))
    .unwrap();
}

#[test]
fn a_stream_is_used_where_it_is_taken_to() {
    run(async {
        // The streams are made on another thread, outside of any runtime.
        let (mut ours, mut other) = thread::spawn(|| half_std_pair().unwrap()).join().unwrap();
        let mut buffer = [0; 8];
        let started = runtime::Handle::current();
        for round in 0..5 {
            // The stream is registered here, with the waker of a read that was dropped.
            assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            // The stream has to wait on the other thread too, so it moves to the runtime there.
            (ours, other) = elsewhere(async move {
                let mut buffer = [0; 8];
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
                let writer = thread::spawn(move || {
                    other.write_all(b"there").unwrap();
                    other
                });
                assert_eq!(ours.read(&mut buffer).await.unwrap(), 5, "round {round}");
                (ours, writer.join().unwrap())
            });
            // The stream moves back, from a runtime that was dropped.
            other.write_all(b"here")?;
            assert_eq!(ours.read(&mut buffer).await?, 4, "round {round}");
        }
        drop(started);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_future_that_waits_goes_on_where_it_is_taken_to() {
    run(async {
        let (ours, mut other) = half_std_pair()?;
        let ours = Arc::new(ours);
        let mut read = Box::pin({
            let ours = ours.clone();
            async move {
                let mut buffer = [0; 8];
                (&*ours).read(&mut buffer).await
            }
        });
        let mut readable = Box::pin(async move { ours.readable().await });
        assert!(poll_once(&mut read).await.is_none());
        assert!(poll_once(&mut readable).await.is_none());
        let writer = thread::spawn(move || {
            other.write_all(b"hello").unwrap();
            other
        });
        elsewhere(async move {
            readable.await.unwrap();
            assert_eq!(read.await.unwrap(), 5);
        });
        writer.join().unwrap();
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn two_threads_at_once_are_told_and_neither_hangs() {
    let _watchdog = watchdog();
    for _ in 0..20 {
        let (ours, mut other) = half_std_pair().unwrap();
        let ours = Arc::new(ours);
        let (sender, receiver) = std::sync::mpsc::channel();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (ours, sender) = (ours.clone(), sender.clone());
                thread::spawn(move || {
                    let read = runtime::block_on(async { (&*ours).read(&mut [0; 8]).await });
                    sender.send(read.map_err(|error| error.kind())).unwrap();
                })
            })
            .collect();
        // Without data, the two runtimes take the stream from each other, until one of them gets an error.
        assert_eq!(receiver.recv().unwrap(), Err(ErrorKind::ResourceBusy));
        other.write_all(b"hello").unwrap();
        assert_eq!(receiver.recv().unwrap(), Ok(5));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn dropped_on_a_foreign_thread_a_stream_is_closed_at_once() {
    run(async {
        let (mut ours, mut other) = half_std_pair()?;
        assert!(poll_once(ours.read(&mut [0])).await.is_none());
        // This thread is blocked meanwhile, so its loop has no part in it.
        let dropper = thread::spawn(move || drop(ours));
        assert_eq!(other.read(&mut [0; 8])?, 0);
        dropper.join().unwrap();
        // Neither the registration that is left nor the next socket with the same number is disturbed.
        let (mut next, mut other) = half_std_pair()?;
        yield_now().await;
        assert!(poll_once(next.read(&mut [0])).await.is_none());
        other.write_all(b"x")?;
        assert_eq!(next.read(&mut [0]).await?, 1);
        io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_shutdown_wakes_the_waiting_tasks() {
    run(async {
        let (ours, _other) = half_std_pair()?;
        let ours = Rc::new(ours);
        let reader = spawn({
            let ours = ours.clone();
            async move { (&*ours).read(&mut [0; 8]).await }
        });
        yield_now().await;
        ours.shutdown_std(Shutdown::Read)?;
        assert_eq!(reader.await.unwrap()?, 0);
        io::Result::Ok(())
    })
    .unwrap();
}
