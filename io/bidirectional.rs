//! Both directions of a copy, and what a caller may ask for beyond the plain functions: a limit on the time in which
//! nothing moves, and counts that outlive an error.
//!
//! Each direction has a mover, and is closed when its mover has come to the end. Which kind of mover that is, one
//! with a buffer or one that splices, is all that `copy_bidirectional` and `splice_bidirectional` differ in.

use super::lent::BUFFER_SIZE;
use super::pump::Pump;
use super::splice::pump::SplicePump;
use crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd};
use crate::task::coop;
use crate::time::{Instant, Sleep, sleep_until};
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Options of a copy in both directions, as with [`copy_bidirectional`](super::copy_bidirectional) and
/// [`splice_bidirectional`](super::splice_bidirectional).
///
/// # Examples
///
/// A proxy that ends a connection after five minutes in which nothing was sent in either direction, and writes down how
/// many bytes went through it, whatever the end was:
///
/// ```
/// use runtime::io::{BidirectionalOptions, BidirectionalProgress};
/// use runtime::net::TcpStream;
/// use runtime::time::Duration;
///
/// const OPTIONS: BidirectionalOptions<'_> =
///     BidirectionalOptions::new().idle_timeout(Some(Duration::from_secs(300)));
///
/// async fn forward(mut client: TcpStream, mut server: TcpStream) {
///     let progress = BidirectionalProgress::new();
///     let result = OPTIONS.progress(&progress).splice(&mut client, &mut server).await;
///     println!("{} bytes there, {} back: {result:?}", progress.a_to_b(), progress.b_to_a());
/// }
/// # runtime::block_on(async {
/// # let listener = runtime::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
/// # let (one, other) = (TcpStream::connect(listener.local_addr().unwrap()).await, listener.accept().await);
/// # let (two, far) = (TcpStream::connect(listener.local_addr().unwrap()).await, listener.accept().await);
/// # drop((one, far));
/// # forward(other.unwrap().0, two.unwrap()).await;
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing unless `copy` or `splice` is called"]
pub struct BidirectionalOptions<'a> {
    a_to_b_buf_size: usize,
    b_to_a_buf_size: usize,
    idle_timeout: Option<Duration>,
    progress: Option<&'a BidirectionalProgress>,
}

impl<'a> BidirectionalOptions<'a> {
    /// Returns the options of the plain functions: buffers of 16 KiB, no timeout, and no progress.
    pub const fn new() -> BidirectionalOptions<'a> {
        BidirectionalOptions {
            a_to_b_buf_size: BUFFER_SIZE,
            b_to_a_buf_size: BUFFER_SIZE,
            idle_timeout: None,
            progress: None,
        }
    }

    /// Sets the sizes of the two buffers in bytes, at least one.
    ///
    /// Buffers of another size than the usual 16 KiB are not shared between connections: one is allocated whenever
    /// something comes.
    pub const fn buf_sizes(self, a_to_b: usize, b_to_a: usize) -> BidirectionalOptions<'a> {
        BidirectionalOptions { a_to_b_buf_size: a_to_b, b_to_a_buf_size: b_to_a, ..self }
    }

    /// Sets how long the whole connection may be idle. `None`, the default, is without limit.
    ///
    /// The copy fails with [`TimedOut`](io::ErrorKind::TimedOut) once no byte has been read or written for this time,
    /// in *either* direction. A client that is silent during a long download is not cut off, as it would be by
    /// `TcpStream::set_read_timeout`. A peer that takes nothing is: when all buffers on the way are full, no byte
    /// moves. The timeout applies as well after one stream has come to its end, and while a stream is closed. It
    /// never comes early.
    ///
    /// The timeout costs one timer for each connection, which is not touched for each message, and one reading of the
    /// clock for each poll in which bytes have moved.
    pub const fn idle_timeout(self, timeout: Option<Duration>) -> BidirectionalOptions<'a> {
        BidirectionalOptions { idle_timeout: timeout, ..self }
    }

    /// Sets where the copy writes down how many bytes it has copied.
    ///
    /// The counts can be read while the copy runs, and after it has failed, timed out, or been dropped.
    pub const fn progress(self, progress: &'a BidirectionalProgress) -> BidirectionalOptions<'a> {
        BidirectionalOptions { progress: Some(progress), ..self }
    }

    /// Copies both ways through buffers, as [`copy_bidirectional`](super::copy_bidirectional) does.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: bytes that were read and not yet written are lost.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`copy_bidirectional`](super::copy_bidirectional), and
    /// [`TimedOut`](io::ErrorKind::TimedOut) if there is an [`idle_timeout`](BidirectionalOptions::idle_timeout) and it
    /// is over. Neither stream is closed then. Dropping them closes them.
    ///
    /// # Panics
    ///
    /// Panics if one of the two claims more bytes than there were, and if there is an idle timeout and no runtime is
    /// entered on this thread.
    pub async fn copy<A, B>(self, a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
    where
        A: AsyncRead + AsyncWrite + Unpin + ?Sized,
        B: AsyncRead + AsyncWrite + Unpin + ?Sized,
    {
        self.watch(Both::new(a, b, Pump::new(self.a_to_b_buf_size), Pump::new(self.b_to_a_buf_size))).await
    }

    /// Copies both ways within the kernel where that is possible, as
    /// [`splice_bidirectional`](super::splice_bidirectional) does.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: bytes that were read and not yet written are lost.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`copy`](BidirectionalOptions::copy).
    ///
    /// # Panics
    ///
    /// Panics if there is an idle timeout and no runtime is entered on this thread.
    pub async fn splice<A, B>(self, a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
    where
        A: AsyncReadFd + AsyncWriteFd + Unpin + ?Sized,
        B: AsyncReadFd + AsyncWriteFd + Unpin + ?Sized,
    {
        let movers = (SplicePump::new(self.a_to_b_buf_size), SplicePump::new(self.b_to_a_buf_size));
        self.watch(Both::new(a, b, movers.0, movers.1)).await
    }

    fn watch<F>(self, both: F) -> Watched<'a, F> {
        Watched { both, progress: self.progress, idle: self.idle_timeout.map(Idle::new) }
    }
}

impl Default for BidirectionalOptions<'_> {
    fn default() -> Self {
        BidirectionalOptions::new()
    }
}

/// The numbers of bytes that a copy in both directions has copied so far: those that the writers have taken.
///
/// They are brought up to date at the end of each poll of the copy. They can be read on any thread. When several copies
/// use the same progress one after the other, the counts are those of the latest.
#[derive(Debug, Default)]
pub struct BidirectionalProgress {
    a_to_b: AtomicU64,
    b_to_a: AtomicU64,
}

impl BidirectionalProgress {
    /// Returns a progress of which both counts are 0.
    pub const fn new() -> BidirectionalProgress {
        BidirectionalProgress { a_to_b: AtomicU64::new(0), b_to_a: AtomicU64::new(0) }
    }

    /// Returns how many bytes have gone from `a` to `b`.
    pub fn a_to_b(&self) -> u64 {
        self.a_to_b.load(Ordering::Relaxed)
    }

    /// Returns how many bytes have gone from `b` to `a`.
    pub fn b_to_a(&self) -> u64 {
        self.b_to_a.load(Ordering::Relaxed)
    }

    fn set(&self, (a_to_b, b_to_a): (u64, u64)) {
        self.a_to_b.store(a_to_b, Ordering::Relaxed);
        self.b_to_a.store(b_to_a, Ordering::Relaxed);
    }
}

/// A copy with a progress and a timeout, if they are asked for.
struct Watched<'a, F> {
    both: F,
    progress: Option<&'a BidirectionalProgress>,
    idle: Option<Idle>,
}

impl<A: ?Sized, B: ?Sized, M> Future for Watched<'_, Both<'_, A, B, M>>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    M: Mover<A, B> + Mover<B, A> + Unpin,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Watched { both, progress, idle } = self.get_mut();
        let polled = Pin::new(&mut *both).poll(cx);
        if let Some(progress) = progress {
            progress.set(both.copied());
        }
        match idle {
            Some(idle) if polled.is_pending() => idle.poll(cx, both.moved()).map(Err),
            _ => polled,
        }
    }
}

/// The time in which no byte has moved.
///
/// The timer is not set anew for each message. When it fires, it is set to the end of the timeout since the latest byte.
struct Idle {
    timeout: Duration,
    /// All bytes that had moved at the time `since`.
    moved: u64,
    since: Instant,
    sleep: Sleep,
}

impl Idle {
    fn new(timeout: Duration) -> Idle {
        let since = Instant::now();
        Idle { timeout, moved: 0, since, sleep: sleep_until(since.saturating_add(timeout)) }
    }

    /// Ready with an error when nothing has moved for as long as the timeout.
    fn poll(&mut self, cx: &mut Context<'_>, moved: u64) -> Poll<io::Error> {
        if self.moved != moved {
            self.moved = moved;
            self.since = Instant::now();
        }
        // Without budget the streams have not been asked, and may well have something.
        ready!(coop::poll_budget(cx));
        loop {
            // Not before the timer has fired: after that the loop has looked at all descriptors, before this poll. So
            // bytes that came while a task held up the loop are copied, and do not count as idle time.
            ready!(self.sleep.poll_fired(cx));
            let deadline = self.since.saturating_add(self.timeout);
            if deadline <= self.sleep.deadline() {
                let message = format!("no byte was copied in either direction for {:?}", self.timeout);
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Pin::new(&mut self.sleep).reset(deadline);
        }
    }
}

/// What moves the bytes of one direction.
pub(super) trait Mover<R: ?Sized, W: ?Sized> {
    /// Ready when the reader is at its end, and all is written and flushed.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>>;

    /// Returns how many bytes the writer has taken.
    fn copied(&self) -> u64;

    /// Returns how many bytes have been read and not been written.
    fn held(&self) -> usize;
}

impl<R: AsyncRead + ?Sized, W: AsyncWrite + ?Sized> Mover<R, W> for Pump {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, reader, writer)
    }

    fn copied(&self) -> u64 {
        self.copied()
    }

    fn held(&self) -> usize {
        self.held()
    }
}

impl<R: AsyncReadFd + ?Sized, W: AsyncWriteFd + ?Sized> Mover<R, W> for SplicePump {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, reader, writer)
    }

    fn copied(&self) -> u64 {
        self.copied()
    }

    fn held(&self) -> usize {
        self.held()
    }
}

/// Copies both ways, with a mover for each.
// A future of its own: an `async` function would keep room for its arguments beside the same things in use.
pub(super) struct Both<'a, A: ?Sized, B: ?Sized, M> {
    a: &'a mut A,
    b: &'a mut B,
    a_to_b: Direction<M>,
    b_to_a: Direction<M>,
}

impl<'a, A: ?Sized, B: ?Sized, M> Both<'a, A, B, M> {
    pub(super) fn new(a: &'a mut A, b: &'a mut B, a_to_b: M, b_to_a: M) -> Both<'a, A, B, M> {
        let [a_to_b, b_to_a] = [a_to_b, b_to_a].map(|mover| Direction { mover, state: State::Open });
        Both { a, b, a_to_b, b_to_a }
    }

    /// Returns how many bytes the writers have taken, from `a` to `b` and from `b` to `a`.
    fn copied(&self) -> (u64, u64)
    where
        M: Mover<A, B> + Mover<B, A>,
    {
        (Mover::<A, B>::copied(&self.a_to_b.mover), Mover::<B, A>::copied(&self.b_to_a.mover))
    }

    /// Returns how many bytes have been read and how many have been written, in one number. It may wrap.
    fn moved(&self) -> u64
    where
        M: Mover<A, B> + Mover<B, A>,
    {
        let (there, back) = self.copied();
        // What has been written has been read before.
        let held = Mover::<A, B>::held(&self.a_to_b.mover) + Mover::<B, A>::held(&self.b_to_a.mover);
        there.wrapping_add(back).wrapping_mul(2).wrapping_add(held as u64)
    }
}

impl<A, B, M> Future for Both<'_, A, B, M>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
    M: Mover<A, B> + Mover<B, A> + Unpin,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // Both, so that either can wake.
        let there = this.a_to_b.poll(cx, &mut *this.a, &mut *this.b)?;
        let back = this.b_to_a.poll(cx, &mut *this.b, &mut *this.a)?;
        ready!(there);
        ready!(back);
        Poll::Ready(Ok(this.copied()))
    }
}

/// One direction, and how far it has come.
struct Direction<M> {
    mover: M,
    state: State,
}

enum State {
    Open,
    /// The end is being passed on.
    Closing,
    Closed,
}

impl<M> Direction<M> {
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, reader: &mut R, writer: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
        M: Mover<R, W>,
    {
        loop {
            self.state = match self.state {
                State::Open => {
                    ready!(self.mover.poll(cx, Pin::new(reader), Pin::new(writer)))?;
                    State::Closing
                }
                State::Closing => {
                    ready!(Pin::new(&mut *writer).poll_close(cx))?;
                    State::Closed
                }
                State::Closed => return Poll::Ready(Ok(())),
            };
        }
    }
}
