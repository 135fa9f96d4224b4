//! The traffic class of IPv6, on systems that have it as an option of the socket.

use super::socket::TcpSocket;
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
