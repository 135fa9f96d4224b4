//! `BufStream`: a stream with a buffer for each direction. It is a `BufReader` around a `BufWriter`.

use super::{BufReader, BufWriter, DEFAULT_BUFFER_SIZE};
use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use pin_project_lite::pin_project;
use std::io::{self, IoSlice, IoSliceMut, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// A stream with a buffer for each direction: a [`BufReader`] and a [`BufWriter`] in one.
    ///
    /// Careful: bytes in the buffers are lost when the stream is dropped. Call
    /// [`flush`](super::AsyncWriteExt::flush) or [`shutdown`](super::AsyncWriteExt::shutdown) before.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncBufReadExt, AsyncWriteExt, BufStream, duplex};
    ///
    /// # runtime::block_on(async {
    /// let (client, server) = duplex(64);
    /// let (mut client, mut server) = (BufStream::new(client), BufStream::new(server));
    /// client.write_all(b"question\n").await?;
    /// client.flush().await?;
    /// let mut line = String::new();
    /// server.read_line(&mut line).await?;
    /// assert_eq!(line, "question\n");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[derive(Debug)]
    pub struct BufStream<S> {
        #[pin]
        inner: BufReader<BufWriter<S>>,
    }
}

impl<S> BufStream<S> {
    /// Creates a stream with two buffers of 8 KiB.
    pub fn new(stream: S) -> BufStream<S> {
        BufStream::with_capacity(DEFAULT_BUFFER_SIZE, DEFAULT_BUFFER_SIZE, stream)
    }

    /// Creates a stream with a buffer of `reader_capacity` bytes for reads and one of `writer_capacity` bytes for
    /// writes.
    ///
    /// # Panics
    ///
    /// Panics if `reader_capacity` is 0.
    #[track_caller]
    pub fn with_capacity(reader_capacity: usize, writer_capacity: usize, stream: S) -> BufStream<S> {
        let writer = BufWriter::with_capacity(writer_capacity, stream);
        BufStream { inner: BufReader::with_capacity(reader_capacity, writer) }
    }

    /// Returns a reference to the inner stream.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref().get_ref()
    }

    /// Returns a mutable reference to the inner stream. It does not know what is in the buffers.
    pub fn get_mut(&mut self) -> &mut S {
        self.inner.get_mut().get_mut()
    }

    /// Returns a pinned mutable reference to the inner stream. It does not know what is in the buffers.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().inner.get_pin_mut().get_pin_mut()
    }

    /// Returns the inner stream. Bytes in the buffers are lost.
    pub fn into_inner(self) -> S {
        self.inner.into_inner().into_inner()
    }
}

impl<S> From<BufReader<BufWriter<S>>> for BufStream<S> {
    fn from(inner: BufReader<BufWriter<S>>) -> BufStream<S> {
        BufStream { inner }
    }
}

/// Exchanges the two layers. What is in the buffers stays there.
impl<S> From<BufWriter<BufReader<S>>> for BufStream<S> {
    fn from(writer: BufWriter<BufReader<S>>) -> BufStream<S> {
        let (reader, writer) = writer.replace_inner(());
        let (stream, reader) = reader.replace_inner(());
        let ((), writer) = writer.replace_inner(stream);
        let ((), inner) = reader.replace_inner(writer);
        BufStream { inner }
    }
}

impl<S: AsyncRead> AsyncRead for BufStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.project().inner.poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_read_vectored(cx, buffers)
    }
}

impl<S: AsyncRead> AsyncBufRead for BufStream<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.project().inner.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        self.project().inner.consume(count);
    }
}

impl<S: AsyncRead + AsyncWrite + AsyncSeek> AsyncSeek for BufStream<S> {
    fn poll_seek(self: Pin<&mut Self>, cx: &mut Context<'_>, position: SeekFrom) -> Poll<io::Result<u64>> {
        self.project().inner.poll_seek(cx, position)
    }
}

impl<S: AsyncWrite> AsyncWrite for BufStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_close(cx)
    }
}

crate::io::tokio_traits::tokio_read_by_futures! {
    BufStream<S>, S: AsyncRead;
}

crate::io::tokio_traits::tokio_write_by_futures! {
    BufStream<S>, S: AsyncWrite;
}
