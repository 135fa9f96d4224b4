//! Halves of a stream that is borrowed.

use super::stream::TcpStream;
use crate::io::{Interest, Ready};
use crate::net::transfer::{async_read, async_write};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// The half of a [`TcpStream`] that reads. From [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The half of a [`TcpStream`] that writes. From [`TcpStream::split`].
///
/// Closing it shuts down writing; dropping it does nothing.
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

pub(super) fn split(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf(stream), WriteHalf(stream))
}

async_read! {
    ReadHalf<'_>: half => half.0.io;
}

async_write! {
    WriteHalf<'_>: half => half.0.io, half.0.close_writing();
}

/// The methods that a reading half has of its stream.
macro_rules! read_half {
    ($($type:ty: $half:ident => $stream:expr;)*) => {$(
        impl $type {
            /// As [`TcpStream::peek`].
            ///
            /// # Cancel safety
            ///
            /// Cancel safe.
            ///
            /// # Errors
            ///
            /// As [`TcpStream::peek`].
            pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let $half = &*self;
                $stream.peek(buffer).await
            }

            /// As [`TcpStream::poll_peek`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::peek`].
            pub fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                let $half = &*self;
                $stream.poll_peek(cx, buffer)
            }

            /// As [`TcpStream::ready`].
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            /// As [`TcpStream::readable`].
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                let $half = self;
                $stream.ready(interest).await
            }

            /// As [`TcpStream::readable`].
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            /// As [`TcpStream::readable`].
            pub async fn readable(&self) -> io::Result<()> {
                let $half = self;
                $stream.readable().await
            }

            /// As [`TcpStream::try_read`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::try_read`].
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                let $half = self;
                $stream.try_read(buffer)
            }

            /// As [`TcpStream::try_read_vectored`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::try_read`].
            pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                let $half = self;
                $stream.try_read_vectored(buffers)
            }
        }
        $crate::net::tcp::split::either_half!($type: $half => $stream);
    )*};
}

/// The methods that a writing half has of its stream.
macro_rules! write_half {
    ($($type:ty: $half:ident => $stream:expr;)*) => {$(
        impl $type {
            /// As [`TcpStream::ready`].
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            /// As [`TcpStream::readable`].
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                let $half = self;
                $stream.ready(interest).await
            }

            /// As [`TcpStream::writable`].
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            /// As [`TcpStream::readable`].
            pub async fn writable(&self) -> io::Result<()> {
                let $half = self;
                $stream.writable().await
            }

            /// As [`TcpStream::try_write`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::try_write`].
            pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
                let $half = self;
                $stream.try_write(buffer)
            }

            /// As [`TcpStream::try_write_vectored`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::try_write`].
            pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                let $half = self;
                $stream.try_write_vectored(buffers)
            }
        }
        $crate::net::tcp::split::either_half!($type: $half => $stream);
    )*};
}

/// The methods that either half has.
macro_rules! either_half {
    ($type:ty: $half:ident => $stream:expr) => {
        impl $type {
            /// As [`TcpStream::local_addr`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::local_addr`].
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                let $half = self;
                $stream.local_addr()
            }

            /// As [`TcpStream::peer_addr`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::peer_addr`].
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                let $half = self;
                $stream.peer_addr()
            }
        }

        impl AsRef<TcpStream> for $type {
            fn as_ref(&self) -> &TcpStream {
                let $half = self;
                &$stream
            }
        }
    };
}

pub(super) use {either_half, read_half, write_half};

read_half! {
    ReadHalf<'_>: half => half.0;
}

write_half! {
    WriteHalf<'_>: half => half.0;
}
