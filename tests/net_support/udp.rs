//! The helpers that the tests of UDP sockets share.

use runtime::net::UdpSocket;
use std::io;
use std::net::Ipv4Addr;

pub(crate) const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Returns two sockets, each connected to the other.
pub(crate) async fn pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let (a, b) = (UdpSocket::bind(LOCAL).await?, UdpSocket::bind(LOCAL).await?);
    a.connect(b.local_addr()?).await?;
    b.connect(a.local_addr()?).await?;
    assert_eq!((a.peer_addr()?, b.peer_addr()?), (b.local_addr()?, a.local_addr()?));
    Ok((a, b))
}
