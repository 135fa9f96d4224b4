//! What goes through a connection: the traits of futures-io, for streams and their halves.
//!
//! Each read and write is std's system call, tried when the reactor believes that it is worth it. A
//! transfer that is short has emptied the socket, or filled it, which saves the next call that would
//! say `EAGAIN`; so the room of a transfer must be counted as the kernel counts it.

use super::stream::TcpStream;
use crate::runtime::reactor::Direction;
use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The kernel takes at most this many buffers in one call (`UIO_MAXIOV`), see readv(2).
const MOST_BUFFERS: usize = 1024;

/// And at most this many bytes, see read(2).
const MOST_BYTES: usize = 0x7fff_f000;

impl TcpStream {
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        // Otherwise it would look like the end of the stream, or wait for what it cannot take.
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = buffer.len().min(MOST_BYTES);
        self.io.poll_transfer(cx, Direction::Read, room, |mut stream| stream.read(buffer))
    }

    pub(super) fn poll_recv_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let (buffers, room) = filled_mut(buffers);
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        self.io.poll_transfer(cx, Direction::Read, room, |mut stream| stream.read_vectored(buffers))
    }

    pub(super) fn poll_send(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = buffer.len().min(MOST_BYTES);
        self.io.poll_transfer(cx, Direction::Write, room, |mut stream| stream.write(buffer))
    }

    pub(super) fn poll_send_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (buffers, room) = filled(buffers);
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        self.io.poll_transfer(cx, Direction::Write, room, |stream| send_vectored(stream, buffers))
    }

    /// No more is to be written. A connection that is gone needs no end: that is no error.
    pub(super) fn close_writing(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

/// Unlike std's, which is writev(2), this raises no `SIGPIPE` where that is not ignored.
pub(super) fn send_vectored(stream: &std::net::TcpStream, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    SockRef::from(stream).send_vectored_with_flags(buffers, libc::MSG_NOSIGNAL)
}

/// The buffers that the kernel would look at, from the first that is not empty, and their room.
pub(super) fn filled<'a, 'b>(buffers: &'a [IoSlice<'b>]) -> (&'a [IoSlice<'b>], usize) {
    let (from, to, room) = extent(buffers);
    (&buffers[from..to], room)
}

pub(super) fn filled_mut<'a, 'b>(buffers: &'a mut [IoSliceMut<'b>]) -> (&'a mut [IoSliceMut<'b>], usize) {
    let (from, to, room) = extent(buffers);
    (&mut buffers[from..to], room)
}

fn extent(buffers: &[impl Deref<Target = [u8]>]) -> (usize, usize, usize) {
    let from = buffers.iter().take_while(|buffer| buffer.is_empty()).count();
    let to = buffers.len().min(from.saturating_add(MOST_BUFFERS));
    let room = buffers[from..to].iter().fold(0, |room: usize, buffer| room.saturating_add(buffer.len()));
    (from, to, room.min(MOST_BYTES))
}

/// Reading, by way of the stream that is behind a value.
macro_rules! async_read {
    ($($type:ty: $value:ident => $stream:expr;)*) => {$(
        impl AsyncRead for $type {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let $value = &*self;
                $stream.poll_recv(cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let $value = &*self;
                $stream.poll_recv_vectored(cx, buffers)
            }
        }
    )*};
}

/// Writing, likewise; and how it is ended.
macro_rules! async_write {
    ($($type:ty: $value:ident => $stream:expr, $close:expr;)*) => {$(
        impl AsyncWrite for $type {
            #[inline]
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
                let $value = &*self;
                $stream.poll_send(cx, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let $value = &*self;
                $stream.poll_send_vectored(cx, buffers)
            }

            /// Nothing is held back here.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Shuts down writing, so that the peer comes to the end of the stream. May be repeated.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $value = self.get_mut();
                Poll::Ready($close)
            }
        }
    )*};
}

pub(super) use {async_read, async_write};

async_read! {
    TcpStream: stream => stream;
    &TcpStream: stream => stream;
}

async_write! {
    TcpStream: stream => stream, stream.close_writing();
    &TcpStream: stream => stream, stream.close_writing();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_the_kernel_would_look_at() {
        let byte = [0u8; 1];
        let many: Vec<IoSlice<'_>> =
            (0..3000).map(|n| IoSlice::new(if n < 1500 { &[] } else { &byte })).collect();
        assert_eq!(extent(&many), (1500, 2524, 1024));
        assert_eq!(extent(&many[..1500]), (1500, 1500, 0));
        assert_eq!(extent(&many[..1501]), (1500, 1501, 1));
        assert_eq!(extent(&[] as &[IoSlice<'_>]), (0, 0, 0));
    }
}
