//! The output of a child, read to its end.

use crate::io::lent::{BUFFER_SIZE, Buffer};
use futures_io::AsyncRead;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A stream, until its end, and the bytes that have been read from it.
pub(super) struct Collected<R> {
    stream: Option<R>,
    bytes: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Collected<R> {
    /// Begins to collect. Without a stream, there is nothing to wait for.
    pub(super) fn new(stream: Option<R>) -> Collected<R> {
        Collected { stream, bytes: Vec::new() }
    }

    /// Reads until the stream ends, and closes it then.
    pub(super) fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        // It goes back to the pool of the runtime before the next wait.
        let mut buffer = Buffer::take(BUFFER_SIZE);
        loop {
            match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))? {
                0 => break,
                count => self.bytes.extend_from_slice(&buffer[..count]),
            }
        }
        self.stream = None;
        Poll::Ready(Ok(()))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
