//! A Unix socket before it is connected or listens.

use super::addr::SocketAddr;
use super::datagram::UnixDatagram;
use super::listener::UnixListener;
use super::stream::UnixStream;
use super::{connect, sys};
use crate::net::option_values;
use socket2::{Socket, Type};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;

/// A Unix socket that is neither connected nor listening yet. Use it to bind a client to a path, to set the length of a
/// listener's queue, or to set options through the descriptor before the socket is used.
///
/// On Linux, a path that begins with a zero byte is an abstract name.
///
/// # Examples
///
/// ```
/// use runtime::net::{UnixListener, UnixSocket};
///
/// # let folder = std::env::temp_dir();
/// # let path = folder.join(format!("runtime-doc-socket-{}", std::process::id()));
/// # let own_path = folder.join(format!("runtime-doc-socket-{}-own", std::process::id()));
/// # runtime::block_on(async {
/// let listener = UnixSocket::new_stream()?;
/// listener.bind(&path)?;
/// let listener = listener.listen(16)?;
///
/// let socket = UnixSocket::new_stream()?;
/// socket.bind(&own_path)?;
/// let client = socket.connect(&path).await?;
/// let (server, peer) = listener.accept().await?;
/// assert_eq!(peer.as_pathname(), Some(own_path.as_path()));
/// # std::fs::remove_file(&path)?;
/// # std::fs::remove_file(&own_path)?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct UnixSocket {
    socket: Socket,
}

impl UnixSocket {
    /// Creates a socket for datagrams.
    ///
    /// # Errors
    ///
    /// Returns an error if socket(2) fails, such as `EMFILE`.
    pub fn new_datagram() -> io::Result<UnixSocket> {
        sys::socket(Type::DGRAM).map(|socket| UnixSocket { socket })
    }

    /// Creates a socket for a stream, or for a listener.
    ///
    /// # Errors
    ///
    /// Returns an error if socket(2) fails, such as `EMFILE`.
    pub fn new_stream() -> io::Result<UnixSocket> {
        sys::socket(Type::STREAM).map(|socket| UnixSocket { socket })
    }

    /// Binds the socket to a path, and creates [a file](UnixListener#the-socket-file) there.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`UnixListener::bind`].
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.socket.bind(&SocketAddr::of_path(path.as_ref())?.to_call()?)
    }

    /// Turns the socket into a listener. `backlog` is the maximum number of connections that wait to be accepted.
    ///
    /// # Errors
    ///
    /// Returns an error if listen(2) fails, such as `EOPNOTSUPP` for datagrams, or on Linux `EINVAL` for a socket
    /// without a name.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        self.socket.listen(option_values::backlog(backlog))?;
        Ok(UnixListener::new(OwnedFd::from(self.socket).into()))
    }

    /// Connects to the listener at a path; see [`UnixStream::connect`].
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped closes its socket.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`UnixStream::connect`], and [`InvalidInput`](io::ErrorKind::InvalidInput) for a
    /// datagram socket, which is connected by [`UnixDatagram::connect`] instead.
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        self.check(Type::STREAM, "this socket is for datagrams: call `datagram`, and connect the result")?;
        let address = SocketAddr::of_path(path.as_ref())?;
        connect::connect(self.socket, &address).await.map(UnixStream::of)
    }

    /// Turns the socket into one that sends and receives datagrams.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`](io::ErrorKind::InvalidInput) if the socket was created for a stream.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        self.check(Type::DGRAM, "this socket is for a stream: create it with `new_datagram`")?;
        UnixDatagram::from_std(OwnedFd::from(self.socket).into())
    }

    fn check(&self, kind: Type, otherwise: &'static str) -> io::Result<()> {
        if self.socket.r#type()? == kind {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, otherwise))
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        self.socket.into_raw_fd()
    }
}

/// Wraps a Unix socket, and sets it to non-blocking mode.
impl From<OwnedFd> for UnixSocket {
    fn from(fd: OwnedFd) -> UnixSocket {
        let socket = Socket::from(fd);
        // It fails only for a number that is not an open descriptor, and then all other calls fail, too.
        let _ = socket.set_nonblocking(true);
        UnixSocket { socket }
    }
}

/// Returns the descriptor, which is still in non-blocking mode.
impl From<UnixSocket> for OwnedFd {
    fn from(socket: UnixSocket) -> OwnedFd {
        socket.socket.into()
    }
}
