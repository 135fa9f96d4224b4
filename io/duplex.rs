//! In-memory streams: a connection with two ends (`duplex`), and a pipe (`simplex`). Programs use them in tests, and
//! between tasks.
//!
//! Each direction is a `Channel`, which does all the work. This file only says which end reads and writes which
//! channel, and what happens to the channel when an end is closed or dropped.

use super::channel::Channel;
use super::split::{Ending, ReadHalf, WriteHalf, split_with};
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Creates two connected in-memory streams. Bytes that are written to one of them can be read from the other.
///
/// Each direction buffers at most `max_buf_size` bytes. While that buffer is full, a write waits until the other end
/// has read something.
///
/// The two ends may be used on different threads.
///
/// # Panics
///
/// Panics if `max_buf_size` is 0.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// # runtime::block_on(async {
/// let (mut client, mut server) = duplex(64);
/// client.write_all(b"ping").await?;
/// let mut word = [0; 4];
/// server.read_exact(&mut word).await?;
/// assert_eq!(&word, b"ping");
///
/// drop(client);
/// assert_eq!(server.read(&mut word).await?, 0, "the end of the stream");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn duplex(max_buf_size: usize) -> (DuplexStream, DuplexStream) {
    let one = Arc::new(Channel::new(max_buf_size));
    let other = Arc::new(Channel::new(max_buf_size));
    (DuplexStream { read: one.clone(), write: other.clone() }, DuplexStream { read: other, write: one })
}

/// One end of an in-memory connection, created by [`duplex`].
///
/// When one end is closed or dropped, the other end can still read what was written before, and then reads the end of
/// the stream. A write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) if the other end has been dropped, or if
/// this end has been closed.
#[derive(Debug)]
pub struct DuplexStream {
    read: Arc<Channel>,
    write: Arc<Channel>,
}

impl AsyncRead for DuplexStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.read.poll_read(cx, buffer)
    }
}

impl AsyncWrite for DuplexStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.write.poll_write(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write.poll_write(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.close_writing();
        Poll::Ready(Ok(()))
    }
}

impl DuplexStream {
    /// Closes this end for writing. The other end reads what was written before, and then the end of the stream.
    ///
    /// This is the same as [`AsyncWriteExt::shutdown`](super::AsyncWriteExt::shutdown), for a shared reference. It never
    /// waits, and it may be called again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// Currently this method returns no errors.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.write.close_writing();
        Ok(())
    }
}

impl Drop for DuplexStream {
    fn drop(&mut self) {
        self.write.close_writing();
        self.read.close_reading();
    }
}

/// Creates an in-memory pipe. Bytes that are written to the write half can be read from the read half.
///
/// The pipe buffers at most `max_buf_size` bytes. While that buffer is full, a write waits until the reader has read
/// something.
///
/// When the write half is dropped, the reader can still read what was written before, and then reads the end of the
/// stream. When the read half is dropped, a write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe). Careful:
/// halves that [`split`](super::split) makes of a [`SimplexStream`] do not end the stream when they are dropped. With
/// them, the writer has to be closed.
///
/// # Panics
///
/// Panics if `max_buf_size` is 0.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, simplex};
///
/// # runtime::block_on(async {
/// let (mut reader, mut writer) = simplex(64);
/// writer.write_all(b"one way").await?;
/// writer.close().await?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text).await?;
/// assert_eq!(text, "one way");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn simplex(max_buf_size: usize) -> (ReadHalf<SimplexStream>, WriteHalf<SimplexStream>) {
    let channel = Arc::new(Channel::new(max_buf_size));
    let (read, written) = (channel.clone(), channel.clone());
    split_with(
        SimplexStream(channel),
        Ending::new(move || read.close_reading()),
        Ending::new(move || written.close_writing()),
    )
}

/// An in-memory pipe in one object: bytes that are written to it can be read from it.
///
/// [`simplex`] returns the two halves of such a stream. [`SimplexStream::new_unsplit`] creates one that is not split.
#[derive(Debug)]
pub struct SimplexStream(Arc<Channel>);

impl SimplexStream {
    /// Creates an in-memory pipe that buffers at most `max_buf_size` bytes.
    ///
    /// Unlike [`simplex`], this function returns one stream, and not two halves.
    ///
    /// # Panics
    ///
    /// Panics if `max_buf_size` is 0.
    #[track_caller]
    pub fn new_unsplit(max_buf_size: usize) -> SimplexStream {
        SimplexStream(Arc::new(Channel::new(max_buf_size)))
    }
}

impl AsyncRead for SimplexStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }
}

impl AsyncWrite for SimplexStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.close_writing();
        Poll::Ready(Ok(()))
    }
}

super::tokio_traits::tokio_read_by_futures! {
    DuplexStream;
    SimplexStream;
}

super::tokio_traits::tokio_write_by_futures! {
    DuplexStream;
    SimplexStream;
}
