//! A connection between two processes of one host: how it is created, the credentials of its peer, and how it is
//! closed. Reading and writing are in `net/transfer.rs`.

use super::addr::SocketAddr;
use super::cred::UCred;
use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::stream_fd::StreamFd;
use super::{connect, sys};
use crate::net::methods::{deadline_methods, read_methods, ready_methods, write_methods};
use crate::net::stream_traits::{async_read, async_write};
use crate::runtime::io::registered::{Owner, Registered};
use crate::task::origin::Origin;
use socket2::Type;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net;
use std::path::Path;

/// A connection between two processes of one host, or within one process.
///
/// Read and write it with [`AsyncReadExt`](crate::io::AsyncReadExt) and [`AsyncWriteExt`](crate::io::AsyncWriteExt),
/// also by shared reference. Reads and writes are system calls on the socket itself: this type has no buffer, so
/// flushing does nothing. One read and one write may wait at a time; for several readers, see
/// [`readable`](UnixStream::readable) and [`try_read`](UnixStream::try_read).
///
/// The connection may be moved to the thread of another runtime at any time, and is used there from then on. Dropping
/// the stream closes the connection, on any thread. If there are unread bytes at that time, on Linux the peer's next
/// read fails with [`ConnectionReset`](io::ErrorKind::ConnectionReset).
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{UnixListener, UnixStream};
///
/// # let path = std::env::temp_dir().join(format!("runtime-doc-stream-{}", std::process::id()));
/// # runtime::block_on(async {
/// let listener = UnixListener::bind(&path)?;
/// let mut client = UnixStream::connect(&path).await?;
/// let (mut server, _) = listener.accept().await?;
/// # std::fs::remove_file(&path)?;
///
/// client.write_all(b"ping").await?;
/// let mut word = [0; 4];
/// server.read_exact(&mut word).await?;
/// assert_eq!(&word, b"ping");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct UnixStream {
    pub(super) io: Registered<StreamFd>,
}

impl UnixStream {
    /// Connects to the listener at a path. On Linux, a path that begins with a zero byte is an abstract name.
    ///
    /// If a listener does not accept fast enough, its queue may be full. Linux has no event that reports room again, so
    /// this method tries again at intervals of some milliseconds, for up to 5 seconds.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped closes its socket.
    ///
    /// # Errors
    ///
    /// Returns [`NotFound`](io::ErrorKind::NotFound) if there is no such path;
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if no socket listens there (a socket file outlives its
    /// listener), or, except on Linux, if the queue is full; [`WouldBlock`](io::ErrorKind::WouldBlock) if the queue was
    /// full for the whole time; [`InvalidInput`](io::ErrorKind::InvalidInput) if the path is too long (about a hundred
    /// bytes) or has a zero byte inside; and the errors of connect(2).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let address = SocketAddr::of_path(path.as_ref())?;
        UnixStream::connect_addr(&address).await
    }

    /// Connects to the listener at an address; see [`connect`](UnixStream::connect).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped closes its socket.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`connect`](UnixStream::connect).
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`connect`](UnixStream::connect).
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        connect::connect(sys::socket(Type::STREAM)?, address).await.map(UnixStream::of)
    }

    /// Creates a pair of streams that are connected to each other. Neither has an address.
    ///
    /// # Errors
    ///
    /// Returns an error if socketpair(2) fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    /// use runtime::net::UnixStream;
    ///
    /// # runtime::block_on(async {
    /// let (mut one, mut other) = UnixStream::pair()?;
    /// one.write_all(b"over").await?;
    /// one.close().await?;
    /// let mut text = String::new();
    /// other.read_to_string(&mut text).await?;
    /// assert_eq!(text, "over");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((UnixStream::from_std(one)?, UnixStream::from_std(other)?))
    }

    /// Wraps a connection that may already be registered.
    pub(super) fn of(io: Registered<StreamFd>) -> UnixStream {
        UnixStream { io }
    }

    /// Wraps a socket that is already in non-blocking mode.
    pub(super) fn new(stream: net::UnixStream) -> UnixStream {
        UnixStream { io: Registered::new(StreamFd::new(stream), Owner::UnixStream) }
    }

    /// Wraps a connection of std. It is set to non-blocking mode, which it shares with all of its clones.
    ///
    /// If a clone is set to blocking mode again, reads and writes still do not block the loop (`MSG_DONTWAIT`). But
    /// `io::splice` and `io::send_file` would block it: splice(2) and sendfile(2) have no such flag for sockets.
    ///
    /// It must be a stream of bytes. A socket that preserves message boundaries (`SOCK_SEQPACKET`) has the same type in
    /// std, but would be read wrongly: use [`AsyncFd`](crate::net::AsyncFd) for it.
    ///
    /// # Errors
    ///
    /// Returns an error if fcntl(2) fails.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn from_std(stream: net::UnixStream) -> io::Result<UnixStream> {
        stream.set_nonblocking(true)?;
        let mut stream = UnixStream::new(stream);
        stream.io.set_origin(Origin::caller());
        Ok(stream)
    }

    /// Deregisters the connection and returns it as std's type. It is still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Currently this method returns no errors.
    pub fn into_std(self) -> io::Result<net::UnixStream> {
        Ok(self.io.into_inner().socket)
    }

    /// Returns the local address of the connection, which is unnamed on the side that connected.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockname(2) fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().socket.local_addr().map(SocketAddr::from)
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    ///
    /// Returns an error if getpeername(2) fails.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().socket.peer_addr().map(SocketAddr::from)
    }

    /// Returns the credentials of the peer, as reported by the kernel.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::net::UnixStream;
    /// let (one, _other) = UnixStream::pair()?;
    /// let peer = one.peer_cred()?;
    /// println!("user {} of group {}", peer.uid(), peer.gid());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        sys::peer_cred(self.as_fd())
    }

    /// Returns the error that is pending on the socket (`SO_ERROR`), and clears it.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().socket.take_error()
    }

    /// Shuts down writing, so that the peer reads the end of the stream. This is the same as
    /// [`AsyncWriteExt::shutdown`](crate::io::AsyncWriteExt::shutdown). The call may be repeated. It never waits.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the errors of shutdown(2), except [`NotConnected`](io::ErrorKind::NotConnected).
    pub async fn shutdown(&self) -> io::Result<()> {
        self.close_writing()
    }

    /// Shuts down reading, writing, or both, for all clones of the connection, as `shutdown` in std does. Tasks that
    /// wait to read or write in a direction that is shut down are woken.
    ///
    /// # Errors
    ///
    /// Returns an error if shutdown(2) fails.
    pub fn shutdown_std(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().socket.shutdown(how)
    }

    pub(super) fn close_writing(&self) -> io::Result<()> {
        match self.shutdown_std(Shutdown::Write) {
            // macOS returns this if the peer is gone.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    /// Borrows the stream as a reading and a writing half, at no cost. For two tasks, use
    /// [`into_split`](UnixStream::into_split).
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits the stream into two owned halves, which may be moved to two tasks, even to those of two runtimes on two
    /// threads. The connection is closed when both halves are dropped. Dropping the writing half shuts down writing.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt, copy};
    /// # use runtime::net::UnixStream;
    ///
    /// # runtime::block_on(async {
    /// let (stream, other) = UnixStream::pair()?;
    /// let (reader, writer) = other.into_split();
    /// runtime::spawn(copy(reader, writer));
    ///
    /// let (mut reader, mut writer) = stream.into_split();
    /// writer.write_all(b"there and back").await?;
    /// drop(writer);
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text).await?;
    /// assert_eq!(text, "there and back");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }
}

read_methods! {
    UnixStream
}

write_methods! {
    UnixStream
}

ready_methods! {
    UnixStream
}

deadline_methods! {
    UnixStream
}

async_read! {
    UnixStream: stream => stream.io;
    &UnixStream: stream => stream.io;
}

async_write! {
    UnixStream: stream => stream.io, stream.close_writing();
    &UnixStream: stream => stream.io, stream.close_writing();
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get().socket.fmt(f)
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsRawFd for UnixStream {
    fn as_raw_fd(&self) -> RawFd {
        self.io.get().socket.as_raw_fd()
    }
}

/// Equivalent to [`UnixStream::from_std`].
impl TryFrom<net::UnixStream> for UnixStream {
    type Error = io::Error;

    #[cfg_attr(debug_assertions, track_caller)]
    fn try_from(stream: net::UnixStream) -> io::Result<UnixStream> {
        UnixStream::from_std(stream)
    }
}

/// Equivalent to [`UnixStream::into_std`].
impl TryFrom<UnixStream> for net::UnixStream {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<net::UnixStream> {
        stream.into_std()
    }
}
