//! Options that only Linux has.

use super::socket::TcpSocket;
use super::stream::TcpStream;
use socket2::SockRef;
use std::io;

impl TcpSocket {
    /// The network interface it is bound to, if any: its name.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.socket.device()
    }

    /// Binds it to a network interface, given by name, so that packets go by no other way
    /// (`SO_BINDTODEVICE`); with `None`, to all again.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `ENODEV` if there is none of that name.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.socket.bind_device(interface)
    }
}

impl TcpStream {
    /// Whether data is acknowledged at once. See [`set_quickack`](TcpStream::set_quickack).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_quickack()
    }

    /// Sets whether data is acknowledged at once (`TCP_QUICKACK`), instead of together with an answer.
    /// The system may change that again at any time: it is to be set anew after each read.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_quickack(quickack)
    }
}
