//! `copy` copies from any reader to any writer. `pump.rs` does the work.

use super::lent::BUFFER_SIZE;
use super::pump::Pump;
use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io;
use std::pin::pin;

/// Copies all bytes of `reader` to `writer`, and returns the number of bytes copied.
///
/// At the end of the reader, the copy flushes the writer and leaves it open. Both can be given by reference, as with
/// tokio's `copy`, or by value.
///
/// While the reader has nothing to read, the copy holds no buffer and flushes the writer. While the writer is pending,
/// the copy continues to read until its buffer of 16 KiB is full. It has to, because a writer may be waiting for a
/// message that arrives through the reader, as with TLS.
///
/// Between two sockets or pipes, `io::splice` (feature `io-util`) copies large amounts of data in a fraction of the CPU
/// time.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost.
///
/// # Errors
///
/// Returns the errors of the reader and of the writer, and [`WriteZero`](io::ErrorKind::WriteZero) if the writer
/// accepts no more bytes. Bytes that were read before an error of the reader are written before the error is returned.
/// When the writer fails, some bytes may have been read and not written.
///
/// # Panics
///
/// Panics if the reader or the writer reports more bytes than the length of the buffer that it was given.
///
/// # Examples
///
/// ```
/// use runtime::io::copy;
///
/// # runtime::block_on(async {
/// let mut reader: &[u8] = b"as they are";
/// let mut writer = Vec::new();
/// assert_eq!(copy(&mut reader, &mut writer).await?, 11);
/// assert_eq!(writer, b"as they are");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn copy<R: AsyncRead, W: AsyncWrite>(reader: R, writer: W) -> io::Result<u64> {
    let (mut reader, mut writer) = (pin!(reader), pin!(writer));
    let mut pump = Pump::new(BUFFER_SIZE);
    poll_fn(|cx| pump.poll(cx, reader.as_mut(), writer.as_mut())).await?;
    Ok(pump.copied())
}
