//! The two directions of one descriptor, in two runtimes on two threads at once.
#![cfg(not(miri))] // Megabytes, Unix sockets: nothing that it has.

mod net_support;

use net_support::{half_std_pair, poll_once, watchdog};
use runtime::Runtime;
use runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use runtime::net::{TcpStream, UnixDatagram, UnixStream};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

/// This is several times more than all buffers on the way hold.
const BULK: usize = 8 << 20;

/// Returns bytes that show if one is missing or in the wrong place.
fn pattern(length: usize) -> &'static [u8] {
    static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| (0..BULK).map(|n| (n % 251) as u8).collect());
    &PATTERN[..length]
}

/// Sends everything back, until the end.
fn echo(mut stream: impl Read + Write + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..count]).unwrap();
        }
    })
}

/// Writes a bulk in one runtime, and reads what comes back in another, on another thread.
fn there_and_back(
    mut reader: impl AsyncRead + Unpin + Send + 'static,
    mut writer: impl AsyncWrite + Unpin + Send + 'static,
) {
    let writing = thread::spawn(move || {
        runtime::block_on(async move {
            writer.write_all(pattern(BULK)).await?;
            writer.close().await
        })
    });
    let read = runtime::block_on(async move {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).await.map(|_| back)
    });
    writing.join().unwrap().unwrap();
    assert!(read.unwrap() == pattern(BULK));
}

fn unix_pair() -> (UnixStream, std::os::unix::net::UnixStream) {
    let (ours, other) = std::os::unix::net::UnixStream::pair().unwrap();
    (UnixStream::from_std(ours).unwrap(), other)
}

#[test]
fn owned_halves_of_a_connection_work_on_two_threads() {
    let _watchdog = watchdog();
    let (ours, other) = half_std_pair().unwrap();
    let echoing = echo(other);
    let (reader, writer) = ours.into_split();
    there_and_back(reader, writer);
    echoing.join().unwrap();
    let (ours, other) = unix_pair();
    let echoing = echo(other);
    let (reader, writer) = ours.into_split();
    there_and_back(reader, writer);
    echoing.join().unwrap();
}

#[test]
fn halves_of_any_stream_work_on_two_threads() {
    let _watchdog = watchdog();
    let (ours, other) = half_std_pair().unwrap();
    let echoing = echo(other);
    let (reader, writer) = runtime::io::split(ours);
    there_and_back(reader, writer);
    echoing.join().unwrap();
    let (ours, other) = unix_pair();
    let echoing = echo(other);
    let (reader, writer) = runtime::io::split(ours);
    there_and_back(reader, writer);
    echoing.join().unwrap();
}

/// A stream that is read and written by shared reference.
struct Shared(Arc<TcpStream>);

impl AsyncRead for Shared {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut [u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut &*self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut &*self.0).poll_write(cx, buffer)
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut &*self.0).poll_flush(cx)
    }

    fn poll_close(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut &*self.0).poll_close(cx)
    }
}

#[test]
fn a_shared_connection_is_read_and_written_on_two_threads() {
    let _watchdog = watchdog();
    let (ours, other) = half_std_pair().unwrap();
    let echoing = echo(other);
    let ours = Arc::new(ours);
    there_and_back(Shared(ours.clone()), Shared(ours.clone()));
    drop(ours);
    echoing.join().unwrap();
}

/// A runtime on a thread of its own, which runs the futures that it is sent.
struct Elsewhere {
    handle: runtime::Handle,
    stop: Sender<()>,
    thread: Option<thread::JoinHandle<usize>>,
}

impl Elsewhere {
    fn new() -> Elsewhere {
        let (sender, handles) = channel();
        let (stop, stopped) = channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            sender.send(runtime.handle().clone()).unwrap();
            runtime.block_on(async {
                runtime::task::spawn_blocking(move || stopped.recv()).await.unwrap().unwrap();
            });
            runtime.metrics().io_sources
        });
        Elsewhere { handle: handles.recv().unwrap(), stop, thread: Some(thread) }
    }

    /// Runs a future there, and waits for the result.
    fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        self.start(future).recv().unwrap()
    }

    /// Starts a future there, and returns the receiver of its result.
    fn start<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Receiver<T> {
        let (sender, receiver) = channel();
        drop(self.handle.spawn(async move { drop(sender.send(future.await)) }));
        receiver
    }

    /// Ends the thread, and returns the number of descriptors that its runtime watches in the end.
    fn stop(mut self) -> usize {
        self.stop.send(()).unwrap();
        self.thread.take().unwrap().join().unwrap()
    }
}

/// Both sides have to wait for each message, many times.
#[test]
fn halves_that_wait_again_and_again_do_not_disturb_each_other() {
    let _watchdog = watchdog();
    let (one, two) = (Elsewhere::new(), Elsewhere::new());
    let (ours, mut other) = half_std_pair().unwrap();
    let (mut reader, mut writer) = ours.into_split();
    let reading = one.start(async move {
        let mut total = 0;
        let mut buffer = [0; 64];
        loop {
            match reader.read(&mut buffer).await {
                Ok(0) => break (total, reader),
                Ok(count) => total += count,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let data = pattern(BULK);
    let writing = two.start(async move {
        writer.write_all(data).await.unwrap();
        writer
    });
    // The stream is fed a byte at a time and read in between, so that each side waits nearly all the time.
    let mut back = vec![0; BULK];
    for piece in back.chunks_mut(1 << 14) {
        other.write_all(b"x").unwrap();
        other.read_exact(piece).unwrap();
    }
    assert!(back == data);
    let writer = writing.recv().unwrap();
    other.shutdown(std::net::Shutdown::Write).unwrap();
    let (total, reader) = reading.recv().unwrap();
    assert_eq!(total, BULK >> 14);
    drop((reader, writer));
    // The turn that follows deregisters the remaining half, because of a message.
    one.run(async {});
    two.run(async {});
    assert_eq!((one.stop(), two.stop()), (0, 0));
}

/// Makes the halves of a stream wait in two runtimes.
fn split_between(
    one: &Elsewhere,
    two: &Elsewhere,
) -> (runtime::net::tcp::OwnedReadHalf, runtime::net::tcp::OwnedWriteHalf, std::net::TcpStream) {
    let (ours, mut other) = half_std_pair().unwrap();
    let (mut reader, mut writer) = ours.into_split();
    let reading = one.start(async move {
        reader.read_exact(&mut [0]).await.unwrap();
        reader
    });
    let writing = two.start(async move {
        writer.write_all(pattern(BULK)).await.unwrap();
        writer
    });
    let mut back = vec![0; BULK];
    other.read_exact(&mut back).unwrap();
    assert!(back == pattern(BULK));
    other.write_all(b"x").unwrap();
    (reading.recv().unwrap(), writing.recv().unwrap(), other)
}

/// Sends data and reads it back, by two halves at once and by one task that waits for both directions.
async fn use_as_a_whole(mut stream: TcpStream) -> TcpStream {
    for length in [1, 100, BULK] {
        let data = pattern(length);
        let (mut reader, mut writer) = stream.split();
        let mut back = vec![0; length];
        let both = futures_lite::future::try_zip(reader.read_exact(&mut back), writer.write_all(data));
        both.await.unwrap();
        assert!(back == data);
    }
    let (mut sent, mut received) = (0, 0);
    let (data, mut buffer) = (pattern(BULK), vec![0; 1 << 16]);
    while received < BULK {
        let interest = if sent < BULK { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let ready = stream.ready(interest).await.unwrap();
        if ready.is_writable() {
            match stream.try_write(&data[sent..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                count => sent += count.unwrap(),
            }
        }
        if ready.is_readable() {
            match stream.try_read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                count => received += count.unwrap(),
            }
        }
    }
    stream
}

#[test]
fn halves_that_come_together_again_are_one_stream() {
    let _watchdog = watchdog();
    for home in 0..3 {
        let (one, two) = (Elsewhere::new(), Elsewhere::new());
        let (reader, writer, other) = split_between(&one, &two);
        let echoing = echo(other);
        let stream = reader.reunite(writer).unwrap();
        match home {
            0 => drop(one.run(use_as_a_whole(stream))),
            1 => drop(two.run(use_as_a_whole(stream))),
            _ => {
                let runtime = Runtime::new().unwrap();
                let stream = runtime.block_on(use_as_a_whole(stream));
                assert_eq!(runtime.metrics().io_sources, 1, "it is registered once");
                drop(stream);
                assert_eq!(runtime.metrics().io_sources, 0);
            }
        }
        echoing.join().unwrap();
        one.run(async {});
        two.run(async {});
        assert_eq!((one.stop(), two.stop()), (0, 0));
    }
}

#[test]
fn halves_go_from_thread_to_thread() {
    let _watchdog = watchdog();
    let places = [Elsewhere::new(), Elsewhere::new(), Elsewhere::new()];
    let (mut reader, mut writer, other) = split_between(&places[0], &places[1]);
    let echoing = echo(other);
    for round in 0..180 {
        // The rounds cover all pairs of places, also twice the same, and futures that take a moment, a while, or wait
        // many times.
        let (reads, writes) = (&places[round % 3], &places[round / 3 % 3]);
        let length = [1, 1000, 1 << 18, 4 << 20][if round % 20 == 19 { 3 } else { round / 9 % 3 }];
        let reading = reads.start(async move {
            // A read that is dropped leaves its waker behind.
            let mut back = vec![0; length];
            let mut count = poll_once(reader.read(&mut back[..1])).await.map_or(0, Result::unwrap);
            while count < length {
                count += reader.read(&mut back[count..]).await.unwrap();
            }
            assert!(back == pattern(length));
            reader
        });
        let writing = writes.start(async move {
            writer.write_all(pattern(length)).await.unwrap();
            writer
        });
        (reader, writer) = (reading.recv().unwrap(), writing.recv().unwrap());
    }
    drop(writer);
    drop(reader);
    echoing.join().unwrap();
    for place in places {
        place.run(async {});
        assert_eq!(place.stop(), 0);
    }
}

#[test]
fn timeouts_of_the_halves_go_on_where_they_wait() {
    let _watchdog = watchdog();
    let (one, two) = (Elsewhere::new(), Elsewhere::new());
    let (mut reader, mut writer, mut other) = split_between(&one, &two);
    reader.as_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    reader.as_ref().set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    for _ in 0..3 {
        let reading = one.start(async move {
            let started = Instant::now();
            let error = reader.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(started.elapsed() >= Duration::from_millis(20));
            reader
        });
        let writing = two.start(async move {
            let error = loop {
                if let Err(error) = writer.write(&[0; 1 << 16]).await {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            writer
        });
        (reader, writer) = (reading.recv().unwrap(), writing.recv().unwrap());
    }
    other.write_all(b"x").unwrap();
    one.run(async move { reader.read_exact(&mut [0]).await.unwrap() });
}

#[test]
fn datagrams_are_sent_and_received_on_two_threads() {
    let _watchdog = watchdog();
    let (one, two) = (Elsewhere::new(), Elsewhere::new());
    let (ours, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let ours = Arc::new(UnixDatagram::from_std(ours).unwrap());
    let count = 5000;
    let receiving = one.start({
        let ours = ours.clone();
        async move {
            let mut buffer = [0; 8];
            for number in 0..count as u32 {
                assert_eq!(ours.recv(&mut buffer).await.unwrap(), 4);
                assert_eq!(buffer[..4], number.to_ne_bytes());
            }
        }
    });
    let sending = two.start(async move {
        for number in 0..count as u32 {
            ours.send(&number.to_ne_bytes()).await.unwrap();
        }
    });
    for _ in 0..count {
        let mut buffer = [0; 8];
        let length = other.recv(&mut buffer).unwrap();
        other.send(&buffer[..length]).unwrap();
    }
    receiving.recv().unwrap();
    sending.recv().unwrap();
}

#[test]
fn two_who_wait_for_the_same_direction_are_told() {
    let _watchdog = watchdog();
    let (one, two) = (Elsewhere::new(), Elsewhere::new());
    let (reader, writer, mut other) = split_between(&one, &two);
    let stream = Arc::new(reader.reunite(writer).unwrap());
    // One of them gets an error, and the other goes on.
    let (sender, results) = channel();
    for place in [&one, &two] {
        let (stream, sender) = (stream.clone(), sender.clone());
        drop(place.start(async move { sender.send((&*stream).read(&mut [0; 8]).await).unwrap() }));
    }
    let error = results.recv().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    other.write_all(b"x").unwrap();
    assert_eq!(results.recv().unwrap().unwrap(), 1);
    // The next reader is served.
    other.write_all(b"x").unwrap();
    assert_eq!(one.run(async move { (&*stream).read(&mut [0; 8]).await }).unwrap(), 1);
}

#[test]
fn a_half_that_waits_is_left_alone_when_the_other_is_dropped() {
    let _watchdog = watchdog();
    let (one, two) = (Elsewhere::new(), Elsewhere::new());
    let (mut reader, writer, mut other) = split_between(&one, &two);
    let (mut reader, is_waiting) = one.run(async move {
        let is_waiting = poll_once(reader.read(&mut [0; 8])).await.is_none();
        (reader, is_waiting)
    });
    assert!(is_waiting);
    let reading = one.start(async move { reader.read(&mut [0; 8]).await });
    two.run(async move { drop(writer) });
    assert_eq!(other.read(&mut [0; 8]).unwrap(), 0, "the end");
    other.write_all(b"hello").unwrap();
    assert_eq!(reading.recv().unwrap().unwrap(), 5);
    one.run(async {});
    two.run(async {});
    assert_eq!((one.stop(), two.stop()), (0, 0));
}
