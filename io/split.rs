//! `split` makes a read half and a write half of any stream.
//!
//! Both halves need `&mut` access to the stream, so only one of them can poll it at a time, and they share it through a
//! lock. If a half finds the lock taken, the other half is in the middle of a poll: on another thread, or further down
//! on the same stack. The half must not block then, since in the second case it would wait for itself. It wakes its own
//! task and returns `Pending`, so that it is polled again in the task's next turn.

use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Context, Poll};

/// Splits any stream into a half that reads and a half that writes.
///
/// The two halves may be used by two tasks, also in two runtimes on two threads. They share the stream through a lock.
/// Sockets and pipes have halves of their own that need no lock, such as those that `TcpStream::into_split` returns.
///
/// The stream is dropped when both halves have been dropped.
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

/// Splits a stream as [`split`] does. `end_reading` runs when the read half is dropped, and `end_writing` when the
/// write half is dropped.
pub(super) fn split_with<T>(
    stream: T,
    end_reading: Ending,
    end_writing: Ending,
) -> (ReadHalf<T>, WriteHalf<T>) {
    let stream = Arc::new(Mutex::new(stream));
    let reader = ReadHalf { stream: stream.clone(), ending: end_reading };
    (reader, WriteHalf { stream, ending: end_writing })
}

/// The action that runs when a half is dropped. It must not need the stream itself: the other half may be in the middle
/// of a poll at that time, and then holds the lock.
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

/// The read half of a stream, created by [`split`].
pub struct ReadHalf<T> {
    stream: Arc<Mutex<T>>,
    ending: Ending,
}

/// The write half of a stream, created by [`split`].
///
/// Dropping this half does not end the stream for the peer. Close it before dropping it. The write half that `simplex`
/// returns is different: it ends the stream when it is dropped.
pub struct WriteHalf<T> {
    stream: Arc<Mutex<T>>,
    ending: Ending,
}

impl<T> ReadHalf<T> {
    /// Returns `true` if both halves belong to the same stream.
    pub fn is_pair_of(&self, other: &WriteHalf<T>) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }

    /// Puts the two halves together again and returns the stream.
    ///
    /// # Panics
    ///
    /// Panics if the halves do not belong to the same stream. [`is_pair_of`](ReadHalf::is_pair_of) tells whether they
    /// do.
    #[track_caller]
    pub fn unsplit(self, writer: WriteHalf<T>) -> T {
        assert!(
            self.is_pair_of(&writer),
            "the two halves are not of the same stream: call `is_pair_of` first"
        );
        self.ending.cancel();
        writer.ending.cancel();
        drop(writer.stream);
        let stream = Arc::into_inner(self.stream).expect("a stream has only two halves");
        stream.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> WriteHalf<T> {
    /// Returns `true` if both halves belong to the same stream.
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
        // The lock is poisoned if a poll of the stream has panicked. The stream itself decides what it does then.
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
    /// Closes the stream for writing.
    ///
    /// This is [`poll_close`](AsyncWrite::poll_close), the same as `AsyncWriteExt::shutdown`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if closing the stream itself is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the errors of closing the stream itself.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self).poll_close(cx)).await
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
