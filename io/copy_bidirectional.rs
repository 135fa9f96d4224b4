//! Copying both ways at once, as proxies do.

use super::lent::BUFFER_SIZE;
use super::pump::Pump;
use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Copies from `a` to `b` and from `b` to `a` at once, until both are at their end. Tells how many bytes
/// went from `a` to `b`, and how many from `b` to `a`.
///
/// When one comes to its end, the other is closed for writing
/// ([`AsyncWrite::poll_close`], which shuts down a socket's writing), and may go on answering.
///
/// While nothing comes, no buffer is held, and no descriptor either. While a writer is pending, the copy reads on
/// until its buffer is full. Sockets and pipes of [`net`](crate::net) have the kernel move a bulk of bytes, as with
/// [`copy`](super::copy).
///
/// # Idle connections
///
/// The copy has no timeout of its own. Careful: a read timeout, as of `TcpStream::set_read_timeout`, is no
/// substitute. Each direction waits by itself, so it would end a connection whose client is silent while a long
/// answer is on its way to it. A [`timeout`](crate::time::timeout) around the copy limits the whole connection.
///
/// # Cancel safety
///
/// Not cancel safe: what has been read and not written yet is lost.
///
/// # Errors
///
/// The first error of either side, as of [`copy`](super::copy), ends both directions at once. It comes without the
/// two counts: how many bytes were copied before it remains unknown. Where that matters, count them in a wrapper
/// around one of the streams.
///
/// # Panics
///
/// If one of the two claims more bytes than there were.
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
    copy_bidirectional_with_sizes(a, b, BUFFER_SIZE, BUFFER_SIZE).await
}

/// As [`copy_bidirectional`], with buffers of so many bytes, at least one. Buffers of another size than
/// the usual 16 KiB are not shared, and so allocated whenever something comes.
///
/// # Cancel safety
///
/// As [`copy_bidirectional`].
///
/// # Errors
///
/// As [`copy_bidirectional`].
///
/// # Panics
///
/// As [`copy_bidirectional`].
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
    let mut there = Direction::Open(Pump::new::<A, B>(a_to_b_buf_size));
    let mut back = Direction::Open(Pump::new::<B, A>(b_to_a_buf_size));
    poll_fn(|cx| {
        // Both, so that either can wake.
        let there = there.poll(cx, a, b)?;
        let back = back.poll(cx, b, a)?;
        Poll::Ready(Ok((ready!(there), ready!(back))))
    })
    .await
}

/// The life of one direction.
enum Direction {
    Open(Pump),
    /// The end is being passed on.
    Closing(u64),
    Closed(u64),
}

impl Direction {
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, reader: &mut R, writer: &mut W) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        loop {
            *self = match self {
                Direction::Open(pump) => {
                    Direction::Closing(ready!(pump.poll(cx, Pin::new(reader), Pin::new(writer)))?)
                }
                Direction::Closing(copied) => {
                    ready!(Pin::new(&mut *writer).poll_close(cx))?;
                    Direction::Closed(*copied)
                }
                Direction::Closed(copied) => return Poll::Ready(Ok(*copied)),
            };
        }
    }
}
