//! The methods that all datagram sockets have in common: those of UDP, and those of Unix.
//!
//! A datagram socket is not a stream. A short read does not mean that the queue is empty, so nothing here draws
//! conclusions from the length of a transfer: only `EAGAIN` says that a direction is drained. An empty datagram is a
//! datagram, so an empty buffer reaches the system as well. And an error that is pending on a socket is returned once,
//! to the next call; other calls go on waiting.
//!
//! Each type has its [`Registered`](crate::runtime::io::registered::Registered) in the field `io`, around a socket that
//! implements [`Packets`], and defines how it waits to send: `send_by`, `try_send_by`, `poll_send_by`. The
//! documentation in braces is appended to the method of that name.

use std::io;
use std::os::fd::AsFd;

/// A socket that sends and receives datagrams. Each function is one system call that never blocks, even if the
/// descriptor is in blocking mode, and raises no `SIGPIPE` where the system has a way to prevent it.
pub(crate) trait Packets: AsFd {
    /// The type of the socket in std.
    type Std;
    /// The type of a sender's address.
    type Address;

    fn of_std(socket: Self::Std) -> Self;
    fn into_std(self) -> Self::Std;
    fn send(&self, data: &[u8]) -> io::Result<usize>;
    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Self::Address)>;

    /// Receives into memory that need not be initialized. Afterwards, as many of its first bytes are initialized as the
    /// function returns.
    #[cfg(feature = "tokio-io")]
    fn recv_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<usize>;

    /// Receives as [`recv_uninit`](Packets::recv_uninit) does, and returns the address of the sender, too.
    #[cfg(feature = "tokio-io")]
    fn recv_from_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<(usize, Self::Address)>;
}

/// Implements sending to the peer, receiving, waiting for both, and the conversions from and to std.
macro_rules! datagram_methods {
    (
        $type:ty, $std:ty, $address:ty;
        readable { $(#[$readable:meta])* }
        recv { $(#[$recv:meta])* }
        recv_from { $(#[$recv_from:meta])* }
        recv_buf { $(#[$recv_buf:meta])* }
        send { $(#[$send:meta])* }
        take_error { $(#[$take_error:meta])* }
    ) => {
        impl $type {
            /// Wraps a socket of std. The socket is set to non-blocking mode, which it shares with all of its clones.
            /// If a clone is set to blocking mode again, receiving and sending still do not block the loop
            /// (`MSG_DONTWAIT`).
            ///
            /// # Errors
            ///
            /// Returns an error if fcntl(2) fails.
            #[cfg_attr(debug_assertions, track_caller)]
            pub fn from_std(socket: $std) -> ::std::io::Result<$type> {
                socket.set_nonblocking(true)?;
                let mut socket = Self::new(socket);
                socket.io.set_origin($crate::task::origin::Origin::caller());
                Ok(socket)
            }

            /// Deregisters the socket and returns it as std's type. It is still in non-blocking mode.
            ///
            /// # Errors
            ///
            /// Currently this method returns no errors.
            pub fn into_std(self) -> ::std::io::Result<$std> {
                Ok($crate::net::datagram::Packets::into_std(self.io.into_inner()))
            }

            /// Waits until there is a datagram to receive, or until there is an error.
            ///
            /// Several calls may wait at once. Call [`try_recv`](Self::try_recv) or
            /// [`try_recv_from`](Self::try_recv_from) next; it may return `WouldBlock` if another call has received
            /// first.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped does not take the readiness away.
            ///
            /// # Errors
            ///
            /// Returns an error if the descriptor cannot be registered, such as
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) if two runtimes wait to receive at once. An error
            /// that is pending on the socket makes it readable, and is returned by `try_recv`.
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            $(#[$readable])*
            pub async fn readable(&self) -> ::std::io::Result<()> {
                self.io.ready($crate::runtime::io::reactor::Direction::Read).await.map(drop)
            }

            /// Polls for read readiness; see [`readable`](Self::readable). Only the waker passed to the latest call of
            /// any `poll_recv` or `poll_peek` method is woken.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`readable`](Self::readable).
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub fn poll_recv_ready(&self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_ready(cx, $crate::runtime::io::reactor::Direction::Read).map_ok(drop)
            }

            /// Waits until there is room to send, or until there is an error.
            ///
            /// Several calls may wait at once. Call [`try_send`](Self::try_send) or `try_send_to` next; it may return
            /// `WouldBlock` if another call has sent first.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped does not take the readiness away.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`readable`](Self::readable).
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub async fn writable(&self) -> ::std::io::Result<()> {
                self.io.ready($crate::runtime::io::reactor::Direction::Write).await.map(drop)
            }

            /// Polls for write readiness; see [`writable`](Self::writable). Only the waker passed to the latest call of
            /// any `poll_send` method is woken.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`writable`](Self::writable).
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub fn poll_send_ready(&self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_ready(cx, $crate::runtime::io::reactor::Direction::Write).map_ok(drop)
            }

            /// Receives one datagram, and returns its length in bytes.
            ///
            /// If the buffer is too short, the rest of the datagram is thrown away without an error: a datagram that
            /// fills the buffer may have been longer. An empty datagram is received as 0, which is not an end. If the
            /// buffer is empty, the next datagram is thrown away whole. A connected socket receives only the datagrams
            /// of its peer.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped has received nothing.
            ///
            /// # Errors
            ///
            /// Returns the errors of recv(2), and the errors of [`readable`](Self::readable).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            $(#[$recv])*
            pub async fn recv(&self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                self.io.async_io($crate::runtime::io::reactor::Direction::Read, |io| io.recv(buffer)).await
            }

            /// Tries to receive one datagram, without waiting; see [`recv`](Self::recv).
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if nothing is there, and the errors of recv(2).
            pub fn try_recv(&self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                self.io.try_io($crate::runtime::io::reactor::Direction::Read, |io| io.recv(buffer))
            }

            /// Polls to receive one datagram; see [`recv`](Self::recv). Only the waker passed to the latest call of any
            /// `poll_recv` or `poll_peek` method is woken.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`recv`](Self::recv).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub fn poll_recv(
                &self,
                cx: &mut ::std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.io.poll_io(cx, $crate::runtime::io::reactor::Direction::Read, |io| io.recv(buffer))
            }

            /// Receives one datagram, and returns its length in bytes and the address of its sender. See
            /// [`recv`](Self::recv).
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped has received nothing.
            ///
            /// # Errors
            ///
            /// Returns the errors of recvfrom(2), and the errors of [`readable`](Self::readable).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            $(#[$recv_from])*
            pub async fn recv_from(&self, buffer: &mut [u8]) -> ::std::io::Result<(usize, $address)> {
                self.io.async_io($crate::runtime::io::reactor::Direction::Read, |io| io.recv_from(buffer)).await
            }

            /// Tries to receive one datagram and the address of its sender, without waiting; see
            /// [`recv_from`](Self::recv_from).
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if nothing is there, and the errors of
            /// recvfrom(2).
            pub fn try_recv_from(&self, buffer: &mut [u8]) -> ::std::io::Result<(usize, $address)> {
                self.io.try_io($crate::runtime::io::reactor::Direction::Read, |io| io.recv_from(buffer))
            }

            /// Polls to receive one datagram and the address of its sender; see [`recv_from`](Self::recv_from). Only
            /// the waker passed to the latest call of any `poll_recv` or `poll_peek` method is woken.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`recv_from`](Self::recv_from).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub fn poll_recv_from(
                &self,
                cx: &mut ::std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> ::std::task::Poll<::std::io::Result<(usize, $address)>> {
                self.io.poll_io(cx, $crate::runtime::io::reactor::Direction::Read, |io| io.recv_from(buffer))
            }

            /// Sends one datagram to the peer that the socket is connected to, and returns its length in bytes. The
            /// datagram is sent as a whole or not at all.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped has sent nothing.
            ///
            /// # Errors
            ///
            /// Returns the errors of send(2), such as `EMSGSIZE` if it is too long, and the errors of
            /// [`writable`](Self::writable).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            $(#[$send])*
            pub async fn send(&self, data: &[u8]) -> ::std::io::Result<usize> {
                self.send_by(|io| io.send(data)).await
            }

            /// Tries to send one datagram to the peer, without waiting; see [`send`](Self::send).
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no room, and the errors of send(2).
            pub fn try_send(&self, data: &[u8]) -> ::std::io::Result<usize> {
                self.try_send_by(|io| io.send(data))
            }

            /// Polls to send one datagram to the peer; see [`send`](Self::send). Only the waker passed to the latest
            /// call of any `poll_send` method is woken.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`send`](Self::send).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub fn poll_send(
                &self,
                cx: &mut ::std::task::Context<'_>,
                data: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.poll_send_by(cx, |io| io.send(data))
            }

            /// Returns the error that is pending on the socket (`SO_ERROR`), and clears it: an operation that would
            /// have failed with it goes on waiting instead.
            ///
            /// # Errors
            ///
            /// Returns an error if getsockopt(2) fails.
            $(#[$take_error])*
            pub fn take_error(&self) -> ::std::io::Result<Option<::std::io::Error>> {
                ::socket2::SockRef::from(self).take_error()
            }
        }

        #[cfg(feature = "tokio-io")]
        $crate::net::recv_buf::recv_buf_methods! {
            $(#[$recv_buf])*
            $type, $address
        }

        impl ::std::os::fd::AsFd for $type {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                self.io.get().as_fd()
            }
        }

        impl ::std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                ::std::os::fd::AsRawFd::as_raw_fd(&::std::os::fd::AsFd::as_fd(self))
            }
        }

        /// Equivalent to `from_std`.
        impl TryFrom<$std> for $type {
            type Error = ::std::io::Error;

            #[cfg_attr(debug_assertions, track_caller)]
            fn try_from(socket: $std) -> ::std::io::Result<$type> {
                Self::from_std(socket)
            }
        }

        /// Equivalent to `into_std`.
        impl TryFrom<$type> for $std {
            type Error = ::std::io::Error;

            fn try_from(socket: $type) -> ::std::io::Result<$std> {
                socket.into_std()
            }
        }
    };
}

pub(crate) use datagram_methods;
