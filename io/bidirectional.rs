//! Copies in both directions, and their options: an idle timeout, and counts of bytes that outlive an error.
//!
//! Each direction has a mover, which copies until the end of its reader. Then the direction closes its writer.
//! `copy_bidirectional` and `splice_bidirectional` differ only in the type of the mover: a `Pump` uses a buffer, and a
//! `SplicePump` splices.

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

/// Options for a copy in both directions, such as [`copy_bidirectional`](super::copy_bidirectional) and
/// [`splice_bidirectional`](super::splice_bidirectional).
///
/// # Examples
///
/// This proxy ends a connection after five minutes without a byte in either direction. It prints how many bytes it has
/// copied, also if the copy has failed:
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
    /// Creates the default options: buffers of 16 KiB, no timeout, and no progress. These are the options of
    /// [`copy_bidirectional`](super::copy_bidirectional).
    pub const fn new() -> BidirectionalOptions<'a> {
        BidirectionalOptions {
            a_to_b_buf_size: BUFFER_SIZE,
            b_to_a_buf_size: BUFFER_SIZE,
            idle_timeout: None,
            progress: None,
        }
    }

    /// Sets the sizes of the two buffers in bytes. A size of 0 counts as 1.
    ///
    /// The runtime shares buffers of 16 KiB, the default, between connections. A buffer of another size is allocated
    /// each time bytes arrive.
    pub const fn buf_sizes(self, a_to_b: usize, b_to_a: usize) -> BidirectionalOptions<'a> {
        BidirectionalOptions { a_to_b_buf_size: a_to_b, b_to_a_buf_size: b_to_a, ..self }
    }

    /// Sets how long the whole connection may be idle. `None`, the default, means no limit.
    ///
    /// The copy fails with [`TimedOut`](io::ErrorKind::TimedOut) once no byte has been read or written in *either*
    /// direction for this time. A client that is silent during a long download is not disconnected, unlike with
    /// `TcpStream::set_read_timeout`. A peer that does not read is disconnected: no byte moves once all buffers between
    /// the two peers are full. The timeout also applies after one of the streams has reached its end, and while a
    /// stream is being closed. It never fires early.
    ///
    /// The timeout costs one timer for each connection, which is not reset for each message, and one reading of the
    /// clock for each poll in which bytes have moved.
    pub const fn idle_timeout(self, timeout: Option<Duration>) -> BidirectionalOptions<'a> {
        BidirectionalOptions { idle_timeout: timeout, ..self }
    }

    /// Sets the object in which the copy counts the bytes that it has copied.
    ///
    /// The counts can be read while the copy runs, and after it has failed, timed out or been dropped.
    pub const fn progress(self, progress: &'a BidirectionalProgress) -> BidirectionalOptions<'a> {
        BidirectionalOptions { progress: Some(progress), ..self }
    }

    /// Copies in both directions through buffers, as [`copy_bidirectional`](super::copy_bidirectional) does.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: bytes that were read and not yet written are lost.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`copy_bidirectional`](super::copy_bidirectional), and
    /// [`TimedOut`](io::ErrorKind::TimedOut) when the [`idle_timeout`](BidirectionalOptions::idle_timeout) is over. The
    /// copy does not close the streams after an error. Drop them to close them.
    ///
    /// # Panics
    ///
    /// Panics if a stream reports more bytes than the length of the buffer that it was given, or if there is an idle
    /// timeout and the copy is polled outside of a runtime.
    pub async fn copy<A, B>(self, a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
    where
        A: AsyncRead + AsyncWrite + Unpin + ?Sized,
        B: AsyncRead + AsyncWrite + Unpin + ?Sized,
    {
        self.watch(Both::new(a, b, Pump::new(self.a_to_b_buf_size), Pump::new(self.b_to_a_buf_size))).await
    }

    /// Copies in both directions, within the kernel where that is possible, as
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
    /// Panics if there is an idle timeout and the copy is polled outside of a runtime.
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

/// The numbers of bytes that a copy in both directions has copied so far. A byte counts when the writer has accepted
/// it.
///
/// The copy updates the counts at the end of each poll. They can be read on any thread. If several copies use the same
/// progress one after the other, the counts are those of the latest copy.
#[derive(Debug, Default)]
pub struct BidirectionalProgress {
    a_to_b: AtomicU64,
    b_to_a: AtomicU64,
}

impl BidirectionalProgress {
    /// Creates a progress with both counts at 0.
    pub const fn new() -> BidirectionalProgress {
        BidirectionalProgress { a_to_b: AtomicU64::new(0), b_to_a: AtomicU64::new(0) }
    }

    /// Returns the number of bytes copied from `a` to `b`.
    pub fn a_to_b(&self) -> u64 {
        self.a_to_b.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes copied from `b` to `a`.
    pub fn b_to_a(&self) -> u64 {
        self.b_to_a.load(Ordering::Relaxed)
    }

    fn set(&self, (a_to_b, b_to_a): (u64, u64)) {
        self.a_to_b.store(a_to_b, Ordering::Relaxed);
        self.b_to_a.store(b_to_a, Ordering::Relaxed);
    }
}

/// A copy with an optional progress and an optional idle timeout.
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

/// The state of an idle timeout.
///
/// The timer is not reset for each message. When it fires and bytes have moved in the meantime, it is reset to the time
/// at which the timeout since the latest byte ends.
struct Idle {
    timeout: Duration,
    /// The value of [`Both::moved`] at the time `since`.
    moved: u64,
    since: Instant,
    sleep: Sleep,
}

impl Idle {
    fn new(timeout: Duration) -> Idle {
        let since = Instant::now();
        Idle { timeout, moved: 0, since, sleep: sleep_until(since.saturating_add(timeout)) }
    }

    /// Returns `Ready` with an error when no byte has moved for the duration of the timeout.
    fn poll(&mut self, cx: &mut Context<'_>, moved: u64) -> Poll<io::Error> {
        if self.moved != moved {
            self.moved = moved;
            self.since = Instant::now();
        }
        // If the task has no budget left, the streams were not polled, and may have bytes.
        ready!(coop::poll_budget(cx));
        loop {
            // Careful: wait until the timer has fired, and do not compare the clock with the deadline. When the loop
            // fires a timer, it polls all descriptors before it polls this task. So if a task has blocked the loop, the
            // bytes that arrived meanwhile are copied first, and the blocked time does not count as idle time.
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

/// A type that copies the bytes of one direction.
pub(super) trait Mover<R: ?Sized, W: ?Sized> {
    /// Copies until the end of the reader. Returns `Ready` when all bytes have been written and the writer has been
    /// flushed.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>>;

    /// Returns the number of bytes that the writer has accepted.
    fn copied(&self) -> u64;

    /// Returns the number of bytes that have been read and not been written.
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

/// The future of a copy in both directions, with one mover for each direction.
// This is a named future because the future of an `async` function would store its arguments twice: once as arguments,
// and once where they are used.
pub(super) struct Both<'a, A: ?Sized, B: ?Sized, M> {
    a: &'a mut A,
    b: &'a mut B,
    a_to_b: OneWayCopy<M>,
    b_to_a: OneWayCopy<M>,
}

impl<'a, A: ?Sized, B: ?Sized, M> Both<'a, A, B, M> {
    pub(super) fn new(a: &'a mut A, b: &'a mut B, a_to_b: M, b_to_a: M) -> Both<'a, A, B, M> {
        let [a_to_b, b_to_a] = [a_to_b, b_to_a].map(|mover| OneWayCopy { mover, state: State::Open });
        Both { a, b, a_to_b, b_to_a }
    }

    /// Returns the numbers of bytes that the writers have accepted, from `a` to `b` and from `b` to `a`.
    fn copied(&self) -> (u64, u64)
    where
        M: Mover<A, B> + Mover<B, A>,
    {
        (Mover::<A, B>::copied(&self.a_to_b.mover), Mover::<B, A>::copied(&self.b_to_a.mover))
    }

    /// Returns a number that changes whenever a byte is read or written: the sum of all bytes that have been read and
    /// all bytes that have been written. It may wrap around.
    fn moved(&self) -> u64
    where
        M: Mover<A, B> + Mover<B, A>,
    {
        let (there, back) = self.copied();
        // A byte that has been written has also been read, so it counts twice.
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
        // Poll both directions before returning, so that each of them can wake the task.
        let there = this.a_to_b.poll(cx, &mut *this.a, &mut *this.b)?;
        let back = this.b_to_a.poll(cx, &mut *this.b, &mut *this.a)?;
        ready!(there);
        ready!(back);
        Poll::Ready(Ok(this.copied()))
    }
}

/// One direction of the copy: what moves the bytes, and how far the copy is.
struct OneWayCopy<M> {
    mover: M,
    state: State,
}

enum State {
    Open,
    /// The reader is at its end, and the writer is being closed.
    Closing,
    Closed,
}

impl<M> OneWayCopy<M> {
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
