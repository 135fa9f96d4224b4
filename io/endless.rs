//! Streams that are always ready: with nothing in them, with one byte for ever, and for what nobody
//! wants.
//!
//! Like all that is ours they take part in the budget of a task, so that one which reads such a stream
//! in a loop does not keep the others from their turn.

use crate::task::coop;
use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Is at its end from the start, and takes what is written to it. From [`empty`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty(());

/// One byte, over and over. From [`repeat`].
#[derive(Clone, Debug)]
pub struct Repeat(u8);

/// Takes all that is written to it, and keeps nothing. From [`sink`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sink(());

/// A reader without a byte. What is written to it is gone.
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

/// A reader that gives one byte for ever.
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

/// A writer for what is not wanted.
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

/// One operation's worth of the budget.
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
    /// Wherever one goes, it is the end.
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

macro_rules! takes_all {
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

takes_all! { Empty Sink }

super::tokio_traits::tokio_read_by_futures! { Empty; Repeat; }
super::tokio_traits::tokio_write_by_futures! { Empty; Sink; }
