//! The description of a datagram to be sent, as the user gives it.

use super::message::Transmit;
use std::net::SocketAddr;

/// A datagram to be sent by [`UdpSocket::send_many`](super::UdpSocket::send_many). It borrows its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    data: &'a [u8],
    to: Option<SocketAddr>,
}

impl<'a> Outgoing<'a> {
    /// Creates a datagram to the peer that the socket is connected to.
    pub const fn new(data: &'a [u8]) -> Outgoing<'a> {
        Outgoing { data, to: None }
    }

    /// Creates a datagram to an address.
    pub const fn to(data: &'a [u8], address: SocketAddr) -> Outgoing<'a> {
        Outgoing { data, to: Some(address) }
    }

    pub(super) fn transmit(self) -> Transmit<'a> {
        Transmit { data: self.data, to: self.to }
    }
}
