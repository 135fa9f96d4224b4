//! A TCP socket before it is a stream or a listener: it is created, given options and an address, and then turned into
//! one of them. Its options are in `socket_options.rs`.

use super::connect::connect_socket;
use super::listener::TcpListener;
use super::stream::TcpStream;
use crate::net::{option_values, sys};
use socket2::Socket;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// A TCP socket that is neither connected nor listening yet.
///
/// Use it for settings that have to be made early: to bind a client to an address, to share a port, or to set the sizes
/// of the buffers before the handshake. If none of this is needed, [`TcpStream::connect`] and [`TcpListener::bind`] do
/// the same in one call.
///
/// # Examples
///
/// ```
/// use runtime::net::{TcpSocket, TcpStream};
///
/// # runtime::block_on(async {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.set_recv_buffer_size(1 << 16)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.set_nodelay(true)?;
/// let stream: TcpStream = socket.connect(listener.local_addr()?).await?;
/// assert!(stream.nodelay()?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct TcpSocket {
    pub(super) socket: Socket,
}

impl TcpSocket {
    /// Creates a socket for IPv4.
    ///
    /// # Errors
    ///
    /// Returns an error if socket(2) fails, such as `EMFILE`.
    pub fn new_v4() -> io::Result<TcpSocket> {
        sys::socket((Ipv4Addr::UNSPECIFIED, 0).into()).map(|socket| TcpSocket { socket })
    }

    /// Creates a socket for IPv6.
    ///
    /// # Errors
    ///
    /// Returns an error if socket(2) fails, such as `EAFNOSUPPORT` on a host without IPv6.
    pub fn new_v6() -> io::Result<TcpSocket> {
        sys::socket((Ipv6Addr::UNSPECIFIED, 0).into()).map(|socket| TcpSocket { socket })
    }

    /// Wraps a socket of std, which need not be connected in spite of its type. It is set to non-blocking mode, which
    /// it shares with all of its clones. Do not set a clone to blocking mode again before
    /// [`connect`](TcpSocket::connect) has returned, since the call would then block the loop.
    ///
    /// It is meant for sockets with options that this type does not have, made by `socket2`.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::net::TcpSocket;
    /// use socket2::{Domain, Socket, Type};
    ///
    /// let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    /// let socket = TcpSocket::from_std_stream(socket.into());
    /// # socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std_stream(std_stream: std::net::TcpStream) -> TcpSocket {
        TcpSocket::from(OwnedFd::from(std_stream))
    }

    /// Binds the socket to an address of this host. With port 0, the system chooses a port.
    ///
    /// # Errors
    ///
    /// Returns the errors of bind(2), such as [`AddrInUse`](io::ErrorKind::AddrInUse).
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.socket.bind(&addr.into())
    }

    /// Returns the local address of the socket.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockname(2) fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
    }

    /// Returns the error that is pending on the socket (`SO_ERROR`), and clears it.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Connects to an address. It waits as long as the system does, which can be minutes: use a
    /// [`timeout`](crate::time::timeout) if that is too long.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped closes the socket.
    ///
    /// # Errors
    ///
    /// Returns the errors of connect(2), such as [`ConnectionRefused`](io::ErrorKind::ConnectionRefused), including
    /// those that arrive while the call waits.
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        connect_socket(self.socket, addr).await.map(|io| TcpStream { io })
    }

    /// Turns the socket into a listener. `backlog` is the maximum number of connections that wait to be accepted; the
    /// system may lower it.
    ///
    /// If the socket is not bound, the system chooses a port, and the socket listens on all addresses.
    ///
    /// # Errors
    ///
    /// Returns an error if listen(2) fails.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket.listen(option_values::backlog(backlog))?;
        TcpListener::from_std(self.socket.into())
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        self.socket.into_raw_fd()
    }
}

/// Equivalent to [`TcpSocket::from_std_stream`].
impl From<OwnedFd> for TcpSocket {
    fn from(fd: OwnedFd) -> TcpSocket {
        let socket = Socket::from(fd);
        // It fails only for a number that is not an open descriptor, and then all other calls fail, too.
        let _ = socket.set_nonblocking(true);
        TcpSocket { socket }
    }
}

impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> OwnedFd {
        socket.socket.into()
    }
}
