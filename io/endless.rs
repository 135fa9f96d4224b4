//! Streams that are always ready: an empty reader, a reader that repeats one byte, and a writer that discards all
//! bytes.
//!
//! Like every operation of this crate, theirs spend the budget of the task. So a task that reads such a stream in a
//! loop does not keep other tasks from running.

use crate::task::coop;
use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A reader that is always at its end, and a writer that discards all bytes. Created by [`empty`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty(());

/// A reader that repeats one byte without end. Created by [`repeat`].
#[derive(Clone, Debug)]
pub struct Repeat(u8);

/// A writer that discards all bytes. Created by [`sink`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sink(());

/// Creates a stream that is always at its end. Bytes that are written to it are discarded.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, empty};
///
/// # runtime::block_on(async {
/// assert_eq!(empty().read(&mut [0; 8]).await?, 0);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub const fn empty() -> Empty {
    Empty(())
}

/// Creates a reader that repeats one byte without end.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, repeat};
///
/// # runtime::block_on(async {
/// let mut bytes = [0; 3];
/// repeat(7).read_exact(&mut bytes).await?;
/// assert_eq!(bytes, [7, 7, 7]);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub const fn repeat(byte: u8) -> Repeat {
    Repeat(byte)
}

/// Creates a writer that discards all bytes.
///
/// # Examples
///
/// ```
/// use runtime::io::{copy, sink};
///
/// # runtime::block_on(async {
/// assert_eq!(copy(&b"to be counted"[..], &mut sink()).await?, 13);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub const fn sink() -> Sink {
    Sink(())
}

/// Spends the budget of one operation, and then returns the result. Returns `Pending` if the task has no budget left.
fn poll_ready<T>(cx: &mut Context<'_>, result: T) -> Poll<io::Result<T>> {
    ready!(coop::poll_spend(cx));
    Poll::Ready(Ok(result))
}

impl AsyncRead for Empty {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        poll_ready(cx, 0)
    }
}

impl AsyncBufRead for Empty {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        poll_ready(cx, &[])
    }

    fn consume(self: Pin<&mut Self>, _: usize) {}
}

impl AsyncSeek for Empty {
    /// Every position is the end of the stream, so the result is always 0.
    fn poll_seek(self: Pin<&mut Self>, cx: &mut Context<'_>, _: SeekFrom) -> Poll<io::Result<u64>> {
        poll_ready(cx, 0)
    }
}

impl AsyncRead for Repeat {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(coop::poll_spend(cx));
        buffer.fill(self.0);
        Poll::Ready(Ok(buffer.len()))
    }
}

macro_rules! impl_write_all {
    ($($type:ty)*) => {$(
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                poll_ready(cx, buffer.len())
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                poll_ready(cx, buffers.iter().map(|buffer| buffer.len()).sum())
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    )*};
}

impl_write_all! { Empty Sink }

super::tokio_traits::tokio_read_by_futures! { Empty; Repeat; }
super::tokio_traits::tokio_write_by_futures! { Empty; Sink; }
