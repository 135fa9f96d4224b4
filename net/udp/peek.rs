//! Reading the next datagram without removing it from the queue.

use super::socket::{UdpFd, UdpSocket, with_sender};
use crate::net::sys;
use crate::runtime::io::reactor::Direction;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

impl UdpSocket {
    /// Receives one datagram without removing it from the queue: the next call receives it again. See
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
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.async_io(Direction::Read, |io| sys::peek(io.as_fd(), buffer)).await
    }

    /// Tries to copy the next datagram, without waiting and without removing it from the queue; see
    /// [`peek`](UdpSocket::peek).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_recv`](UdpSocket::try_recv).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_io(Direction::Read, |io| sys::peek(io.as_fd(), buffer))
    }

    /// Polls to copy the next datagram without removing it from the queue; see [`peek`](UdpSocket::peek). Only the
    /// waker passed to the latest call of any `poll_recv` or `poll_peek` method is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv`](UdpSocket::recv).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_io(cx, Direction::Read, |io| sys::peek(io.as_fd(), buffer))
    }

    /// Receives one datagram and the address of its sender, without removing the datagram from the queue. See
    /// [`peek`](UdpSocket::peek).
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
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.async_io(Direction::Read, |io| with_sender(sys::peek_from(io.as_fd(), buffer)?)).await
    }

    /// Tries to copy the next datagram and the address of its sender, without waiting and without removing the datagram
    /// from the queue; see [`peek_from`](UdpSocket::peek_from).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_recv_from`](UdpSocket::try_recv_from).
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_io(Direction::Read, |io| with_sender(sys::peek_from(io.as_fd(), buffer)?))
    }

    /// Polls to copy the next datagram and the address of its sender, without removing the datagram from the queue; see
    /// [`peek_from`](UdpSocket::peek_from). Only the waker passed to the latest call of any `poll_recv` or `poll_peek`
    /// method is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io.poll_io(cx, Direction::Read, |io| with_sender(sys::peek_from(io.as_fd(), buffer)?))
    }

    /// Waits for a datagram, and returns the address of its sender, without removing the datagram from the queue.
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
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.io.async_io(Direction::Read, sender).await
    }

    /// Tries to find the sender of the next datagram, without waiting; see [`peek_sender`](UdpSocket::peek_sender).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_recv_from`](UdpSocket::try_recv_from).
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.io.try_io(Direction::Read, sender)
    }

    /// Polls to find the sender of the next datagram; see [`peek_sender`](UdpSocket::peek_sender). Only the waker
    /// passed to the latest call of any `poll_recv` or `poll_peek` method is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.io.poll_io(cx, Direction::Read, sender)
    }
}

fn sender(socket: &UdpFd) -> io::Result<SocketAddr> {
    with_sender(sys::peek_from(socket.as_fd(), &mut [])?).map(|(_, sender)| sender)
}
