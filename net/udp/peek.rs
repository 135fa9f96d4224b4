//! Looking at the next datagram, which stays where it is.

use super::socket::{Socket, UdpSocket, with_sender};
use crate::net::sys;
use crate::runtime::io::reactor::Direction;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

impl UdpSocket {
    /// Receives one datagram and leaves it there: the next call gets it again. For the rest, as
    /// [`recv`](UdpSocket::recv).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv`](UdpSocket::recv).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.async_io(Direction::Read, |io| sys::peek(io.as_fd(), buffer)).await
    }

    /// As [`peek`](UdpSocket::peek), without waiting.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_recv`](UdpSocket::try_recv).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_io(Direction::Read, |io| sys::peek(io.as_fd(), buffer))
    }

    /// As [`peek`](UdpSocket::peek), for a future of one's own. Only the latest caller is woken, of
    /// this and of all other `poll_recv` and `poll_peek` calls.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv`](UdpSocket::recv).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_io(cx, Direction::Read, |io| sys::peek(io.as_fd(), buffer))
    }

    /// As [`peek`](UdpSocket::peek), and tells who sent it.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.async_io(Direction::Read, |io| with_sender(sys::peek_from(io.as_fd(), buffer)?)).await
    }

    /// As [`peek_from`](UdpSocket::peek_from), without waiting.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_recv_from`](UdpSocket::try_recv_from).
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_io(Direction::Read, |io| with_sender(sys::peek_from(io.as_fd(), buffer)?))
    }

    /// As [`peek_from`](UdpSocket::peek_from), for a future of one's own. Only the latest caller is
    /// woken, of this and of all other `poll_recv` and `poll_peek` calls.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io.poll_io(cx, Direction::Read, |io| with_sender(sys::peek_from(io.as_fd(), buffer)?))
    }

    /// Waits for a datagram, leaves it there, and tells who sent it.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.io.async_io(Direction::Read, sender).await
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), without waiting.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_recv_from`](UdpSocket::try_recv_from).
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.io.try_io(Direction::Read, sender)
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), for a future of one's own. Only the latest caller
    /// is woken, of this and of all other `poll_recv` and `poll_peek` calls.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.io.poll_io(cx, Direction::Read, sender)
    }
}

fn sender(socket: &Socket) -> io::Result<SocketAddr> {
    with_sender(sys::peek_from(socket.as_fd(), &mut [])?).map(|(_, sender)| sender)
}
