//! Connecting: from an address to a stream whose handshake is complete.

use crate::net::sys;
use crate::runtime::context;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use crate::task::coop;
use crate::task::origin::Origin;
use crate::task::outside;
use socket2::Socket;
use std::io;
use std::net::{SocketAddr, TcpStream};

/// Connects to one address. If the future is dropped early, the socket is closed.
pub(super) async fn connect(address: SocketAddr) -> io::Result<Registered<TcpStream>> {
    connect_socket(sys::socket(address)?, address).await
}

/// Connects an existing socket, which is in non-blocking mode, to an address.
pub(super) async fn connect_socket(socket: Socket, address: SocketAddr) -> io::Result<Registered<TcpStream>> {
    // Over loopback the attempt may fail at once, and the caller may repeat it in a loop.
    coop::consume_budget().await;
    let connecting = match socket.connect(&address.into()) {
        Ok(()) => false,
        // An interrupted call goes on in the background, see connect(2).
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => true,
        Err(error) => return Err(error),
    };
    // Careful: only the wait below registers the socket. A TCP socket that is registered before
    // connect(2) is reported writable and hung up at once.
    let stream = Registered::new(TcpStream::from(socket), Owner::TcpStream);
    if connecting {
        if !context::is_entered() {
            outside::polled("TcpStream::connect", Origin::UNKNOWN);
        }
        handshake(&stream).await?;
    }
    Ok(stream)
}

/// Waits until the handshake has succeeded or failed. Readiness events alone do not tell which.
async fn handshake(stream: &Registered<TcpStream>) -> io::Result<()> {
    loop {
        let event = stream.ready(Direction::Write).await?;
        // The socket has a peer if and only if the handshake has succeeded.
        let Err(no_peer) = stream.get().peer_addr() else {
            stream.assume_not_ready(Direction::Read);
            return Ok(());
        };
        // Reading the error clears it. No other code can have read it, since only this function has the stream.
        if let Some(error) = stream.get().take_error()? {
            return Err(error);
        }
        if no_peer.kind() != io::ErrorKind::NotConnected {
            return Err(no_peer);
        }
        stream.clear_readiness(Direction::Write, event);
    }
}
