//! The listening side of Unix sockets.

use super::addr::SocketAddr;
use super::stream::UnixStream;
use super::sys;
use crate::net::listening::{Acceptor, Listen, Listening};
use crate::net::sys::accept_one;
use crate::runtime::io::registered::{Owner, Registered};
use crate::task::origin::Origin;
use futures_core::Stream;
use socket2::Type;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The maximum number of connections that wait to be accepted. The kernel lowers it to `net.core.somaxconn`, which is
/// 4096 by default since Linux 5.4.
const BACKLOG: i32 = 4096;

/// A Unix socket that listens for connections.
///
/// # The socket file
///
/// Binding creates a file at the path, which stays when the listener is dropped or the process ends: the next listener
/// then finds the address in use, although no socket listens there. Remove the file when the listener ends. To tell a
/// file that is left over from a crash from one in use, connect to it: if this is
/// [refused](io::ErrorKind::ConnectionRefused), remove the file and bind again. Abstract names of Linux leave no file
/// behind.
///
/// # Errors, and the loop that accepts
///
/// Any error is returned by [`accept`](UnixListener::accept). Such errors last for a while (no descriptors left, no
/// memory), so the listener then backs off: the next call tries only after 5 ms, and as long as calls fail, this time
/// is doubled with each of them, up to 100 ms. So a plain loop that logs errors and goes on is right: it takes no CPU
/// time from the tasks that are going to close their connections, and accepts again soon after they have done so.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{UnixListener, UnixStream};
///
/// # let path = std::env::temp_dir().join(format!("runtime-doc-listener-{}", std::process::id()));
/// # runtime::block_on(async {
/// let listener = UnixListener::bind(&path)?;
/// runtime::spawn(async move {
///     while let Ok((mut stream, _peer)) = listener.accept().await {
///         runtime::spawn(async move { stream.write_all(b"hello").await });
///     }
/// });
///
/// let mut greeting = String::new();
/// UnixStream::connect(&path).await?.read_to_string(&mut greeting).await?;
/// assert_eq!(greeting, "hello");
/// std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct UnixListener {
    io: Listening<net::UnixListener>,
}

impl UnixListener {
    /// Creates a listener at a path, and [a file](UnixListener#the-socket-file) there. On Linux, a path that begins
    /// with a zero byte is an abstract name.
    ///
    /// Up to 4096 connections, or as many as the system allows, wait to be accepted.
    ///
    /// # Errors
    ///
    /// Returns [`AddrInUse`](io::ErrorKind::AddrInUse) if there is already a file of any kind;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the path is too long (about a hundred bytes) or has a zero byte
    /// inside; and the errors of bind(2).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::of_path(path.as_ref())?)
    }

    /// Creates a listener at an address; see [`bind`](UnixListener::bind). For an address without a name, Linux chooses
    /// an abstract one.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`bind`](UnixListener::bind).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let socket = sys::socket(Type::STREAM)?;
        socket.bind(&address.to_call()?)?;
        socket.listen(BACKLOG)?;
        Ok(UnixListener::new(OwnedFd::from(socket).into()))
    }

    /// Wraps a socket that is already in non-blocking mode.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn new(listener: net::UnixListener) -> UnixListener {
        let mut io = Listening::new(listener);
        io.set_origin(Origin::caller());
        UnixListener { io }
    }

    /// Waits for the next connection, and accepts it. The address is that of the client, which seldom has a name.
    ///
    /// Several calls may wait at once in one runtime. Each connection is returned by one of them.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has accepted nothing.
    ///
    /// # Errors
    ///
    /// Returns `EMFILE`, `ENFILE`, `ENOBUFS` or `ENOMEM` if descriptors or memory have run out, after which the
    /// listener [backs off](UnixListener#errors-and-the-loop-that-accepts) for at least 5 ms; and
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if two runtimes wait for the listener at once.
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let mut acceptor = self.io.acceptor();
        poll_fn(|cx| acceptor.poll(cx)).await
    }

    /// Polls to accept a connection; see [`accept`](UnixListener::accept). Only the waker passed to the latest call of
    /// this method is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`accept`](UnixListener::accept).
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`accept`](UnixListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        self.io.poll_accept(cx)
    }

    /// Returns a stream of connections, which does not end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self.io.acceptor())
    }

    /// Returns the local address of the listener.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockname(2) fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr().map(SocketAddr::from)
    }

    /// Returns the error that is pending on the socket (`SO_ERROR`), and clears it.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().take_error()
    }

    /// Wraps a listener of std. It is set to non-blocking mode, which it shares with all of its clones.
    ///
    /// Do not set a clone to blocking mode again: accept(2) has no flag to override the mode, and would block the
    /// loop until there is a connection.
    ///
    /// # Errors
    ///
    /// Returns an error if fcntl(2) fails.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        listener.set_nonblocking(true)?;
        Ok(UnixListener::new(listener))
    }

    /// Deregisters the listener and returns it as std's type. It is still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Currently this method returns no errors.
    pub fn into_std(self) -> io::Result<net::UnixListener> {
        Ok(self.io.into_inner())
    }
}

impl Listen for net::UnixListener {
    type Accepted = (UnixStream, SocketAddr);
    const OWNER: Owner = Owner::UnixListener;

    fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (fd, peer) = accept_one(self.as_fd())?;
        let stream = UnixStream::new(fd.into());
        // A path may fill the whole address, without the zero byte behind it that std requires. A client that is bound
        // to such a path must not make accepting fail; std accepts the address from getpeername(2).
        let peer = SocketAddr::from_kernel(&peer).or_else(|_| stream.peer_addr())?;
        Ok((stream, peer))
    }

    fn bind_to_home((stream, _): &mut (UnixStream, SocketAddr), listener: &Registered<net::UnixListener>) {
        stream.io.bind_like(listener);
    }
}

/// The stream of connections returned by [`UnixListener::incoming`].
///
/// It accepts connections as [`UnixListener::accept`] does. A listener may have several of these streams.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'a>(Acceptor<'a, net::UnixListener>);

impl Stream for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Incoming").field(self.0.listener()).finish()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get().fmt(f)
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.io.get().as_raw_fd()
    }
}

/// Equivalent to [`UnixListener::from_std`].
impl TryFrom<net::UnixListener> for UnixListener {
    type Error = io::Error;

    #[cfg_attr(debug_assertions, track_caller)]
    fn try_from(listener: net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::from_std(listener)
    }
}

/// Equivalent to [`UnixListener::into_std`].
impl TryFrom<UnixListener> for net::UnixListener {
    type Error = io::Error;

    fn try_from(listener: UnixListener) -> io::Result<net::UnixListener> {
        listener.into_std()
    }
}
