//! A Unix socket for datagrams. The methods that it has in common with UDP are in `net/datagram.rs`, and its
//! system calls in `datagram_fd.rs`.

use super::addr::SocketAddr;
use super::datagram_fd::DatagramFd;
use super::full_queue::{self, WriteEvents::ByAddress, WriteEvents::Connected};
use crate::net::datagram::{Packets, datagram_methods};
use crate::net::methods::ready_methods;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::task::{Context, Poll};

/// A Unix socket for datagrams.
///
/// Datagrams between sockets of one host are never lost, duplicated or reordered, and a sender that is too fast has to
/// wait. All methods take a shared reference, and many tasks may send and receive at once; each datagram is received by
/// one of the tasks.
///
/// The names of sockets are paths; on Linux, a path that begins with a zero byte is an abstract name, which is in no
/// file system. A socket that only sends needs no name, but cannot be answered without one. The file at the path stays
/// when the socket is dropped: the program has to remove it.
///
/// # A receiver that is slow
///
/// A receiver's queue holds few datagrams (on Linux `net.unix.max_dgram_qlen`, 10 by default). When it is full,
/// [`send`](UnixDatagram::send) and [`send_to`](UnixDatagram::send_to) wait for room. If the sender is
/// [connected](UnixDatagram::connect), the kernel reports when there is room. Otherwise it does not, so `send_to` tries
/// again at growing intervals of up to 32 ms. [`writable`](UnixDatagram::writable) cannot do this: for a socket that is
/// not connected, it always returns at once. On macOS and some BSDs, the call fails with `ENOBUFS` instead, which is
/// returned.
///
/// # Examples
///
/// ```
/// use runtime::net::UnixDatagram;
///
/// # runtime::block_on(async {
/// # let dir = std::env::temp_dir().join(format!("runtime-doc-datagram-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// let server = UnixDatagram::bind(dir.join("server"))?;
/// let client = UnixDatagram::bind(dir.join("client"))?;
/// client.connect(dir.join("server"))?;
/// client.send(b"ping").await?;
///
/// let mut buffer = [0; 1500];
/// let (count, from) = server.recv_from(&mut buffer).await?;
/// assert_eq!(&buffer[..count], b"ping");
/// server.send_to(b"pong", from.as_pathname().unwrap()).await?;
/// # assert_eq!(client.recv(&mut buffer).await?, 4);
/// # std::fs::remove_dir_all(&dir)
/// # }).unwrap();
/// ```
pub struct UnixDatagram {
    io: Registered<DatagramFd>,
    attempts: full_queue::Shared,
}

impl UnixDatagram {
    /// Creates a socket that is bound to a path, and a file there. There must be no file at this path before.
    ///
    /// # Errors
    ///
    /// Returns the errors of bind(2), such as [`AddrInUse`](io::ErrorKind::AddrInUse) if there is a file; and
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the path is longer than about a hundred bytes.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        UnixDatagram::bind_addr(&SocketAddr::of_path(path.as_ref())?)
    }

    /// Creates a socket that is bound to an address; see [`bind`](UnixDatagram::bind).
    ///
    /// # Errors
    ///
    /// Returns an error if bind(2) fails.
    ///
    /// # Examples
    ///
    /// An abstract name disappears with its socket:
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use runtime::net::UnixDatagram;
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-{}", std::process::id());
    /// let server = UnixDatagram::bind(format!("\0{name}"))?;
    /// let address = server.local_addr()?;
    /// let client = UnixDatagram::unbound()?;
    /// client.send_to_addr(b"hello", &address).await?;
    /// # assert_eq!(server.recv(&mut [0; 8]).await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// # }
    /// ```
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(std::os::unix::net::UnixDatagram::bind_addr(address.as_std())?)
    }

    /// Creates a pair of sockets without a name, which are connected to each other.
    ///
    /// # Errors
    ///
    /// Returns an error if socketpair(2) fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::net::UnixDatagram;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"one").await?;
    /// a.send(b"two").await?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(b.recv(&mut buffer).await?, 3);
    /// assert_eq!(&buffer[..3], b"one");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (a, b) = std::os::unix::net::UnixDatagram::pair()?;
        Ok((UnixDatagram::from_std(a)?, UnixDatagram::from_std(b)?))
    }

    /// Creates a socket without a name: it can send, but receivers cannot answer.
    ///
    /// # Errors
    ///
    /// Returns an error if socket(2) fails.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(std::os::unix::net::UnixDatagram::unbound()?)
    }

    /// Wraps a socket that is already in non-blocking mode.
    fn new(socket: std::os::unix::net::UnixDatagram) -> UnixDatagram {
        UnixDatagram {
            io: Registered::new(DatagramFd::of_std(socket), Owner::UnixDatagram),
            attempts: full_queue::Shared::default(),
        }
    }

    /// Connects to the socket at a path: [`send`](UnixDatagram::send) sends to it, and from now on only its datagrams
    /// are received. The call may be repeated, for another peer.
    ///
    /// # Errors
    ///
    /// Returns the errors of connect(2), such as [`NotFound`](io::ErrorKind::NotFound) if there is no file, and
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if no socket is bound to the file any more.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&SocketAddr::of_path(path.as_ref())?)
    }

    /// Connects to the socket at an address; see [`connect`](UnixDatagram::connect).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`connect`](UnixDatagram::connect).
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.std().connect_addr(address.as_std())
    }

    /// Returns the local address of the socket, which may be unnamed.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockname(2) fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.std().local_addr().map(SocketAddr::from)
    }

    /// Returns the address of the peer that the socket is connected to, which may be unnamed.
    ///
    /// # Errors
    ///
    /// Returns [`NotConnected`](io::ErrorKind::NotConnected) if the socket is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.std().peer_addr().map(SocketAddr::from)
    }

    /// Sends one datagram to the socket at a path, and returns its length in bytes. The datagram is sent as a whole or
    /// not at all. While the receiver's queue is full, the call waits, see
    /// [above](UnixDatagram#a-receiver-that-is-slow).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of sendto(2), such as [`NotFound`](io::ErrorKind::NotFound) if there is no file,
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if no socket is bound to the file any more, and
    /// `EMSGSIZE` if the datagram is too long; and the errors of [`writable`](UnixDatagram::writable).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn send_to(&self, data: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_addr(data, &SocketAddr::of_path(path.as_ref())?).await
    }

    /// Tries to send one datagram to the socket at a path, without waiting; see [`send_to`](UnixDatagram::send_to).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the errors of sendto(2).
    pub fn try_send_to(&self, data: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.try_send_to_addr(data, &SocketAddr::of_path(path.as_ref())?)
    }

    /// Polls to send one datagram to the socket at a path; see [`send_to`](UnixDatagram::send_to). Only the waker
    /// passed to the latest call of any `poll_send` method is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`send_to`](UnixDatagram::send_to).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        path: impl AsRef<Path>,
    ) -> Poll<io::Result<usize>> {
        let to = SocketAddr::of_path(path.as_ref())?.to_call()?;
        self.attempts.poll(cx, &self.io, ByAddress, |io| io.send_to(data, &to))
    }

    /// Sends one datagram to the socket at an address; see [`send_to`](UnixDatagram::send_to).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`send_to`](UnixDatagram::send_to).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn send_to_addr(&self, data: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let to = address.to_call()?;
        full_queue::send(&self.io, ByAddress, |io| io.send_to(data, &to)).await
    }

    /// Tries to send one datagram to an address, without waiting; see [`send_to_addr`](UnixDatagram::send_to_addr).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_send_to`](UnixDatagram::try_send_to).
    pub fn try_send_to_addr(&self, data: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let to = address.to_call()?;
        self.try_send_by(|io| io.send_to(data, &to))
    }

    /// Shuts down receiving, sending, or both. Tasks that wait to receive or send are woken: receiving returns 0 after
    /// all datagrams in the queue have been received, and sending fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe).
    /// A peer that sends to a socket that has shut down receiving gets this error, too.
    ///
    /// # Errors
    ///
    /// Returns [`NotConnected`](io::ErrorKind::NotConnected) on some systems, if the socket is not connected.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().shutdown(how)
    }

    async fn send_by(&self, send: impl FnMut(&DatagramFd) -> io::Result<usize>) -> io::Result<usize> {
        full_queue::send(&self.io, Connected, send).await
    }

    /// Makes the call always: if there is room depends on the receiver, which may be another one this time.
    fn try_send_by(&self, send: impl FnOnce(&DatagramFd) -> io::Result<usize>) -> io::Result<usize> {
        match send(self.io.get()) {
            // Clear the readiness, so that `writable` waits.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.io.try_io(Direction::Write, |_| Err(error))
            }
            result => result,
        }
    }

    fn poll_send_by(
        &self,
        cx: &mut Context<'_>,
        send: impl FnMut(&DatagramFd) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.attempts.poll(cx, &self.io, Connected, send)
    }

    fn std(&self) -> &std::os::unix::net::UnixDatagram {
        &self.io.get().socket
    }
}

datagram_methods! {
    UnixDatagram, std::os::unix::net::UnixDatagram, SocketAddr;
    readable {}
    recv {}
    recv_from {}
    recv_buf {
        ///
        /// # Examples
        ///
        /// ```
        /// # use runtime::net::UnixDatagram;
        /// # runtime::block_on(async {
        /// let (a, b) = UnixDatagram::pair()?;
        /// a.send(b"hello").await?;
        /// let mut buffer = Vec::with_capacity(1500);
        /// b.recv_buf(&mut buffer).await?;
        /// assert_eq!(buffer, b"hello");
        /// # std::io::Result::Ok(()) }).unwrap();
        /// ```
    }
    send {}
    take_error {}
}

ready_methods! {
    UnixDatagram
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std().fmt(f)
    }
}
