//! A TCP connection: how it is created and how it is closed. Reading and writing are in `readiness.rs` and
//! `net/transfer.rs`, the options are in `options.rs`.

use super::connect;
use super::race::race;
use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::net::addr::{ToSocketAddrs, lookup_host};
use crate::net::stream_traits::{async_read, async_write};
use crate::net::sys;
use crate::net::transfer::{ReadFd, WriteFd};
use crate::runtime::io::registered::{Owner, Registered};
use crate::task::origin::Origin;
use socket2::SockRef;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// A TCP connection.
///
/// Read and write it with [`AsyncReadExt`](crate::io::AsyncReadExt) and [`AsyncWriteExt`](crate::io::AsyncWriteExt),
/// also by shared reference. Reads and writes are system calls on the socket itself: this type has no buffer, so
/// flushing does nothing. One read and one write may wait at a time; for several readers, see
/// [`readable`](TcpStream::readable) and [`try_read`](TcpStream::try_read).
///
/// The connection may be moved to the thread of another runtime at any time, and is used there from then on. It may
/// also be read on one thread and written on another one. Dropping the stream closes the connection, on any thread.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{TcpListener, TcpStream};
///
/// # runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut server, _) = listener.accept().await?;
///
/// client.write_all(b"ping").await?;
/// let mut word = [0; 4];
/// server.read_exact(&mut word).await?;
/// assert_eq!(&word, b"ping");
///
/// client.close().await?;
/// assert_eq!(server.read(&mut word).await?, 0, "the end of the stream");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct TcpStream {
    pub(super) io: Registered<std::net::TcpStream>,
}

impl TcpStream {
    /// Connects to the first address that answers.
    ///
    /// A single address is tried for as long as the system waits, which can be minutes; see
    /// [`connect_timeout`](TcpStream::connect_timeout). Most names have several addresses. Then each address is tried
    /// alone for 250 ms, or until it fails, before the next one is tried beside it (Happy Eyeballs, RFC 8305). The
    /// families alternate, beginning with that of the first address, and the order within a family stays. As soon as
    /// one socket is connected, the others are closed.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped closes its sockets.
    ///
    /// # Errors
    ///
    /// Returns the error of the first address that was tried, such as
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused). But errors that only say that this host has no route to
    /// an address, such as [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable), are returned only if there is no
    /// other error. Returns [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address, and the errors of
    /// [`lookup_host`].
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let addresses = lookup_host(address).await?;
        race(addresses, connect::connect).await.map(|io| TcpStream { io })
    }

    /// Connects to the first address that answers, within a time limit that includes the look-up of a name. See
    /// [`connect`](TcpStream::connect).
    ///
    /// Unlike the function of std, it accepts names, and tries all addresses.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped closes its sockets.
    ///
    /// # Errors
    ///
    /// Returns [`TimedOut`](io::ErrorKind::TimedOut) if the time is over first, and the errors of
    /// [`connect`](TcpStream::connect). If a `TimedOut` error has an errno, the system itself has given up.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::net::{TcpListener, TcpStream};
    /// # use std::time::Duration;
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = TcpStream::connect_timeout(address, Duration::from_secs(5)).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn connect_timeout(address: impl ToSocketAddrs, timeout: Duration) -> io::Result<TcpStream> {
        crate::time::timeout(timeout, TcpStream::connect(address)).await?
    }

    /// Wraps a socket that is already in non-blocking mode.
    pub(super) fn new(stream: std::net::TcpStream) -> TcpStream {
        TcpStream { io: Registered::new(stream, Owner::TcpStream) }
    }

    /// Wraps a connection of std. It is set to non-blocking mode, which it shares with all of its clones.
    ///
    /// If a clone is set to blocking mode again, reads and writes still do not block the loop (`MSG_DONTWAIT`). But
    /// `io::splice` and `io::send_file` would block it: splice(2) and sendfile(2) have no such flag for sockets.
    ///
    /// # Errors
    ///
    /// Returns an error if fcntl(2) fails.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::new(stream);
        stream.io.set_origin(Origin::caller());
        Ok(stream)
    }

    /// Deregisters the connection and returns it as std's type. It is still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Currently this method returns no errors.
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::net::{TcpListener, TcpStream};
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = stream.into_std()?;
    /// stream.set_nonblocking(false)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        Ok(self.io.into_inner())
    }

    /// Returns the local address of the connection.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockname(2) fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    ///
    /// Returns [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }

    /// Returns the error that is pending on the socket (`SO_ERROR`), and clears it. Reads and writes then no longer
    /// fail with this error.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().take_error()
    }

    /// Shuts down writing, so that the peer reads the end of the stream. This is the same as
    /// [`AsyncWriteExt::shutdown`](crate::io::AsyncWriteExt::shutdown). The call may be repeated, and it is no error if the
    /// connection is gone already. It never waits.
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
    /// Returns [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone already.
    pub fn shutdown_std(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().shutdown(how)
    }

    pub(super) fn close_writing(&self) -> io::Result<()> {
        match self.shutdown_std(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    /// Borrows the stream as a reading and a writing half, at no cost. For two tasks, use
    /// [`into_split`](TcpStream::into_split).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt, copy};
    /// # use runtime::net::{TcpListener, TcpStream};
    ///
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// # client.write_all(b"echo").await?;
    /// # client.close().await?;
    /// let (reader, writer) = stream.split();
    /// copy(reader, writer).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits the stream into two owned halves, which may be moved to two tasks, even to those of two runtimes on two
    /// threads. The connection is closed when both halves are dropped. Dropping the writing half shuts down writing.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    /// # use runtime::net::{TcpListener, TcpStream};
    ///
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// let (mut reader, mut writer) = client.into_split();
    /// runtime::spawn(async move { writer.write_all(b"to the other end").await });
    /// # let mut text = String::new();
    /// # server.read_to_string(&mut text).await?;
    /// # server.write_all(text.as_bytes()).await?;
    /// # drop(server);
    ///
    /// let mut answer = String::new();
    /// reader.read_to_string(&mut answer).await?;
    /// # assert_eq!(answer, "to the other end");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }
}

impl ReadFd for std::net::TcpStream {
    #[inline]
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::recv(self.as_fd(), buffer)
    }

    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        sys::recv_vectored(self.as_fd(), sys::uninit_slices(buffers)).map(|(count, _)| count)
    }

    #[cfg(feature = "tokio-io")]
    #[inline]
    fn read_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<usize> {
        sys::recv_uninit(self.as_fd(), room)
    }
}

impl WriteFd for std::net::TcpStream {
    #[inline]
    fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        sys::send(self.as_fd(), buffer)
    }

    /// Writes without `SIGPIPE`, unlike std's method, which calls writev(2) and raises it where it is not ignored.
    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        SockRef::from(self).send_vectored_with_flags(buffers, sys::SEND)
    }
}

async_read! {
    TcpStream: stream => stream.io;
    &TcpStream: stream => stream.io;
}

async_write! {
    TcpStream: stream => stream.io, stream.close_writing();
    &TcpStream: stream => stream.io, stream.close_writing();
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get().fmt(f)
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.io.get().as_raw_fd()
    }
}

/// Equivalent to [`TcpStream::from_std`].
impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    #[cfg_attr(debug_assertions, track_caller)]
    fn try_from(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(stream)
    }
}

/// Equivalent to [`TcpStream::into_std`].
impl TryFrom<TcpStream> for std::net::TcpStream {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<std::net::TcpStream> {
        stream.into_std()
    }
}
