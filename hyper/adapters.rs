//! Adapters for the streams of other crates, between the traits of hyper and those of tokio or futures-io. Streams of
//! this crate need none. Each adapter works in both directions: it gives hyper a stream of TLS, and it gives a WebSocket
//! library a connection that hyper has upgraded.

use super::uninit;
use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use pin_project_lite::pin_project;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Adapts between the traits of hyper and those of tokio.
    ///
    /// If the stream has tokio's traits, this type has hyper's, and the other way round. It corresponds to the type of
    /// the same name in hyper-util, which compiles the runtime of tokio.
    #[derive(Clone, Copy, Debug)]
    pub struct TokioIo<T> {
        #[pin]
        stream: T,
    }
}

pin_project! {
    /// Adapts between the traits of hyper and those of futures-io.
    ///
    /// If the stream has the traits of futures-io, this type has hyper's, and the other way round.
    ///
    /// The traits of futures-io do not say whether a stream writes several buffers at once, so hyper is told that it
    /// does: a stream that does not writes the first buffer, which is correct as well.
    #[derive(Clone, Copy, Debug)]
    pub struct FuturesIo<T> {
        #[pin]
        stream: T,
    }
}

macro_rules! accessors {
    ($($adapter:ident)*) => {$(
        impl<T> $adapter<T> {
            /// Wraps a stream.
            pub fn new(stream: T) -> $adapter<T> {
                $adapter { stream }
            }

            /// Returns a reference to the stream.
            pub fn get_ref(&self) -> &T {
                &self.stream
            }

            /// Returns a mutable reference to the stream.
            pub fn get_mut(&mut self) -> &mut T {
                &mut self.stream
            }

            /// Returns the stream.
            pub fn into_inner(self) -> T {
                self.stream
            }
        }
    )*};
}

accessors! { TokioIo FuturesIo }

/// Implements the methods of `Write` and of tokio's `AsyncWrite`, which differ in nothing but their names.
macro_rules! write_by {
    ($trait:path) => {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
            <T as $trait>::poll_write(self.project().stream, cx, buffer)
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffers: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            <T as $trait>::poll_write_vectored(self.project().stream, cx, buffers)
        }

        fn is_write_vectored(&self) -> bool {
            <T as $trait>::is_write_vectored(&self.stream)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            <T as $trait>::poll_flush(self.project().stream, cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            <T as $trait>::poll_shutdown(self.project().stream, cx)
        }
    };
}

impl<T: tokio::io::AsyncRead> Read for TokioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        uninit::read_by_tokio(self.project().stream, cx, buffer)
    }
}

impl<T: tokio::io::AsyncWrite> Write for TokioIo<T> {
    write_by!(tokio::io::AsyncWrite);
}

impl<T: Read> tokio::io::AsyncRead for TokioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        uninit::read_by_hyper(self.project().stream, cx, buffer)
    }
}

impl<T: Write> tokio::io::AsyncWrite for TokioIo<T> {
    write_by!(Write);
}

impl<T: futures_io::AsyncRead> Read for FuturesIo<T> {
    /// Reads into an initialized buffer on the stack and copies the bytes, since futures-io has no uninitialized buffers.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; STACK_BYTES];
        let room = cursor.remaining().min(STACK_BYTES);
        let count = ready!(self.project().stream.poll_read(cx, &mut bytes[..room]))?;
        cursor.put_slice(&bytes[..count]);
        Poll::Ready(Ok(()))
    }
}

/// The maximum number of bytes of one read of a [`FuturesIo`]. They are read into the stack and copied: the cursor of
/// hyper has no safe way to advance over bytes that were read in place.
const STACK_BYTES: usize = 8 * 1024;

impl<T: futures_io::AsyncWrite> Write for FuturesIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_close(cx)
    }
}

impl<T: Read> futures_io::AsyncRead for FuturesIo<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(bytes);
        ready!(self.project().stream.poll_read(cx, buffer.unfilled()))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<T: Write> futures_io::AsyncWrite for FuturesIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}
