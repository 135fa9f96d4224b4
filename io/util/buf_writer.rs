//! `BufWriter`: a writer with a buffer.

use super::{DEFAULT_BUFFER_SIZE, poll_write, poll_write_vectored, total_length, unless_interrupted};
use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use pin_project_lite::pin_project;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// A writer with a buffer, which makes many small writes cheap.
    ///
    /// Writes that are at least as large as the buffer go directly to the inner writer. Reads, if the inner type is
    /// also a reader, always do.
    ///
    /// Careful: bytes in the buffer are lost when the `BufWriter` is dropped. Call
    /// [`flush`](super::AsyncWriteExt::flush) or [`shutdown`](super::AsyncWriteExt::shutdown) before.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncWriteExt, BufWriter};
    ///
    /// # runtime::block_on(async {
    /// let mut writer = BufWriter::new(Vec::new());
    /// writer.write_all(b"many ").await?;
    /// writer.write_all(b"parts").await?;
    /// assert!(writer.get_ref().is_empty());
    /// writer.flush().await?;
    /// assert_eq!(writer.into_inner(), b"many parts");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub struct BufWriter<W> {
        #[pin]
        inner: W,
        buffer: Vec<u8>,
        // The length of the beginning of the buffer that has been written. It is not zero while the inner writer is
        // pending.
        written: usize,
        // The length that the buffer does not grow beyond.
        capacity: usize,
    }
}

impl<W> BufWriter<W> {
    /// Creates a writer with a buffer of 8 KiB.
    pub fn new(inner: W) -> BufWriter<W> {
        BufWriter::with_capacity(DEFAULT_BUFFER_SIZE, inner)
    }

    /// Creates a writer with a buffer of `capacity` bytes. A writer with 0 does not buffer.
    pub fn with_capacity(capacity: usize, inner: W) -> BufWriter<W> {
        BufWriter { inner, buffer: Vec::with_capacity(capacity), written: 0, capacity }
    }

    /// Returns a reference to the inner writer.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Returns a mutable reference to the inner writer. Bytes that are written to it come before those in the buffer.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Returns a pinned mutable reference to the inner writer; see [`get_mut`](BufWriter::get_mut).
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut W> {
        self.project().inner
    }

    /// Returns the inner writer. Bytes in the buffer are lost.
    pub fn into_inner(self) -> W {
        self.inner
    }

    /// Returns the bytes that have been written here and not to the inner writer.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer[self.written..]
    }

    /// Puts the buffer around another inner writer, and returns the present one.
    pub(super) fn replace_inner<T>(self, inner: T) -> (W, BufWriter<T>) {
        let BufWriter { inner: replaced, buffer, written, capacity } = self;
        (replaced, BufWriter { inner, buffer, written, capacity })
    }
}

impl<W: AsyncWrite> BufWriter<W> {
    /// Writes the buffer to the inner writer, which is not flushed. After an error, what was not written is still in
    /// the buffer.
    fn poll_empty(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        let result = loop {
            let rest = &this.buffer[*this.written..];
            if rest.is_empty() {
                break Ok(());
            }
            match unless_interrupted(ready!(poll_write(this.inner.as_mut(), cx, rest))) {
                Ok(Some(0)) => {
                    let text = "failed to write the buffered data";
                    break Err(io::Error::new(ErrorKind::WriteZero, text));
                }
                Ok(Some(count)) => *this.written += count,
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        };
        this.buffer.drain(..*this.written);
        *this.written = 0;
        Poll::Ready(result)
    }

    /// Makes room for `length` bytes. Returns `true` if they do not fit even into an empty buffer.
    fn poll_room(self: Pin<&mut Self>, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<bool>> {
        let capacity = self.capacity;
        if length > capacity - self.buffer.len() {
            ready!(self.poll_empty(cx))?;
        }
        Poll::Ready(Ok(length >= capacity))
    }
}

impl<W: AsyncWrite> AsyncWrite for BufWriter<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        if ready!(self.as_mut().poll_room(cx, buffer.len()))? {
            return poll_write(self.get_pin_mut(), cx, buffer);
        }
        self.project().buffer.extend_from_slice(buffer);
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = total_length(buffers);
        if ready!(self.as_mut().poll_room(cx, length))? {
            return poll_write_vectored(self.get_pin_mut(), cx, buffers);
        }
        let this = self.project();
        buffers.iter().for_each(|buffer| this.buffer.extend_from_slice(buffer));
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_empty(cx))?;
        self.get_pin_mut().poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_empty(cx))?;
        self.get_pin_mut().poll_close(cx)
    }
}

/// Writes the buffer to the inner writer, and then moves it.
impl<W: AsyncWrite + AsyncSeek> AsyncSeek for BufWriter<W> {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        position: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        ready!(self.as_mut().poll_empty(cx))?;
        self.get_pin_mut().poll_seek(cx, position)
    }
}

impl<W: AsyncRead> AsyncRead for BufWriter<W> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.get_pin_mut().poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_pin_mut().poll_read_vectored(cx, buffers)
    }
}

impl<W: AsyncBufRead> AsyncBufRead for BufWriter<W> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_pin_mut().poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        self.get_pin_mut().consume(count);
    }
}

impl<W: fmt::Debug> fmt::Debug for BufWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = format_args!("{}/{}", self.buffer().len(), self.capacity);
        f.debug_struct("BufWriter").field("writer", &self.inner).field("buffer", &filled).finish()
    }
}

crate::io::tokio_traits::tokio_read_by_futures! {
    BufWriter<W>, W: AsyncRead;
}

crate::io::tokio_traits::tokio_write_by_futures! {
    BufWriter<W>, W: AsyncWrite;
}
