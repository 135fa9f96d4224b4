//! The trait of listeners that can be served, and what the errors of a listener mean to a server.

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

/// Returns `true` if no connection can be accepted now, but can be after others have been closed.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Returns `true` if the next connection may well be accepted. The listener of TCP passes over such errors by itself.
pub(super) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }
}

#[cfg(feature = "unix")]
mod unix {
    use crate::net::unix::SocketAddr;
    use crate::net::{Accept, UnixListener, UnixStream};
    use std::io;

    impl Accept for UnixListener {
        type Stream = UnixStream;
        type Addr = SocketAddr;

        async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
            UnixListener::accept(self).await
        }
    }
}
