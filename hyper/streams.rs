//! The traits of hyper for the streams of this crate, by way of their implementation of tokio's traits.

use super::uninit;
use ::hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

macro_rules! read {
    ($($type:ty)*) => {$(
        impl Read for $type {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                uninit::read_by_tokio(self, cx, buffer)
            }
        }
    )*};
}

macro_rules! write {
    ($($type:ty)*) => {$(
        impl Write for $type {
            #[inline]
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
                AsyncWrite::poll_write(self, cx, buffer)
            }

            #[inline]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                AsyncWrite::poll_write_vectored(self, cx, buffers)
            }

            #[inline]
            fn is_write_vectored(&self) -> bool {
                AsyncWrite::is_write_vectored(self)
            }

            #[inline]
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                AsyncWrite::poll_flush(self, cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                AsyncWrite::poll_shutdown(self, cx)
            }
        }
    )*};
}

read! { crate::net::TcpStream crate::net::tcp::OwnedReadHalf }
write! { crate::net::TcpStream crate::net::tcp::OwnedWriteHalf }

#[cfg(feature = "unix")]
read! { crate::net::UnixStream crate::net::unix::OwnedReadHalf }
#[cfg(feature = "unix")]
write! { crate::net::UnixStream crate::net::unix::OwnedWriteHalf }

#[cfg(feature = "io-util")]
read! { crate::io::DuplexStream crate::io::SimplexStream }
#[cfg(feature = "io-util")]
write! { crate::io::DuplexStream crate::io::SimplexStream }
