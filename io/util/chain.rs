//! `Chain`: one reader after another.

use futures_io::{AsyncBufRead, AsyncRead};
use pin_project_lite::pin_project;
use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Two readers one after the other, created by [`AsyncReadExt::chain`](super::AsyncReadExt::chain).
    #[derive(Debug)]
    #[must_use = "readers do nothing unless they are read"]
    pub struct Chain<T, U> {
        #[pin]
        first: T,
        #[pin]
        second: U,
        is_first_at_end: bool,
    }
}

impl<T, U> Chain<T, U> {
    pub(super) fn new(first: T, second: U) -> Chain<T, U> {
        Chain { first, second, is_first_at_end: false }
    }

    /// Returns references to the two readers.
    pub fn get_ref(&self) -> (&T, &U) {
        (&self.first, &self.second)
    }

    /// Returns mutable references to the two readers. Bytes that are read from them are missing in the chain.
    pub fn get_mut(&mut self) -> (&mut T, &mut U) {
        (&mut self.first, &mut self.second)
    }

    /// Returns pinned mutable references to the two readers. Bytes that are read from them are missing in the chain.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> (Pin<&mut T>, Pin<&mut U>) {
        let this = self.project();
        (this.first, this.second)
    }

    /// Returns the two readers.
    pub fn into_inner(self) -> (T, U) {
        (self.first, self.second)
    }
}

impl<T: AsyncRead, U: AsyncRead> AsyncRead for Chain<T, U> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        if !*this.is_first_at_end {
            let count = ready!(this.first.poll_read(cx, buffer))?;
            // Careful: a read into no room returns 0 as well.
            if count > 0 || buffer.is_empty() {
                return Poll::Ready(Ok(count));
            }
            *this.is_first_at_end = true;
        }
        this.second.poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        if !*this.is_first_at_end {
            let count = ready!(this.first.poll_read_vectored(cx, buffers))?;
            if count > 0 || buffers.iter().all(|buffer| buffer.is_empty()) {
                return Poll::Ready(Ok(count));
            }
            *this.is_first_at_end = true;
        }
        this.second.poll_read_vectored(cx, buffers)
    }
}

impl<T: AsyncBufRead, U: AsyncBufRead> AsyncBufRead for Chain<T, U> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.project();
        if !*this.is_first_at_end {
            match ready!(this.first.poll_fill_buf(cx))? {
                [] => *this.is_first_at_end = true,
                bytes => return Poll::Ready(Ok(bytes)),
            }
        }
        this.second.poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        let this = self.project();
        if *this.is_first_at_end { this.second.consume(count) } else { this.first.consume(count) }
    }
}

crate::io::tokio_traits::tokio_read_by_futures! {
    Chain<T, U>, T: AsyncRead, U: AsyncRead;
}
