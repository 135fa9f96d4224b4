//! The options of a socket before it is connected, see tcp(7), ip(7) and socket(7). For those that are
//! not here, give the socket to `socket2::SockRef::from`.

use super::socket::TcpSocket;
use crate::net::option_values;
use std::io;
use std::time::Duration;

impl TcpSocket {
    /// Whether the system asks now and then whether a silent peer still lives.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.socket.keepalive()
    }

    /// Sets whether the system asks now and then whether a silent peer still lives (`SO_KEEPALIVE`).
    /// When and how often is the system's choice, on Linux after two hours, unless it is set too.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.socket.set_keepalive(keepalive)
    }

    /// Whether an address can be bound although old connections of it linger.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket.reuse_address()
    }

    /// Sets whether an address can be bound although old connections of it linger (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.socket.set_reuse_address(reuseaddr)
    }

    /// Whether the port can be shared. See [`set_reuseport`](TcpSocket::set_reuseport).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket.reuse_port()
    }

    /// Sets whether others that set this too can bind the same address (`SO_REUSEPORT`). Linux then
    /// spreads connections over those who listen, and so one listener for each thread is enough; the
    /// BSDs and macOS give all to one of them.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.socket.set_reuse_port(reuseport)
    }

    /// The size of the buffer for what is to be sent. Linux gives twice what was set.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket.send_buffer_size().map(saturated)
    }

    /// Sets the size of the buffer for what is to be sent (`SO_SNDBUF`), in bytes. The system then
    /// does not adjust it any more.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_send_buffer_size(option_values::buffer_size(size))
    }

    /// The size of the buffer for what has come. Linux gives twice what was set.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket.recv_buffer_size().map(saturated)
    }

    /// Sets the size of the buffer for what has come (`SO_RCVBUF`), in bytes. The system then does not
    /// adjust it any more. Set before the connection, it also limits the window that is offered.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_recv_buffer_size(option_values::buffer_size(size))
    }

    /// How long a close tries to send what is left. See [`set_linger`](TcpSocket::set_linger).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// Sets how long a close tries to send what is left (`SO_LINGER`), as
    /// [`TcpStream::set_linger`](super::super::TcpStream::set_linger) does: beware of what it blocks.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(dur.map(option_values::linger))
    }

    /// Has a close throw away what is left, and reset the connection. That does not block.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }

    /// Whether small writes are sent at once. See [`set_nodelay`](TcpSocket::set_nodelay).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.tcp_nodelay()
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`), instead of being held back until
    /// the peer has acknowledged the earlier ones.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(nodelay)
    }

    /// The type of service of its packets. See [`set_tos_v4`](TcpSocket::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.socket.tos_v4()
    }

    /// Sets the type of service of its packets (`IP_TOS`): the priority, in the upper six bits. For
    /// IPv6 it is `set_tclass_v6`.
    ///
    /// # Errors
    ///
    /// Returns the errors of setsockopt(2), and `EINVAL` for more than 255.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.socket.set_tos_v4(option_values::field(tos)?)
    }

    /// Equivalent to [`tos_v4`](TcpSocket::tos_v4).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    #[deprecated(note = "it is of IPv4 alone, and so called `tos_v4`")]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Equivalent to [`set_tos_v4`](TcpSocket::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    #[deprecated(note = "it is of IPv4 alone, and so called `set_tos_v4`")]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }
}

/// No system has buffers of 4 GiB.
fn saturated(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
