//! The listening side of Unix sockets.

use super::addr::SocketAddr;
use super::stream::UnixStream;
use super::sys;
use crate::net::listening::{Acceptor, Listen, Listening};
use crate::net::sys::accept_one;
use crate::runtime::io::registered::Owner;
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

/// Connections that wait while nobody accepts. It takes at most `net.core.somaxconn`, which is 4096 by
/// default since Linux 5.4.
const BACKLOG: i32 = 4096;

/// A Unix socket that listens for connections.
///
/// # The socket file
///
/// Registration makes a file at the path, which stays when the listener is dropped or the process ends: so the
/// next one finds the address in use, although nobody listens. Remove the file when the listener ends. One
/// that is left over from a crash is told from one in use by connecting to it, which is
/// [refused](io::ErrorKind::ConnectionRefused); remove it then, and bind again. Abstract names of Linux
/// leave no file behind.
///
/// # Errors, and the loop that accepts
///
/// Any error is returned by [`accept`](UnixListener::accept), and as they last (no descriptors left, no
/// memory), the listener then rests: the next call tries only after 5 ms, and each one after that, as
/// long as they fail, after twice that time, up to a tenth of a second. So a plain loop that logs errors and
/// goes on is right: it takes no CPU from the tasks that will close their connections, and accepts again
/// soon after they have.
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
    /// Listens at a path, where it makes [a file](UnixListener#the-socket-file). On Linux a path that
    /// begins with a zero byte is an abstract name.
    ///
    /// Up to 4096 connections wait to be accepted, or as many as the system allows.
    ///
    /// # Errors
    ///
    /// Returns [`AddrInUse`](io::ErrorKind::AddrInUse) if there is a file already, of whatever kind;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the path is too long (about a hundred bytes) or has a zero byte
    /// inside; and the errors of bind(2).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::of_path(path.as_ref())?)
    }

    /// As [`bind`](UnixListener::bind), at an address. At one without a name, Linux chooses an abstract
    /// one.
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

    /// Of a socket that does not block.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn new(listener: net::UnixListener) -> UnixListener {
        let mut io = Listening::new(listener);
        io.set_origin(Origin::caller());
        UnixListener { io }
    }

    /// Waits for the next connection. The address is that of the one who connects, who seldom has one.
    ///
    /// Several calls may wait at once, on one thread; each connection goes to one of them.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has accepted nothing.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` when descriptors or memory run out, after which
    /// the listener [rests](UnixListener#errors-and-the-loop-that-accepts) for 5 ms at least;
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if two runtimes wait for the listener at once.
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
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

    /// The connections as a stream that does not end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self.io.acceptor())
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockname(2) fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr().map(SocketAddr::from)
    }

    /// The error that is pending on the socket (`SO_ERROR`), which is cleared by this.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().take_error()
    }

    /// Takes a listener of std's. It is made non-blocking, and so are its clones: they share that.
    ///
    /// A clone must not be made blocking again: accept(2) has no flag against that, and would block the loop while
    /// there is no connection.
    ///
    /// # Errors
    ///
    /// Returns an error if fcntl(2) fails.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        listener.set_nonblocking(true)?;
        Ok(UnixListener::new(listener))
    }

    /// Gives the socket as std's, in no runtime's care any more. It is still non-blocking.
    ///
    /// # Errors
    ///
    /// Currently always returns `Ok`.
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
        // A path may fill the whole address, without the zero byte that std wants behind it. Whoever binds
        // to one must not make accepting fail; asked again, std takes it.
        let peer = SocketAddr::of_told(&peer).or_else(|_| stream.peer_addr())?;
        Ok((stream, peer))
    }
}

/// A stream of connections; see [`UnixListener::incoming`].
///
/// Each behaves as [`UnixListener::accept`] does. There may be several of one listener.
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
