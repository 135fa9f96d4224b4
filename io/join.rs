//! `join` combines a reader and a writer into one stream.
//!
//! Each operation is passed on to the reader or to the writer. This includes vectored, buffered and descriptor
//! operations, so a joined stream can be spliced if its parts can.

use crate::net::fd_traits::sealed::{PollReadFd, PollWriteFd};
use crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd, Operation};
use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use pin_project_lite::pin_project;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Combines a reader and a writer into one stream, for example standard input and standard output.
///
/// Reads from the stream go to `reader`, and writes go to `writer`.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, join};
///
/// # runtime::block_on(async {
/// let mut stream = join(&b"question"[..], Vec::new());
/// let mut text = String::new();
/// stream.read_to_string(&mut text).await?;
/// stream.write_all(b"answer").await?;
/// assert_eq!((text.as_str(), stream.into_inner().1), ("question", b"answer".to_vec()));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn join<R, W>(reader: R, writer: W) -> Join<R, W> {
    Join { reader, writer }
}

pin_project! {
    /// A reader and a writer combined into one stream, created by [`join`].
    #[derive(Debug)]
    pub struct Join<R, W> {
        #[pin]
        reader: R,
        #[pin]
        writer: W,
    }
}

impl<R, W> Join<R, W> {
    /// Returns the reader and the writer.
    pub fn into_inner(self) -> (R, W) {
        (self.reader, self.writer)
    }

    /// Returns a reference to the reader.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Returns a reference to the writer.
    pub fn writer(&self) -> &W {
        &self.writer
    }

    /// Returns a mutable reference to the reader.
    pub fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Returns a mutable reference to the writer.
    pub fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Returns a pinned mutable reference to the reader.
    pub fn reader_pin_mut(self: Pin<&mut Self>) -> Pin<&mut R> {
        self.project().reader
    }

    /// Returns a pinned mutable reference to the writer.
    pub fn writer_pin_mut(self: Pin<&mut Self>) -> Pin<&mut W> {
        self.project().writer
    }
}

impl<R: AsyncRead, W> AsyncRead for Join<R, W> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.project().reader.poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().reader.poll_read_vectored(cx, buffers)
    }
}

impl<R: AsyncBufRead, W> AsyncBufRead for Join<R, W> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.project().reader.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.project().reader.consume(amount);
    }
}

impl<R, W: AsyncWrite> AsyncWrite for Join<R, W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.project().writer.poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().writer.poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().writer.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().writer.poll_close(cx)
    }
}

impl<R: AsyncReadFd, W> AsyncReadFd for Join<R, W> {}

impl<R: PollReadFd, W> PollReadFd for Join<R, W> {
    fn poll_read_fd(&self, cx: &mut Context<'_>, operation: Operation<'_>) -> Poll<io::Result<()>> {
        self.reader.poll_read_fd(cx, operation)
    }
}

impl<R, W: AsyncWriteFd> AsyncWriteFd for Join<R, W> {}

impl<R, W: PollWriteFd> PollWriteFd for Join<R, W> {
    fn poll_write_fd(&self, cx: &mut Context<'_>, operation: Operation<'_>) -> Poll<io::Result<()>> {
        self.writer.poll_write_fd(cx, operation)
    }
}

super::tokio_traits::tokio_read_by_futures! {
    Join<R, W>, R: AsyncRead, W: Sized;
}

super::tokio_traits::tokio_write_by_futures! {
    Join<R, W>, R: Sized, W: AsyncWrite;
}
