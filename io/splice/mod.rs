//! `splice` and `splice_bidirectional` copy between streams that have a descriptor, within the kernel where possible.
//!
//! `pump.rs` decides which bytes go through a pipe and which through a buffer, `sys.rs` makes the system calls, and
//! `send_file.rs` does the same with the bytes of a file. Where the system has no splice(2), `sys_unsupported.rs`
//! replaces `sys.rs`, and all bytes go through buffers.

pub(super) mod pump;
pub(super) mod send_file;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod sys;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "sys_unsupported.rs"]
mod sys;

use super::bidirectional::Both;
use super::lent::BUFFER_SIZE;
use crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd};
use pump::SplicePump;
use std::future::poll_fn;
use std::io;
use std::pin::pin;

/// Copies all bytes of `reader` to `writer`, within the kernel where that is possible, and returns the number of bytes
/// copied. The writer stays open.
///
/// The result is the same as that of [`copy`](super::copy). On Linux, large amounts of data move from descriptor to
/// descriptor by splice(2), which takes a fraction of the CPU time of a copy. Bytes go through a buffer instead in
/// these cases:
///
/// - The bytes arrive in small pieces. A buffer costs less for them.
/// - The system does not have splice(2), or refuses it for these descriptors.
/// - A `SIGPIPE` would end the process, since splice(2) may raise it. (Programs in Rust ignore `SIGPIPE` unless they
///   change that.)
/// - The reader or the writer is an `fs::File` (feature `fs`). The kernel would wait for the disk, and the loop with it.
///   A thread of the pool makes such calls for reads and writes. To have the kernel move the bytes of a file to a
///   socket in spite of that, use [`send_file`](super::send_file).
/// - All pipes are in use. A runtime creates at most 64 pipes for all of its copies.
///
/// While there is nothing to copy, the copy holds no buffer and no pipe.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost.
///
/// # Errors
///
/// Returns the errors of the reader and of the writer, and [`WriteZero`](io::ErrorKind::WriteZero) if the writer
/// accepts no more bytes. Bytes that were read before an error of the reader are written before the error is returned.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, splice};
/// use runtime::net::UnixStream;
///
/// # runtime::block_on(async {
/// let (mut client, reader) = UnixStream::pair()?;
/// let (writer, mut server) = UnixStream::pair()?;
/// let copying = runtime::spawn(splice(reader, writer));
///
/// client.write_all(b"as they are").await?;
/// drop(client);
/// let mut text = String::new();
/// server.read_to_string(&mut text).await?;
/// assert_eq!((text.as_str(), copying.await??), ("as they are", 11));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn splice<R: AsyncReadFd, W: AsyncWriteFd>(reader: R, writer: W) -> io::Result<u64> {
    let (mut reader, mut writer) = (pin!(reader), pin!(writer));
    let mut pump = SplicePump::new(BUFFER_SIZE);
    poll_fn(|cx| pump.poll(cx, reader.as_mut(), writer.as_mut())).await?;
    Ok(pump.copied())
}

/// Copies from `a` to `b` and from `b` to `a` at the same time, within the kernel where that is possible, until both
/// streams are at their end. Returns the numbers of bytes copied from `a` to `b` and from `b` to `a`.
///
/// The result is the same as that of [`copy_bidirectional`](super::copy_bidirectional): when one stream reaches its
/// end, the copy closes the other stream for writing, and the other stream can continue to answer. The documentation
/// of [`splice`] says which bytes the kernel moves.
///
/// The copy has no timeout. [`BidirectionalOptions::idle_timeout`](super::BidirectionalOptions::idle_timeout) ends a
/// connection in which no byte moves in either direction.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost.
///
/// # Errors
///
/// Returns the same errors as [`splice`]. The first error of either stream ends both directions immediately, and the
/// two counts are not returned. Use [`BidirectionalOptions::progress`](super::BidirectionalOptions::progress) to get
/// the counts after an error, or after the copy has been dropped.
///
/// # Examples
///
/// ```
/// use runtime::io::splice_bidirectional;
/// use runtime::net::{TcpListener, TcpStream};
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (mut client, _) = listener.accept().await?;
///     runtime::spawn(async move {
///         let mut server = TcpStream::connect("example.org:80").await?;
///         splice_bidirectional(&mut client, &mut server).await
///     });
/// }
/// # }
/// ```
pub async fn splice_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncReadFd + AsyncWriteFd + Unpin + ?Sized,
    B: AsyncReadFd + AsyncWriteFd + Unpin + ?Sized,
{
    Both::new(a, b, SplicePump::new(BUFFER_SIZE), SplicePump::new(BUFFER_SIZE)).await
}
