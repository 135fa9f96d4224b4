//! The traffic class of IPv6, on systems for which socket2 has it.

use super::socket::UdpSocket;
use crate::net::option_values::field;
use socket2::SockRef;
use std::io;

impl UdpSocket {
    /// Returns the traffic class of sent datagrams. See [`set_tclass_v6`](UdpSocket::set_tclass_v6).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        SockRef::from(self).tclass_v6()
    }

    /// Sets the traffic class of sent datagrams (`IPV6_TCLASS`), which corresponds to
    /// [`set_tos_v4`](UdpSocket::set_tos_v4) for IPv4.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `EINVAL` for more than 255.
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        SockRef::from(self).set_tclass_v6(field(class)?)
    }
}
