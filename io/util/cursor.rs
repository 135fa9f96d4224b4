//! `Cursor`: memory as a stream with a position. std's type does the work; it does not have the traits of futures-io.

use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use std::fmt;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A stream over memory, with a position: what [`std::io::Cursor`] is, for the traits of streams.
///
/// Everything that is `AsRef<[u8]>` can be read. What `std::io::Cursor` can write can be written: `Vec<u8>`,
/// `&mut Vec<u8>`, `&mut [u8]`, `Box<[u8]>` and `[u8; N]`.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, Cursor};
///
/// # runtime::block_on(async {
/// let mut stream = Cursor::new(Vec::new());
/// stream.write_all(b"some bytes").await?;
/// stream.rewind().await?;
/// let mut word = [0; 4];
/// stream.read_exact(&mut word).await?;
/// assert_eq!((&word, stream.position()), (b"some", 4));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cursor<T>(io::Cursor<T>);

impl<T> Cursor<T> {
    /// Creates a stream at the beginning of the memory.
    pub const fn new(inner: T) -> Cursor<T> {
        Cursor(io::Cursor::new(inner))
    }

    /// Returns the memory.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// Returns a reference to the memory.
    pub const fn get_ref(&self) -> &T {
        self.0.get_ref()
    }

    /// Returns a mutable reference to the memory. The position does not change.
    pub const fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    /// Returns the position in bytes.
    pub const fn position(&self) -> u64 {
        self.0.position()
    }

    /// Sets the position in bytes. It may be behind the end.
    pub const fn set_position(&mut self, position: u64) {
        self.0.set_position(position);
    }
}

impl<T> From<io::Cursor<T>> for Cursor<T> {
    fn from(cursor: io::Cursor<T>) -> Cursor<T> {
        Cursor(cursor)
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncRead for Cursor<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.read(buffer))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.read_vectored(buffers))
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncBufRead for Cursor<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(self.get_mut().0.fill_buf())
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.0.consume(count);
    }
}

impl<T: AsRef<[u8]> + Unpin> AsyncSeek for Cursor<T> {
    fn poll_seek(mut self: Pin<&mut Self>, _: &mut Context<'_>, position: SeekFrom) -> Poll<io::Result<u64>> {
        Poll::Ready(self.0.seek(position))
    }
}

impl<T: Unpin> AsyncWrite for Cursor<T>
where
    io::Cursor<T>: Write,
{
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(buffer))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write_vectored(buffers))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<T: fmt::Debug> fmt::Debug for Cursor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
