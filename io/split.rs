//! Two halves of any stream.
//!
//! A stream that is read and written through one `&mut` must be used by one half at a time. So a half
//! that finds the other in the midst of a poll, on another thread or further down on the stack, does
//! not wait for it, which might be for itself: it comes again in its task's next turn.

use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Context, Poll};

/// Makes a half that reads and one that writes of any stream. They may go to two tasks, also in two runtimes on two
/// threads. Sockets and pipes have halves of their own that need no lock.
///
/// The stream is dropped with the second half.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
///
/// # runtime::block_on(async {
/// let (stream, mut other) = duplex(64);
/// let (mut reader, mut writer) = split(stream);
/// other.write_all(b"ping").await?;
/// let mut word = [0; 4];
/// reader.read_exact(&mut word).await?;
/// writer.write_all(&word).await?;
/// let stream = reader.unsplit(writer);
/// # other.read_exact(&mut word).await?;
/// # drop(stream);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn split<T: AsyncRead + AsyncWrite + Unpin>(stream: T) -> (ReadHalf<T>, WriteHalf<T>) {
    split_with(stream, Ending(None), Ending(None))
}

/// As [`split`], with something to be done when a half is dropped: the one that reads, the one that writes.
pub(super) fn split_with<T>(
    stream: T,
    end_reading: Ending,
    end_writing: Ending,
) -> (ReadHalf<T>, WriteHalf<T>) {
    let stream = Arc::new(Mutex::new(stream));
    let reader = ReadHalf { stream: stream.clone(), ending: end_reading };
    (reader, WriteHalf { stream, ending: end_writing })
}

/// What is done when a half is dropped. The other half may be in the midst of a poll then, so that the stream
/// cannot be had.
pub(super) struct Ending(Option<Box<dyn FnOnce() + Send + Sync + UnwindSafe + RefUnwindSafe>>);

impl Ending {
    #[cfg(feature = "io-util")]
    pub(super) fn new(end: impl FnOnce() + Send + Sync + UnwindSafe + RefUnwindSafe + 'static) -> Ending {
        Ending(Some(Box::new(end)))
    }

    fn cancel(mut self) {
        self.0 = None;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// The half of a stream that reads. From [`split`].
pub struct ReadHalf<T> {
    stream: Arc<Mutex<T>>,
    ending: Ending,
}

/// The half of a stream that writes. From [`split`].
///
/// Dropping it does not end the stream: close it. (That of `simplex` ends it.)
pub struct WriteHalf<T> {
    stream: Arc<Mutex<T>>,
    ending: Ending,
}

impl<T> ReadHalf<T> {
    /// Whether both are of the same stream.
    pub fn is_pair_of(&self, other: &WriteHalf<T>) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }

    /// Makes the stream of its two halves again.
    ///
    /// # Panics
    ///
    /// If they are not of the same stream, which [`is_pair_of`](ReadHalf::is_pair_of) tells.
    #[track_caller]
    pub fn unsplit(self, writer: WriteHalf<T>) -> T {
        assert!(
            self.is_pair_of(&writer),
            "the two halves are not of the same stream: ask `is_pair_of` first"
        );
        self.ending.cancel();
        writer.ending.cancel();
        drop(writer.stream);
        let stream = Arc::into_inner(self.stream).expect("a stream has but two halves");
        stream.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> WriteHalf<T> {
    /// Whether both are of the same stream.
    pub fn is_pair_of(&self, other: &ReadHalf<T>) -> bool {
        other.is_pair_of(self)
    }
}

fn poll_stream<T: Unpin, R>(
    stream: &Mutex<T>,
    cx: &mut Context<'_>,
    poll: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    let mut stream = match stream.try_lock() {
        Ok(stream) => stream,
        // What a panic has left is the stream's own business.
        Err(TryLockError::Poisoned(stream)) => stream.into_inner(),
        Err(TryLockError::WouldBlock) => {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
    };
    poll(Pin::new(&mut stream), cx)
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadHalf<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        poll_stream(&self.stream, cx, |stream, cx| stream.poll_read(cx, buffer))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_stream(&self.stream, cx, |stream, cx| stream.poll_read_vectored(cx, buffers))
    }
}

impl<T: AsyncWrite + Unpin> WriteHalf<T> {
    /// Ends the stream; as [`AsyncWriteExt::close`](super::AsyncWriteExt::close), under tokio's name.
    ///
    /// # Cancel safety
    ///
    /// As closing the stream itself is.
    ///
    /// # Errors
    ///
    /// Those of closing the stream itself.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        super::AsyncWriteExt::close(self).await
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WriteHalf<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        poll_stream(&self.stream, cx, |stream, cx| stream.poll_write(cx, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_stream(&self.stream, cx, |stream, cx| stream.poll_write_vectored(cx, buffers))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_stream(&self.stream, cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_stream(&self.stream, cx, |stream, cx| stream.poll_close(cx))
    }
}

#[cfg(feature = "io-util")]
mod fd {
    use super::{ReadHalf, WriteHalf, poll_stream};
    use crate::net::fd_traits::sealed::{PollReadFd, PollWriteFd};
    use crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd, Operation};
    use std::io;
    use std::task::{Context, Poll};

    impl<T: AsyncReadFd + Unpin> AsyncReadFd for ReadHalf<T> {}

    impl<T: PollReadFd + Unpin> PollReadFd for ReadHalf<T> {
        fn poll_read_fd(&self, cx: &mut Context<'_>, operation: Operation<'_>) -> Poll<io::Result<()>> {
            poll_stream(&self.stream, cx, |stream, cx| stream.poll_read_fd(cx, operation))
        }
    }

    impl<T: AsyncWriteFd + Unpin> AsyncWriteFd for WriteHalf<T> {}

    impl<T: PollWriteFd + Unpin> PollWriteFd for WriteHalf<T> {
        fn poll_write_fd(&self, cx: &mut Context<'_>, operation: Operation<'_>) -> Poll<io::Result<()>> {
            poll_stream(&self.stream, cx, |stream, cx| stream.poll_write_fd(cx, operation))
        }
    }
}

super::tokio_traits::tokio_read_by_futures! {
    ReadHalf<T>, T: AsyncRead;
}

super::tokio_traits::tokio_write_by_futures! {
    WriteHalf<T>, T: AsyncWrite;
}

impl<T> fmt::Debug for ReadHalf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHalf").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for WriteHalf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteHalf").finish_non_exhaustive()
    }
}
