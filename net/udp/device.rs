//! Binding to a network interface by its name, which only Linux can do.

use super::socket::UdpSocket;
use socket2::SockRef;
use std::io;

impl UdpSocket {
    /// Returns the name of the network interface that the socket is bound to, if any. See
    /// [`bind_device`](UdpSocket::bind_device).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        SockRef::from(self).device()
    }

    /// Binds the socket to a network interface, such as `b"eth0"`, so that it sends and receives packets only there
    /// (`SO_BINDTODEVICE`). `None` removes the binding.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `ENODEV` if there is no such interface. To change the binding,
    /// `CAP_NET_RAW` is required, and before Linux 5.7 also to set it the first time.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        SockRef::from(self).bind_device(interface)
    }
}
