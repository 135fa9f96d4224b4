//! The trait of listeners that can be served.

use crate::net::{TcpListener, TcpStream};
use std::io;
use std::net::SocketAddr;

/// A listener that accepts connections, one after the other.
///
/// Implement it for a listener that does more than accept, such as one that makes a TLS stream of each connection.
///
/// # Examples
///
/// ```
/// use runtime::net::{Accept, TcpListener, TcpStream};
/// use std::{io, net::SocketAddr};
///
/// /// Each connection without delay.
/// struct Prompt(TcpListener);
///
/// impl Accept for Prompt {
///     type Stream = TcpStream;
///     type Addr = SocketAddr;
///
///     async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
///         let (stream, peer) = self.0.accept().await?;
///         stream.set_nodelay(true)?;
///         Ok((stream, peer))
///     }
/// }
/// ```
pub trait Accept {
    /// The type of a connection.
    type Stream: 'static;

    /// The type of a peer's address.
    type Addr: 'static;

    /// Waits for the next connection.
    ///
    /// # Cancel safety
    ///
    /// An implementation has to be cancel safe: a call that is dropped has accepted nothing.
    ///
    /// # Errors
    ///
    /// [`serve`](super::serve) reacts to the kind of an error. An error of kind
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) means that this connection is broken, and the next one
    /// can be accepted. `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` mean that descriptors or memory have run out for
    /// now. After any other error, no more connections are accepted.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Addr)>>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }
}
