//! Copying both ways at once, as proxies do.
//!
//! Each direction has a pump, and is closed when its pump has come to the end. Which kind of pump that is, one with a
//! buffer or one that splices, is all that `copy_bidirectional` and `splice_bidirectional` differ in.

use super::lent::BUFFER_SIZE;
use super::pump::Pump;
use super::splice::pump::SplicePump;
use crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd};
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Copies from `a` to `b` and from `b` to `a` at once, until both are at their end. Returns how many bytes
/// went from `a` to `b`, and how many from `b` to `a`.
///
/// When one stream comes to its end, the other one is closed for writing
/// ([`AsyncWrite::poll_close`], which shuts down a socket's writing), and may go on answering.
///
/// While nothing comes, no buffer is held. While a writer is pending, the copy reads on until its buffer is full.
///
/// Between two sockets or pipes, [`splice_bidirectional`](super::splice_bidirectional) takes a fraction of the CPU time
/// for a bulk of bytes.
///
/// # Idle connections
///
/// The copy has no timeout of its own. Careful: a read timeout, as of `TcpStream::set_read_timeout`, is no
/// substitute. Each direction waits by itself, so it would end a connection whose client is silent while a long
/// answer is on its way to it. A [`timeout`](crate::time::timeout) around the copy limits the whole connection.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost.
///
/// # Errors
///
/// The first error of either stream, as of [`copy`](super::copy), ends both directions at once. It comes without the
/// two counts: how many bytes were copied before it remains unknown. Where that matters, count them in a wrapper
/// around one of the streams.
///
/// # Panics
///
/// Panics if one of the two claims more bytes than there were.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex};
///
/// # runtime::block_on(async {
/// let (mut client, mut near) = duplex(64);
/// let (mut far, mut server) = duplex(64);
/// let proxy = runtime::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
///
/// client.write_all(b"question").await?;
/// client.close().await?;
/// let mut question = String::new();
/// server.read_to_string(&mut question).await?;
/// server.write_all(b"answer").await?;
/// drop(server);
/// assert_eq!(proxy.await??, (8, 6));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    Both::new(a, b, Pump::new(BUFFER_SIZE), Pump::new(BUFFER_SIZE)).await
}

/// Copies both ways as [`copy_bidirectional`] does, with buffers of the given sizes in bytes, at least one.
///
/// Buffers of another size than the usual 16 KiB are not shared between connections: one is allocated whenever
/// something comes.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost.
///
/// # Errors
///
/// Returns the same errors as [`copy_bidirectional`].
///
/// # Panics
///
/// Panics if one of the two claims more bytes than there were.
pub async fn copy_bidirectional_with_sizes<A, B>(
    a: &mut A,
    b: &mut B,
    a_to_b_buf_size: usize,
    b_to_a_buf_size: usize,
) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    Both::new(a, b, Pump::new(a_to_b_buf_size), Pump::new(b_to_a_buf_size)).await
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
}

impl<A, B, M> Future for Both<'_, A, B, M>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
    M: Mover<A, B> + Mover<B, A> + Unpin,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Both { a, b, a_to_b, b_to_a } = self.get_mut();
        // Both, so that either can wake.
        let there = a_to_b.poll(cx, *a, *b)?;
        let back = b_to_a.poll(cx, *b, *a)?;
        ready!(there);
        ready!(back);
        Poll::Ready(Ok((Mover::<A, B>::copied(&a_to_b.mover), Mover::<B, A>::copied(&b_to_a.mover))))
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
