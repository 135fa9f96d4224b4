//! `copy_buf` copies from a reader that has a buffer of its own, and so needs no other buffer.

use crate::task::coop;
use futures_io::{AsyncBufRead, AsyncWrite};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Copies all bytes of a buffered reader to `writer`, and returns the number of bytes copied.
///
/// Unlike [`copy`](super::copy), this function writes directly from the buffer of the reader and has no buffer of its
/// own. So it cannot read while the writer is pending: the reader's buffer has to be written before more can be read
/// into it. If the writer may be waiting for a message that arrives through the reader, as with TLS, use
/// [`copy`](super::copy).
///
/// # Cancel safety
///
/// Cancel safe: bytes that have not been written are still in the reader's buffer. The number of bytes copied before
/// the cancellation is lost.
///
/// # Errors
///
/// Returns the same errors as [`copy`](super::copy).
///
/// # Panics
///
/// Panics if the writer reports more bytes than the length of the buffer that it was given.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncBufReadExt, BufReader, copy_buf};
///
/// # runtime::block_on(async {
/// let mut reader = BufReader::new(&b"head\nand the rest"[..]);
/// let mut line = String::new();
/// reader.read_line(&mut line).await?;
/// let mut writer = Vec::new();
/// assert_eq!(copy_buf(&mut reader, &mut writer).await?, 12);
/// assert_eq!(writer, b"and the rest");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn copy_buf<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncBufRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut copied = 0;
    poll_fn(|cx| poll_copy(cx, Pin::new(reader), Pin::new(writer), &mut copied)).await
}

fn poll_copy<R: AsyncBufRead + ?Sized, W: AsyncWrite + ?Sized>(
    cx: &mut Context<'_>,
    mut reader: Pin<&mut R>,
    mut writer: Pin<&mut W>,
    copied: &mut u64,
) -> Poll<io::Result<u64>> {
    loop {
        // The reader and the writer may come from other crates, which do not spend the budget, and may be ready all the
        // time.
        ready!(coop::poll_budget(cx));
        let Poll::Ready(bytes) = reader.as_mut().poll_fill_buf(cx)? else {
            ready!(writer.as_mut().poll_flush(cx))?;
            return Poll::Pending;
        };
        if bytes.is_empty() {
            ready!(writer.as_mut().poll_flush(cx))?;
            return Poll::Ready(Ok(*copied));
        }
        let count = ready!(writer.as_mut().poll_write(cx, bytes))?;
        assert!(count <= bytes.len(), "the writer reports more bytes than it was given");
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        coop::spend();
        *copied += count as u64;
        reader.as_mut().consume(count);
    }
}
