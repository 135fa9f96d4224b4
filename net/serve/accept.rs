//! What can be served: anything that accepts.

use crate::net::{TcpListener, TcpStream};
use std::io;
use std::net::SocketAddr;

/// What accepts connections, one after the other.
///
/// For listeners of one's own, such as one that makes a TLS stream of each connection.
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
    /// A connection.
    type Stream: 'static;

    /// Where it comes from.
    type Addr: 'static;

    /// Waits for the next connection.
    ///
    /// # Cancel safety
    ///
    /// It has to be cancel safe: a call that is dropped has accepted nothing.
    ///
    /// # Errors
    ///
    /// One of kind [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) says that the connection was broken, and
    /// the next one is to be taken; `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` that there is no room now.
    /// After any other there is nothing more to accept.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Addr)>>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }
}
