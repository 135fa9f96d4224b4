//! The listening side of TCP.

use super::stream::TcpStream;
use crate::net::addr::{ToSocketAddrs, try_each};
use crate::net::listening::{Acceptor, Listen, Listening};
use crate::net::option_values::field;
use crate::net::sys;
use crate::runtime::io::registered::{Owner, Registered};
use crate::task::origin::Origin;
use futures_core::Stream;
use std::fmt;
use std::future::{poll_fn, ready};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The maximum number of connections that the kernel completes before they are accepted. The kernel lowers it to
/// `net.core.somaxconn`, which is 4096 by default since Linux 5.4.
const BACKLOG: i32 = 4096;

/// A socket that listens for TCP connections.
///
/// # Errors, and the loop that accepts
///
/// The listener skips a connection that breaks while it waits to be accepted. [`accept`](TcpListener::accept) returns
/// any other error. Such errors usually last for a while, because no descriptors or no memory are left, so the listener
/// then backs off: the next call makes its attempt only after 5 ms, and this time is doubled with each further error,
/// up to 100 ms. So a plain loop may log an error and continue. It takes no CPU time from the tasks that are going to
/// close their connections, and accepts again soon after they have done so.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{TcpListener, TcpStream};
///
/// # runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// runtime::spawn(async move {
///     while let Ok((mut stream, _peer)) = listener.accept().await {
///         runtime::spawn(async move { stream.write_all(b"hello").await });
///     }
/// });
///
/// let mut greeting = String::new();
/// TcpStream::connect(address).await?.read_to_string(&mut greeting).await?;
/// assert_eq!(greeting, "hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct TcpListener {
    io: Listening<std::net::TcpListener>,
}

impl TcpListener {
    /// Creates a listener on the first of the addresses that can be bound. With port 0, the system chooses a port; see
    /// [`local_addr`](TcpListener::local_addr).
    ///
    /// The address can be bound even if earlier connections to it have not ended completely (`SO_REUSEADDR`). Up to
    /// 4096 connections can wait to be accepted, or fewer if the system has a lower limit.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the error of the last address, such as [`AddrInUse`](io::ErrorKind::AddrInUse);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address; and the errors of
    /// [`lookup_host`](crate::net::lookup_host).
    ///
    /// # Panics
    ///
    /// Panics if a name is to be looked up and no runtime is entered on this thread.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        try_each(address, |address| ready(bind(address))).await.map(TcpListener::new)
    }

    fn new(listener: std::net::TcpListener) -> TcpListener {
        TcpListener { io: Listening::new(listener) }
    }

    /// Waits for the next connection, and accepts it.
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
    /// listener [backs off](TcpListener#errors-and-the-loop-that-accepts) for at least 5 ms; and
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if two runtimes wait for the listener at once.
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut acceptor = self.io.acceptor();
        poll_fn(|cx| acceptor.poll(cx)).await
    }

    /// Polls to accept a connection; see [`accept`](TcpListener::accept). Only the waker passed to the latest call of
    /// this method is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`accept`](TcpListener::accept).
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`accept`](TcpListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.io.poll_accept(cx)
    }

    /// Returns a stream of connections, which does not end.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    /// use runtime::net::{TcpListener, TcpStream};
    ///
    /// # runtime::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let mut incoming = listener.incoming();
    /// let server = incoming.next().await.expect("it does not end")?;
    /// assert_eq!(server.peer_addr()?, client.local_addr()?);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self.io.acceptor())
    }

    /// Returns the local address of the listener.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockname(2) fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// Returns the TTL of packets on connections accepted later: the number of routers that a packet may pass. See
    /// [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get().ttl()
    }

    /// Sets the TTL of packets on connections accepted later: the number of routers that a packet may pass. This
    /// applies to IPv4 only.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `EINVAL` for 0, or more than 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get().set_ttl(field(ttl)?)
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
    /// Do not set a clone to blocking mode again: accept(2) has no flag that overrides the mode, so it would block the
    /// loop until there is a connection.
    ///
    /// # Errors
    ///
    /// Returns an error if fcntl(2) fails.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::new(listener);
        listener.io.set_origin(Origin::caller());
        Ok(listener)
    }

    /// Deregisters the listener and returns it as std's type. The listener stays in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Currently this method returns no errors.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        Ok(self.io.into_inner())
    }
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = sys::socket(address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listen for std::net::TcpListener {
    type Accepted = (TcpStream, SocketAddr);
    const OWNER: Owner = Owner::TcpListener;

    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = sys::accept(self)?;
        Ok((TcpStream::new(stream), peer))
    }

    fn bind_to_home((stream, _): &mut (TcpStream, SocketAddr), listener: &Registered<std::net::TcpListener>) {
        stream.io.bind_like(listener);
    }
}

/// The stream of connections returned by [`TcpListener::incoming`].
///
/// It accepts connections as [`TcpListener::accept`] does. A listener may have several of these streams.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'a>(Acceptor<'a, std::net::TcpListener>);

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Incoming").field(self.0.listener()).finish()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get().fmt(f)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.io.get().as_raw_fd()
    }
}

/// Equivalent to [`TcpListener::from_std`].
impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    #[cfg_attr(debug_assertions, track_caller)]
    fn try_from(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }
}

/// Equivalent to [`TcpListener::into_std`].
impl TryFrom<TcpListener> for std::net::TcpListener {
    type Error = io::Error;

    fn try_from(listener: TcpListener) -> io::Result<std::net::TcpListener> {
        listener.into_std()
    }
}
