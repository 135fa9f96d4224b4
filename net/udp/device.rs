//! Registration to a network interface by its name, which Linux alone does.

use super::socket::UdpSocket;
use socket2::SockRef;
use std::io;

impl UdpSocket {
    /// The interface that the socket is bound to, if it is. See [`bind_device`](UdpSocket::bind_device).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        SockRef::from(self).device()
    }

    /// Binds the socket to an interface, such as `b"eth0"`: only what goes through it is sent and
    /// received (`SO_BINDTODEVICE`). `None` undoes it.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `ENODEV` if there is no such interface. Changing it needs
    /// `CAP_NET_RAW`, and so did setting it before Linux 5.7.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        SockRef::from(self).bind_device(interface)
    }
}
