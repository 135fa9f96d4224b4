//! A UDP socket: how it is created, and sending to an address. The methods that it has in common with other datagram
//! sockets are in `net/datagram.rs`, peeking is in `peek.rs`, and the options are in `options.rs`.

use super::message::LeftOver;
use super::offload::Offload;
use crate::net::addr::{ToSocketAddrs, lookup_host, no_address, try_each};
use crate::net::datagram::{Packets, datagram_methods};
use crate::net::methods::ready_methods;
use crate::net::sys;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use socket2::SockAddr;
use std::fmt;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

/// A UDP socket.
///
/// It sends to any address and receives from any address. When it is [connected](UdpSocket::connect), it sends to and
/// receives from one peer only. All methods take a shared reference, and many tasks may send and receive at once: there
/// are no halves, so share the socket by `Rc` or `Arc`. Each datagram is received by one of the tasks.
///
/// Datagrams may be lost, duplicated and reordered on their way, and the address of a sender can be forged. A datagram
/// that is longer than the buffer is cut off.
///
/// # Errors of the peer
///
/// If the host of a connected peer answers that no socket is bound to the peer's address, this is a pending error of
/// the socket. The next operation, whether it sends or receives, fails with
/// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) instead of doing anything. The error is returned once, to
/// one caller, and the socket stays usable: the next call works again. A socket that is not connected has no such
/// errors.
///
/// # Examples
///
/// ```
/// use runtime::net::UdpSocket;
///
/// # runtime::block_on(async {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.connect(server.local_addr()?).await?;
///
/// client.send(b"ping").await?;
/// let mut buffer = [0; 1500];
/// let (count, from) = server.recv_from(&mut buffer).await?;
/// assert_eq!((&buffer[..count], from), (&b"ping"[..], client.local_addr()?));
///
/// server.send_to(b"pong", from).await?;
/// let count = client.recv(&mut buffer).await?;
/// assert_eq!(&buffer[..count], b"pong");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct UdpSocket {
    pub(super) io: Registered<UdpFd>,
}

impl UdpSocket {
    /// Creates a socket that is bound to the first of the addresses that can be bound. With port 0, the system chooses
    /// a port; see [`local_addr`](UdpSocket::local_addr).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the error of the last address, such as [`AddrInUse`](io::ErrorKind::AddrInUse);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address; and the errors of [`lookup_host`].
    ///
    /// # Panics
    ///
    /// Panics if a name is to be looked up and no runtime is entered on this thread.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let socket = try_each(address, |address| ready(std::net::UdpSocket::bind(address))).await?;
        socket.set_nonblocking(true)?;
        Ok(UdpSocket::new(socket))
    }

    /// Wraps a socket that is already in non-blocking mode.
    fn new(socket: std::net::UdpSocket) -> UdpSocket {
        UdpSocket { io: Registered::new(UdpFd::of_std(socket), Owner::UdpSocket) }
    }

    /// Connects to the first of the addresses to which there is a route: [`send`](UdpSocket::send) sends to it, and
    /// datagrams from other addresses are no longer received. Nothing is sent by this. The call may be repeated, for
    /// another peer.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the error of the last address, such as [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address; and the errors of [`lookup_host`].
    ///
    /// # Panics
    ///
    /// Panics if a name is to be looked up and no runtime is entered on this thread.
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        try_each(address, |address| ready(self.std().connect(address))).await
    }

    /// Returns the local address of the socket.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockname(2) fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.std().local_addr()
    }

    /// Returns the address of the peer that the socket is connected to.
    ///
    /// # Errors
    ///
    /// Returns [`NotConnected`](io::ErrorKind::NotConnected) if the socket is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.std().peer_addr()
    }

    /// Sends one datagram to an address, and returns its length in bytes. The datagram is sent as a whole or not at
    /// all. If there are several addresses, the first is used.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of sendto(2), such as `EMSGSIZE` if the datagram is too long;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address; and the errors of [`lookup_host`] and of
    /// [`writable`](UdpSocket::writable).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, or a name is to be looked up, and no runtime is entered on this thread.
    pub async fn send_to(&self, data: &[u8], target: impl ToSocketAddrs) -> io::Result<usize> {
        let target = lookup_host(target).await?.next().ok_or_else(no_address)?;
        self.send_by(|io| io.send_to(data, target)).await
    }

    /// Tries to send one datagram to an address, without waiting; see [`send_to`](UdpSocket::send_to).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the errors of sendto(2).
    pub fn try_send_to(&self, data: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_send_by(|io| io.send_to(data, target))
    }

    /// Polls to send one datagram to an address; see [`send_to`](UdpSocket::send_to). Only the waker passed to the
    /// latest call of any `poll_send` method is woken.
    ///
    /// # Errors
    ///
    /// Returns the errors of sendto(2), and the errors of [`writable`](UdpSocket::writable).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_send_by(cx, |io| io.send_to(data, target))
    }

    async fn send_by(&self, send: impl FnMut(&UdpFd) -> io::Result<usize>) -> io::Result<usize> {
        self.io.async_io(Direction::Write, send).await
    }

    fn try_send_by(&self, send: impl FnOnce(&UdpFd) -> io::Result<usize>) -> io::Result<usize> {
        self.io.try_io(Direction::Write, send)
    }

    fn poll_send_by(
        &self,
        cx: &mut Context<'_>,
        send: impl FnMut(&UdpFd) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.io.poll_io(cx, Direction::Write, send)
    }

    pub(super) fn std(&self) -> &std::net::UdpSocket {
        &self.io.get().socket
    }
}

datagram_methods! {
    UdpSocket, std::net::UdpSocket, SocketAddr;
    readable {
        ///
        /// # Examples
        ///
        /// ```
        /// # use runtime::net::UdpSocket;
        /// # use std::io::ErrorKind::WouldBlock;
        /// # runtime::block_on(async {
        /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
        /// # socket.send_to(b"to myself", socket.local_addr()?).await?;
        /// let mut buffer = [0; 1500];
        /// let (count, from) = loop {
        ///     socket.readable().await?;
        ///     match socket.try_recv_from(&mut buffer) {
        ///         Err(error) if error.kind() == WouldBlock => continue,
        ///         result => break result?,
        ///     }
        /// };
        /// # assert_eq!((&buffer[..count], from), (&b"to myself"[..], socket.local_addr()?));
        /// # std::io::Result::Ok(()) }).unwrap();
        /// ```
    }
    recv {}
    recv_from {
        ///
        /// # Examples
        ///
        /// ```no_run
        /// use runtime::net::UdpSocket;
        ///
        /// # runtime::block_on(async {
        /// let socket = UdpSocket::bind("127.0.0.1:7000").await?;
        /// let mut buffer = [0; 1500];
        /// loop {
        ///     let (count, from) = socket.recv_from(&mut buffer).await?;
        ///     socket.send_to(&buffer[..count], from).await?;
        /// }
        /// # #[expect(unreachable_code)] std::io::Result::Ok(()) }).unwrap();
        /// ```
    }
    recv_buf {
        ///
        /// # Examples
        ///
        /// ```
        /// # use runtime::net::UdpSocket;
        /// # runtime::block_on(async {
        /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
        /// # socket.connect(socket.local_addr()?).await?;
        /// # socket.send(b"to myself").await?;
        /// let mut buffer = Vec::with_capacity(1500);
        /// socket.recv_buf(&mut buffer).await?;
        /// assert_eq!(buffer, b"to myself");
        /// # std::io::Result::Ok(()) }).unwrap();
        /// ```
    }
    send {}
    take_error {}
}

ready_methods! {
    UdpSocket
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std().fmt(f)
    }
}

/// The socket itself, and the facts that are known about its system.
pub(super) struct UdpFd {
    pub(super) socket: std::net::UdpSocket,
    pub(super) offload: Offload,
    pub(super) left_over: LeftOver,
}

/// Returns the error for a datagram without the address of its sender: some systems do not always report it.
fn no_sender() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the system does not report the sender of the datagram")
}

/// Converts the sender's address from socket2's type.
#[inline]
pub(super) fn with_sender<R>((received, sender): (R, SockAddr)) -> io::Result<(R, SocketAddr)> {
    Ok((received, sender.as_socket().ok_or_else(no_sender)?))
}

impl UdpFd {
    #[inline]
    fn send_to(&self, data: &[u8], target: SocketAddr) -> io::Result<usize> {
        sys::send_to(self.as_fd(), data, &target.into())
    }
}

impl Packets for UdpFd {
    type Std = std::net::UdpSocket;
    type Address = SocketAddr;

    fn of_std(socket: std::net::UdpSocket) -> UdpFd {
        UdpFd { socket, offload: Offload::default(), left_over: LeftOver::default() }
    }

    fn into_std(self) -> std::net::UdpSocket {
        self.socket
    }

    #[inline]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        sys::send(self.as_fd(), data)
    }

    #[inline]
    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::recv(self.as_fd(), buffer)
    }

    #[inline]
    fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        with_sender(sys::recv_from(self.as_fd(), buffer)?)
    }

    #[cfg(feature = "tokio-io")]
    fn recv_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<usize> {
        sys::recv_uninit(self.as_fd(), room)
    }

    #[cfg(feature = "tokio-io")]
    fn recv_from_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<(usize, SocketAddr)> {
        with_sender(sys::recv_from_uninit(self.as_fd(), room)?)
    }
}

impl AsFd for UdpFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
