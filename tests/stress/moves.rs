//! Streams that move between the two threads: one end stays where it is, the other is used here, then there.
//!
//! The moving end is sent through a channel, or moved into a future that is spawned on the other thread and gives it back.
//! Between two moves it is read and written in several ways, waited for in vain, or not used at all.

use super::channel::{Receiver, Sender};
use super::checks::Guard;
use super::episode::Side;
use super::random::{Pattern, Random};
use super::wakers::{hostile, poll_with};
use crate::common::yield_times;
use futures_lite::future::zip;
use runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use runtime::net::{TcpStream, UnixStream};
use runtime::time::{sleep, timeout};
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};

/// The maximum number of moves of a stream.
const MOVES_AT_MOST: u64 = 40;

/// The maximum number of bytes that are written at once. No socket takes so many whole.
const BULK: u64 = 400_000;

/// A stream of either kind.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Two ends, not yet used in any runtime.
    pub(crate) fn pair(random: &mut Random) -> io::Result<(Stream, Stream)> {
        if random.chance(50) {
            let (one, two) = UnixStream::pair()?;
            return Ok((Stream::Unix(one), Stream::Unix(two)));
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let one = std::net::TcpStream::connect(listener.local_addr()?)?;
        let (two, _) = listener.accept()?;
        let wrap = |stream: std::net::TcpStream| {
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream)
        };
        Ok((Stream::Tcp(wrap(one)?), Stream::Tcp(wrap(two)?)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_close(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}

/// The end of a stream that stays on one thread.
pub(crate) struct FixedEnd {
    stream: Stream,
    random: Random,
    reads: Pattern,
    writes: Pattern,
    length: u64,
    is_quiet: bool,
    received: Arc<AtomicU64>,
}

/// The end of a stream that moves, and what is known of the stream.
pub(crate) struct MovingEnd {
    stream: Stream,
    random: Random,
    reads: Pattern,
    writes: Pattern,
    /// The other end writes nothing until this one has ended the stream: no event comes between two moves.
    is_quiet: bool,
    /// The number of bytes that the other end writes.
    length: u64,
    /// The number of bytes that this end has written. It is set before the end of the stream.
    sent: Arc<AtomicU64>,
    moves_left: u64,
    _guard: Guard,
}

/// Makes both ends of a stream.
pub(crate) fn begin(guard: Guard, random: &mut Random) -> (FixedEnd, MovingEnd) {
    let (peer, moving) = Stream::pair(random).expect("make a pair of sockets");
    let (to_peer, from_peer) = (random.split(), random.split());
    let is_quiet = random.chance(30);
    let sent = Arc::new(AtomicU64::new(0));
    let length = if random.chance(20) { random.within(0..2 * BULK) } else { random.within(0..20_000) };
    let peer = FixedEnd {
        stream: peer,
        random: random.split(),
        reads: Pattern::new(to_peer.clone()),
        writes: Pattern::new(from_peer.clone()),
        length,
        is_quiet,
        received: sent.clone(),
    };
    let moving = MovingEnd {
        stream: moving,
        random: random.split(),
        reads: Pattern::new(from_peer),
        writes: Pattern::new(to_peer),
        is_quiet,
        length,
        sent,
        moves_left: random.within(0..MOVES_AT_MOST + 1),
        _guard: guard,
    };
    (peer, moving)
}

impl FixedEnd {
    /// Reads to the end and writes what was planned, both at once or one after the other.
    pub(crate) async fn run(self) {
        let FixedEnd { stream, mut random, mut reads, mut writes, length, is_quiet, received } = self;
        let (mut reader, mut writer) = split(stream);
        let mut read_sizes = random.split();
        let reading = async {
            loop {
                let mut buf = vec![0; read_sizes.within(1..20_000) as usize];
                match reader.read(&mut buf).await.expect("read from the moving end") {
                    0 => return reads.place,
                    count => reads.check(&buf[..count]),
                }
            }
        };
        let writing = async {
            while writes.place < length {
                let most = if random.chance(10) { BULK } else { 3000 };
                let size = random.within(1..most).min(length - writes.place) as usize;
                writer.write_all(&writes.peek(size)).await.expect("write to the moving end");
                writes.advance(size);
                pause(&mut random).await;
            }
            writer.close().await.expect("end the stream");
        };
        let count = if is_quiet {
            let count = reading.await;
            writing.await;
            count
        } else {
            zip(reading, writing).await.0
        };
        assert_eq!(count, received.load(SeqCst), "not all the bytes that were sent");
    }
}

/// One thread's part in the moves of a stream.
pub(crate) struct Relay {
    pub(crate) first: Option<MovingEnd>,
    pub(crate) inbox: Receiver<MovingEnd>,
    pub(crate) outbox: Sender<MovingEnd>,
}

impl Relay {
    /// Uses the stream whenever it comes, and passes it on, until it has moved as often as planned.
    pub(crate) async fn run(mut self, side: Side) {
        loop {
            let mut moving = match self.first.take() {
                Some(moving) => moving,
                None => match self.inbox.receive().await {
                    Some(moving) => moving,
                    None => return,
                },
            };
            if moving.random.chance(30) {
                // A task uses the stream, and returns it as its output.
                let task = runtime::spawn(use_for_a_while(moving, side.clone()));
                moving = task.await.expect("a task that uses a stream does not panic");
            } else {
                moving = use_for_a_while(moving, side.clone()).await;
            }
            if moving.moves_left >= 2 && moving.random.chance(30) {
                moving.moves_left -= 2;
                let task = side.there.spawn(use_for_a_while(moving, side.turned()));
                moving = task.await.expect("a task that uses a stream does not panic");
            }
            if moving.moves_left == 0 {
                return moving.end().await;
            }
            moving.moves_left -= 1;
            self.outbox.send(moving);
        }
    }
}

/// Uses the stream for a while.
async fn use_for_a_while(mut moving: MovingEnd, side: Side) -> MovingEnd {
    for _ in 0..moving.random.within(0..4) {
        match moving.random.within(0..7) {
            0 if !moving.is_quiet => moving.read().await,
            0 | 1 => moving.read_for_a_while().await,
            2 => moving.read_for_another(&side),
            3 => moving.write().await,
            4 => moving.write_for_another(&side),
            5 => pause(&mut moving.random).await,
            _ => moving.wait_in_vain().await,
        }
    }
    moving
}

impl MovingEnd {
    fn buf(&mut self) -> Vec<u8> {
        let most = if self.random.chance(10) { BULK } else { 5000 };
        vec![0; self.random.within(1..most) as usize]
    }

    /// Checks what a read has given: the next bytes, or the end of the stream after the last of them.
    fn has_read(&mut self, count: usize, buf: &[u8]) {
        self.reads.check(&buf[..count]);
        assert!(count > 0 || self.reads.place == self.length, "the stream ended at {}", self.reads.place);
    }

    async fn read(&mut self) {
        let mut buf = self.buf();
        let count = self.stream.read(&mut buf).await.expect("read");
        self.has_read(count, &buf);
    }

    async fn read_for_a_while(&mut self) {
        let (mut buf, limit) = (self.buf(), self.random.micros(0..300));
        if let Ok(count) = timeout(limit, self.stream.read(&mut buf)).await {
            self.has_read(count.expect("read"), &buf);
        }
    }

    /// Polls a read once with a hostile waker, and drops the future.
    fn read_for_another(&mut self, side: &Side) {
        let mut buf = self.buf();
        let waker = hostile(side, &mut self.random);
        if let Poll::Ready(count) = poll_with(&mut self.stream.read(&mut buf), &waker) {
            self.has_read(count.expect("read"), &buf);
        }
    }

    /// Waits for readiness for a moment, by a call that may have many waiters.
    async fn wait_in_vain(&mut self) {
        let limit = self.random.micros(0..100);
        // The other thread may or may not have written something to read.
        let waited = match &self.stream {
            Stream::Tcp(stream) => timeout(limit, stream.readable()).await,
            Stream::Unix(stream) => timeout(limit, stream.readable()).await,
        };
        waited.unwrap_or(Ok(())).expect("wait for readiness");
    }

    async fn write(&mut self) {
        let size = self.buf().len();
        self.stream.write_all(&self.writes.peek(size)).await.expect("write");
        self.writes.advance(size);
    }

    /// Polls a write once with a hostile waker, and drops the future.
    fn write_for_another(&mut self, side: &Side) {
        let size = self.buf().len();
        let waker = hostile(side, &mut self.random);
        let bytes = self.writes.peek(size);
        if let Poll::Ready(count) = poll_with(&mut self.stream.write(&bytes), &waker) {
            self.writes.advance(count.expect("write"));
        }
    }

    /// Ends the stream, and reads what the other end still writes.
    async fn end(mut self) {
        self.sent.store(self.writes.place, SeqCst);
        self.stream.close().await.expect("end the stream");
        let mut buf = vec![0; 10_000];
        loop {
            let count = self.stream.read(&mut buf).await.expect("read to the end");
            self.has_read(count, &buf);
            if count == 0 {
                return;
            }
        }
    }
}

async fn pause(random: &mut Random) {
    match random.within(0..4) {
        0 => yield_times(random.within(0..4) as usize).await,
        1 => sleep(random.micros(0..300)).await,
        _ => {}
    }
}
