//! Copying both ways at once, as proxies do. How it is done stands in `bidirectional.rs`.

use super::bidirectional::Both;
use super::lent::BUFFER_SIZE;
use super::pump::Pump;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;

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
/// The copy has no timeout. [`BidirectionalOptions::idle_timeout`](super::BidirectionalOptions::idle_timeout) ends a
/// connection in which nothing moves in either direction. Careful: a read timeout, as of `TcpStream::set_read_timeout`,
/// is no substitute. Each direction waits by itself, so it would end a connection whose client is silent while a long
/// answer is on its way to it.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost.
///
/// # Errors
///
/// The first error of either stream, as of [`copy`](super::copy), ends both directions at once. It comes without the
/// two counts. [`BidirectionalOptions::progress`](super::BidirectionalOptions::progress) keeps them, also if the copy
/// is dropped.
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
