//! Copying from any reader to any writer.

use super::lent::BUFFER_SIZE;
use super::pump::Pump;
use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io;
use std::pin::pin;

/// Copies all bytes of `reader` to `writer`, and returns how many bytes that were. At the end it flushes
/// the writer, and leaves it open.
///
/// Both are given by reference, as with tokio's, or by value. While the reader has nothing, no buffer
/// is held, and the writer is flushed. While the writer is pending, the copy reads on until its buffer of
/// 16 KiB is full: the writer may be waiting for something that comes with what is read, as with TLS.
///
/// Between two sockets or pipes, `io::splice` (feature `io-util`) takes a fraction of the CPU time for a bulk of bytes.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost.
///
/// # Errors
///
/// Returns the errors of the reader and of the writer, and [`WriteZero`](io::ErrorKind::WriteZero) if the writer
/// takes nothing any more. Bytes that were read before an error of the reader are written first. When the writer fails,
/// some bytes may have been read and not written.
///
/// # Panics
///
/// Panics if the reader or the writer claims more bytes than there were.
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
