//! Copying from what is read to what is written.

use super::lent::BUFFER_SIZE;
use super::pump::Pump;
use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io;
use std::pin::pin;

/// Copies all that `reader` has to `writer`, and tells how many bytes that were. At the end it flushes
/// the writer, and leaves it open.
///
/// Either is given by reference, as tokio's are, or by value. While the reader has nothing, no buffer
/// is held, and the writer is flushed. While the writer is pending, the copy reads on until its buffer of
/// 16 KiB is full: the writer may be waiting for something that comes with what is read, as with TLS.
///
/// Between two sockets or pipes of [`net`](crate::net), on Linux and with the feature `io-util`, a bulk
/// of bytes moves within the kernel by splice(2), for a fraction of the time; not where a `SIGPIPE`
/// would end the process, which splice would raise.
///
/// # Cancel safety
///
/// Not cancel safe: what has been read and not written yet is lost.
///
/// # Errors
///
/// Those of the reader and of the writer, and [`WriteZero`](io::ErrorKind::WriteZero) if the writer
/// takes nothing any more. What was read before an error of the reader is written first. When the writer fails,
/// it may be that something has been read and not written.
///
/// # Panics
///
/// If the reader or the writer claims more bytes than there were.
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
    let mut pump = Pump::new::<R, W>(BUFFER_SIZE);
    poll_fn(|cx| pump.poll(cx, reader.as_mut(), writer.as_mut())).await
}
