//! The stream that hyper gets for a connection: that of the user, and what the server has to know of it.
//!
//! The stream gives back the bytes that were read to detect the version, and it notes what the clocks ask for. When hyper
//! shuts it down while the client still sends, the rest of a body or further requests, it reads that: if it were closed with
//! bytes that nobody has read, the system would reset the connection, and the client might lose the response.

use super::shared::{Direction, Shared};
use ::hyper::body::{Buf, Bytes};
use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The bytes that are read and thrown away at once, at the end of a connection.
const DISCARDED_BYTES: usize = 8 * 1024;

/// The stream of a connection.
pub(super) struct ServerStream<I> {
    stream: I,
    /// The bytes that were read to detect the version, until hyper has got them.
    prefix: Bytes,
    /// Dropped last: then the connection is off the books.
    permit: StreamPermit,
}

/// Tells the server that a stream has gone.
pub(super) struct StreamPermit(Arc<Shared>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<I> ServerStream<I> {
    pub(super) fn new(stream: I, shared: Arc<Shared>) -> ServerStream<I> {
        ServerStream { stream, prefix: Bytes::new(), permit: StreamPermit(shared) }
    }

    /// Gives back bytes that were read from the stream.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        debug_assert!(self.prefix.is_empty(), "bytes are put back once");
        self.prefix = bytes;
    }

    /// Returns the stream after an upgrade.
    pub(super) fn into_parts(self) -> (I, StreamPermit) {
        // The first read of hyper takes all of it.
        debug_assert!(self.prefix.is_empty(), "hyper has upgraded a connection of which it has read nothing");
        (self.stream, self.permit)
    }

    fn shared(&self) -> &Shared {
        &self.permit.0
    }

    /// Notes whether a write is blocked.
    #[inline]
    fn after_write<T>(&self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.shared().note_write(polled.is_pending());
        self.shared().after(cx, polled, Direction::Write)
    }
}

impl<I: Read + Unpin> Read for ServerStream<I> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let count = buffer.remaining().min(self.prefix.len());
            buffer.put_slice(&self.prefix[..count]);
            self.prefix.advance(count);
            return Poll::Ready(Ok(()));
        }
        if !self.shared().may_read(cx) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            self.shared().note_read();
        }
        self.shared().after(cx, polled, Direction::Read)
    }
}

impl<I: Read + Write + Unpin> Write for ServerStream<I> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buffer);
        self.after_write(cx, polled)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.after_write(cx, polled)
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.after_write(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shared().is_shut_down() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.after_write(cx, polled))?;
            if self.shared().is_upgraded() {
                return Poll::Ready(Ok(()));
            }
            self.shared().note_shutdown();
        }
        // Bounded by the clocks.
        loop {
            if !self.shared().may_read(cx) {
                return Poll::Pending;
            }
            let mut bytes = [MaybeUninit::uninit(); DISCARDED_BYTES];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, buffer.unfilled()) {
                Poll::Pending if self.shared().is_discarding() => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.shared().note_discarded();
                }
                // The response was sent, whatever becomes of the rest of the request.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
