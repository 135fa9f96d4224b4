//! `copy_bidirectional` copies in both directions through buffers, as proxies do. `bidirectional.rs` does the work.

use super::bidirectional::Both;
use super::lent::BUFFER_SIZE;
use super::pump::Pump;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;

/// Copies from `a` to `b` and from `b` to `a` at the same time, until both streams are at their end. Returns the
/// numbers of bytes copied from `a` to `b` and from `b` to `a`.
///
/// When one stream reaches its end, the copy closes the other stream for writing. It does that with
/// `AsyncWrite::poll_close`, which shuts down the write direction of a socket. The other stream can continue to answer.
///
/// While there is nothing to copy, the copy holds no buffer. While a writer is pending, the copy continues to read
/// until its buffer is full.
///
/// Between two sockets or pipes, [`splice_bidirectional`](super::splice_bidirectional) copies large amounts of data
/// in a fraction of the CPU time.
///
/// # Idle connections
///
/// The copy has no timeout. [`BidirectionalOptions::idle_timeout`](super::BidirectionalOptions::idle_timeout) ends a
/// connection in which no byte moves in either direction. Careful: a read timeout, such as
/// `TcpStream::set_read_timeout`, is no substitute. It applies to one direction alone, so it would end a connection
/// whose client is silent while it receives a long answer.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost.
///
/// # Errors
///
/// Returns the same errors as [`copy`](super::copy). The first error of either stream ends both directions immediately,
/// and the two counts are not returned. Use
/// [`BidirectionalOptions::progress`](super::BidirectionalOptions::progress) to get the counts after an error, or after
/// the copy has been dropped.
///
/// # Panics
///
/// Panics if a stream reports more bytes than the length of the buffer that it was given.
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

/// Copies in both directions as [`copy_bidirectional`] does, with buffers of the given sizes in bytes. A size of 0
/// counts as 1.
///
/// The runtime shares buffers of 16 KiB, the size that [`copy_bidirectional`] uses, between connections. A buffer of
/// another size is allocated each time bytes arrive.
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
/// Panics if a stream reports more bytes than the length of the buffer that it was given.
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
