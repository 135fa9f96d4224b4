//! Two ends of a connection that does not leave the process: for tests, and between tasks.

use super::channel::Channel;
use super::split::{Ending, ReadHalf, WriteHalf, split_with};
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Makes two ends that are connected as the two of a socket are: what is written to one is read from
/// the other. `max_buf_size` bytes may be under way in each direction; then a write waits.
///
/// The ends may be on different threads.
///
/// # Panics
///
/// If `max_buf_size` is 0.
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

/// One of two ends that are connected. From [`duplex`].
///
/// Closing it, or dropping it, brings the other to the end of the stream, after what has been written.
/// A write to an end that is gone is [`BrokenPipe`](io::ErrorKind::BrokenPipe), as is one after a close.
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
    /// Ends what the other is to read; as [`AsyncWriteExt::close`](super::AsyncWriteExt::close), under
    /// tokio's name. May be repeated. It never waits.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// None so far.
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

/// Makes a stream in which what is written to one half is read from the other: a pipe within the
/// process. `max_buf_size` bytes may be under way; then a write waits.
///
/// Dropping either half ends the stream for the other: the reader comes to the end after what has been written,
/// and a write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe). Halves that
/// [`split`](super::split) makes of a [`SimplexStream`] do not: there the writer is closed.
///
/// # Panics
///
/// If `max_buf_size` is 0.
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

/// What is written to it is read from it. From [`simplex`], or both halves in one.
#[derive(Debug)]
pub struct SimplexStream(Arc<Channel>);

impl SimplexStream {
    /// As [`simplex`], in one piece.
    ///
    /// # Panics
    ///
    /// If `max_buf_size` is 0.
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
