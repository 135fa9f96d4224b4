//! `Take`: a reader that ends after a number of bytes.

use super::poll_read;
use futures_io::{AsyncBufRead, AsyncRead};
use pin_project_lite::pin_project;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// A reader that ends after a number of bytes, created by [`AsyncReadExt::take`](super::AsyncReadExt::take).
    ///
    /// Use it to bound what a peer may send before a delimiter:
    ///
    /// ```
    /// use runtime::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
    ///
    /// # runtime::block_on(async {
    /// let mut reader = BufReader::new(&b"ok\nmuch too long"[..]).take(8);
    /// let mut line = String::new();
    /// while reader.read_line(&mut line).await? > 0 {
    ///     if !line.ends_with('\n') {
    ///         break; // The line is too long, or the peer has closed the connection.
    ///     }
    ///     line.clear();
    ///     reader.set_limit(8);
    /// }
    /// assert_eq!((line.as_str(), reader.limit()), ("much too", 0));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[derive(Debug)]
    #[must_use = "readers do nothing unless they are read"]
    pub struct Take<R> {
        #[pin]
        reader: R,
        remaining: u64,
    }
}

impl<R> Take<R> {
    pub(super) fn new(reader: R, limit: u64) -> Take<R> {
        Take { reader, remaining: limit }
    }

    /// Returns the number of bytes that can still be read. The reader may end before.
    pub fn limit(&self) -> u64 {
        self.remaining
    }

    /// Sets the number of bytes that can be read from now on, whatever has been read before.
    pub fn set_limit(&mut self, limit: u64) {
        self.remaining = limit;
    }

    /// Returns a reference to the reader.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// Returns a mutable reference to the reader. Bytes that are read from it do not count.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Returns a pinned mutable reference to the reader. Bytes that are read from it do not count.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut R> {
        self.project().reader
    }

    /// Returns the reader.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

/// Returns `length`, or the limit if this is less.
fn limited(length: usize, limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX).min(length)
}

impl<R: AsyncRead> AsyncRead for Take<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        // At the limit, the reader itself may wait for ever.
        if self.remaining == 0 {
            return Poll::Ready(Ok(0));
        }
        let this = self.project();
        let most = limited(buffer.len(), *this.remaining);
        let count = ready!(poll_read(this.reader, cx, &mut buffer[..most]))?;
        *this.remaining -= count as u64;
        Poll::Ready(Ok(count))
    }
}

impl<R: AsyncBufRead> AsyncBufRead for Take<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.remaining == 0 {
            return Poll::Ready(Ok(&[]));
        }
        let this = self.project();
        let bytes = ready!(this.reader.poll_fill_buf(cx))?;
        Poll::Ready(Ok(&bytes[..limited(bytes.len(), *this.remaining)]))
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        let this = self.project();
        // More than was shown must neither be consumed nor lift the limit.
        let count = limited(count, *this.remaining);
        *this.remaining -= count as u64;
        this.reader.consume(count);
    }
}

crate::io::tokio_traits::tokio_read_by_futures! {
    Take<R>, R: AsyncRead;
}
