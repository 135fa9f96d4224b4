//! `BufReader`: a reader with a buffer.

use super::{DEFAULT_BUFFER_SIZE, poll_read, read_count};
use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use pin_project_lite::pin_project;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// A reader with a buffer, which makes many small reads cheap.
    ///
    /// Reads that are at least as large as the buffer go directly to the inner reader, if the buffer is empty. Writes,
    /// if the inner type is also a writer, always do.
    ///
    /// Bytes in the buffer are lost when the `BufReader` is dropped or taken apart. So one reader must not be given to
    /// several `BufReader`s one after the other, unless [`buffer`](BufReader::buffer) is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};
    ///
    /// # runtime::block_on(async {
    /// let (mut client, server) = duplex(64);
    /// let mut server = BufReader::new(server);
    /// client.write_all(b"question\n").await?;
    /// let mut line = String::new();
    /// server.read_line(&mut line).await?;
    /// server.write_all(line.as_bytes()).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub struct BufReader<R> {
        #[pin]
        inner: R,
        buffer: Box<[u8]>,
        // The bytes of the buffer that were read from `inner`, and not yet from here.
        start: usize,
        end: usize,
    }
}

impl<R> BufReader<R> {
    /// Creates a reader with a buffer of 8 KiB.
    pub fn new(inner: R) -> BufReader<R> {
        BufReader::with_capacity(DEFAULT_BUFFER_SIZE, inner)
    }

    /// Creates a reader with a buffer of `capacity` bytes.
    ///
    /// # Panics
    ///
    /// Panics if `capacity` is 0.
    #[track_caller]
    pub fn with_capacity(capacity: usize, inner: R) -> BufReader<R> {
        assert!(
            capacity > 0,
            "a `BufReader` without a buffer reads nothing: its capacity must be at least 1"
        );
        BufReader { inner, buffer: vec![0; capacity].into(), start: 0, end: 0 }
    }

    /// Returns a reference to the inner reader.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Returns a mutable reference to the inner reader. Bytes that are read from it are not those that come next here.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Returns a pinned mutable reference to the inner reader; see [`get_mut`](BufReader::get_mut).
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut R> {
        self.project().inner
    }

    /// Returns the inner reader. Bytes in the buffer are lost.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Returns the bytes in the buffer. Unlike `fill_buf`, this method does not read if there are none.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Puts the buffer around another inner reader, and returns the present one.
    pub(super) fn replace_inner<T>(self, inner: T) -> (R, BufReader<T>) {
        let BufReader { inner: replaced, buffer, start, end } = self;
        (replaced, BufReader { inner, buffer, start, end })
    }

    fn discard_buffer(self: Pin<&mut Self>) {
        let this = self.project();
        (*this.start, *this.end) = (0, 0);
    }
}

impl<R: AsyncRead> AsyncRead for BufReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.buffer().is_empty() && buffer.len() >= self.buffer.len() {
            return poll_read(self.get_pin_mut(), cx, buffer);
        }
        let bytes = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Poll::Ready(Ok(count))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = buffers.iter().fold(0, |room: usize, buffer| room.saturating_add(buffer.len()));
        if self.buffer().is_empty() && room >= self.buffer.len() {
            let read = self.get_pin_mut().poll_read_vectored(cx, buffers);
            return read.map_ok(|count| read_count(count, room));
        }
        let mut bytes = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = io::Read::read_vectored(&mut bytes, buffers)?;
        self.consume(count);
        Poll::Ready(Ok(count))
    }
}

impl<R: AsyncRead> AsyncBufRead for BufReader<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.project();
        if this.start == this.end {
            let count = ready!(poll_read(this.inner, cx, this.buffer))?;
            (*this.start, *this.end) = (0, count);
        }
        Poll::Ready(Ok(&this.buffer[*this.start..*this.end]))
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        let this = self.project();
        *this.start = this.start.saturating_add(count).min(*this.end);
    }
}

/// Moves the inner reader, and then discards the buffer. A seek from the current position counts from the bytes that
/// come next here, and not from where the inner reader is.
impl<R: AsyncRead + AsyncSeek> AsyncSeek for BufReader<R> {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        position: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let position = match position {
            SeekFrom::Current(offset) => {
                // No buffer is as large as half of the address space.
                let ahead = self.buffer().len() as i64;
                match offset.checked_sub(ahead) {
                    Some(offset) => SeekFrom::Current(offset),
                    None => {
                        // Two steps. Careful: after the first one there is no buffer, so a poll that is repeated
                        // because the second step is pending does not get here again.
                        ready!(self.as_mut().get_pin_mut().poll_seek(cx, SeekFrom::Current(-ahead)))?;
                        self.as_mut().discard_buffer();
                        SeekFrom::Current(offset)
                    }
                }
            }
            position => position,
        };
        let position = ready!(self.as_mut().get_pin_mut().poll_seek(cx, position))?;
        self.discard_buffer();
        Poll::Ready(Ok(position))
    }
}

impl<R: AsyncWrite> AsyncWrite for BufReader<R> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.get_pin_mut().poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_pin_mut().poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_pin_mut().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_pin_mut().poll_close(cx)
    }
}

impl<R: fmt::Debug> fmt::Debug for BufReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = format_args!("{}/{}", self.end - self.start, self.buffer.len());
        f.debug_struct("BufReader").field("reader", &self.inner).field("buffer", &filled).finish()
    }
}

crate::io::tokio_traits::tokio_read_by_futures! {
    BufReader<R>, R: AsyncRead;
}

crate::io::tokio_traits::tokio_write_by_futures! {
    BufReader<R>, R: AsyncWrite;
}
