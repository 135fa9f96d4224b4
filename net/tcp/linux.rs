//! Options that only Linux has.

use super::socket::TcpSocket;
use super::stream::TcpStream;
use socket2::SockRef;
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

impl TcpStream {
    /// Returns `true` if received data is acknowledged at once. See [`set_quickack`](TcpStream::set_quickack).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_quickack()
    }

    /// Sets whether received data is acknowledged at once (`TCP_QUICKACK`), instead of together with an answer. The
    /// system may change the option again at any time, so set it anew after each read.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_quickack(quickack)
    }
}
