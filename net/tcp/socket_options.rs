//! The options of a socket before it is connected, see tcp(7), ip(7) and socket(7). To set an option that is not here,
//! pass the socket to `socket2::SockRef::from`.

use super::socket::TcpSocket;
use crate::net::option_values;
use std::io;
use std::time::Duration;

impl TcpSocket {
    /// Returns `true` if the system sends keepalive probes to a silent peer.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.socket.keepalive()
    }

    /// Sets whether the system sends keepalive probes to a silent peer (`SO_KEEPALIVE`). The system decides when and
    /// how often it sends them (on Linux first after two hours), unless the times for this are set, too.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.socket.set_keepalive(keepalive)
    }

    /// Returns `true` if an address can be bound even if earlier connections to it have not ended completely.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket.reuse_address()
    }

    /// Sets whether an address can be bound even if earlier connections to it have not ended completely
    /// (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.socket.set_reuse_address(reuseaddr)
    }

    /// Returns `true` if the port can be shared. See [`set_reuseport`](TcpSocket::set_reuseport).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket.reuse_port()
    }

    /// Sets whether other sockets that set this option, too, can bind the same address (`SO_REUSEPORT`). Linux then
    /// distributes connections over all listeners of the address, so that each thread can have its own; the BSDs and
    /// macOS give all connections to one of the listeners.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.socket.set_reuse_port(reuseport)
    }

    /// Returns the size of the send buffer in bytes. Linux returns twice the value that was set.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket.send_buffer_size().map(saturated)
    }

    /// Sets the size of the send buffer in bytes (`SO_SNDBUF`). The system then no longer adjusts it.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_send_buffer_size(option_values::buffer_size(size))
    }

    /// Returns the size of the receive buffer in bytes. Linux returns twice the value that was set.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket.recv_buffer_size().map(saturated)
    }

    /// Sets the size of the receive buffer in bytes (`SO_RCVBUF`). The system then no longer adjusts it. If it is set
    /// before the connection is made, it also limits the window that is offered to the peer.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_recv_buffer_size(option_values::buffer_size(size))
    }

    /// Returns the time for which a close tries to send the remaining data. See [`set_linger`](TcpSocket::set_linger).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// Sets the time for which a close tries to send the remaining data (`SO_LINGER`). Careful: it can block the
    /// thread, see [`TcpStream::set_linger`](super::super::TcpStream::set_linger).
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(dur.map(option_values::linger))
    }

    /// Makes a close throw away the remaining data and reset the connection. This does not block.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }

    /// Returns `true` if small writes are sent at once. See [`set_nodelay`](TcpSocket::set_nodelay).
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

    /// Returns the type of service of sent packets. See [`set_tos_v4`](TcpSocket::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.socket.tos_v4()
    }

    /// Sets the type of service of sent packets (`IP_TOS`): the priority, in the upper six bits. For IPv6, use
    /// `set_tclass_v6`.
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
    #[deprecated(note = "it is for IPv4 only, and therefore renamed to `tos_v4`")]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Equivalent to [`set_tos_v4`](TcpSocket::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    #[deprecated(note = "it is for IPv4 only, and therefore renamed to `set_tos_v4`")]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }
}

/// Converts a size to `u32`. No system has buffers of 4 GiB.
fn saturated(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

// Binding to a network interface by its name.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod device {
    use crate::net::TcpSocket;
    use std::io;

    impl TcpSocket {
        /// Returns the name of the network interface that the socket is bound to, if any.
        ///
        /// # Errors
        ///
        /// Returns an error if getsockopt(2) fails.
        pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
            self.socket.device()
        }

        /// Binds the socket to a network interface, given by name, so that it sends and receives packets only there
        /// (`SO_BINDTODEVICE`). `None` removes the binding.
        ///
        /// # Errors
        ///
        /// Returns an error if setsockopt(2) fails, such as `ENODEV` if there is no interface of that name.
        pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
            self.socket.bind_device(interface)
        }
    }
}

// The traffic class of IPv6. macOS is the only system of Apple that has this option.
#[cfg(any(not(target_vendor = "apple"), target_os = "macos"))]
mod traffic_class {
    use crate::net::TcpSocket;
    use crate::net::option_values::field;
    use std::io;

    impl TcpSocket {
        /// Returns the traffic class of sent packets. See [`set_tclass_v6`](TcpSocket::set_tclass_v6).
        ///
        /// # Errors
        ///
        /// Returns an error if getsockopt(2) fails.
        pub fn tclass_v6(&self) -> io::Result<u32> {
            self.socket.tclass_v6()
        }

        /// Sets the traffic class of sent packets (`IPV6_TCLASS`), which corresponds to
        /// [`set_tos_v4`](TcpSocket::set_tos_v4) for IPv4.
        ///
        /// # Errors
        ///
        /// Returns an error if setsockopt(2) fails, such as `EINVAL` for more than 255.
        pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
            self.socket.set_tclass_v6(field(tclass)?)
        }
    }
}
