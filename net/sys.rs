//! The system calls that neither std nor socket2 makes in the way that is needed here.
//!
//! No receive and no send waits, even if the descriptor is in blocking mode (`MSG_DONTWAIT`, see recv(2)). All sockets
//! are set to non-blocking mode, but they share it with their duplicates: a duplicate that is set to blocking mode
//! elsewhere would otherwise block the loop.
#![expect(unsafe_code, reason = "accept4, read, recv, recvmsg and send, on memory owned or borrowed here")]

use socket2::{Domain, MaybeUninitSlice, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The flags of every receive.
pub(super) const RECEIVE: libc::c_int = libc::MSG_DONTWAIT;

/// The flags of every send.
pub(super) const SEND: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Creates a TCP socket that is non-blocking and close-on-exec.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn socket(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

/// Creates a TCP socket that is non-blocking and close-on-exec, which takes more calls on macOS. The socket does not
/// raise SIGPIPE (`SO_NOSIGPIPE`), and the connections that it accepts inherit this.
#[cfg(target_vendor = "apple")]
pub(super) fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Takes one connection from a listener's queue. The descriptor is non-blocking and close-on-exec, from the start where
/// there is accept4(2).
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (fd, address) = accept_one(listener.as_fd())?;
    // macOS has no address for a peer that is already gone.
    let gone = || io::Error::from_raw_os_error(libc::ECONNABORTED);
    let address = address.as_socket().ok_or_else(gone)?;
    Ok((TcpStream::from(fd), address))
}

/// Takes one connection from the queue of a listener of any kind, with the same flags.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn accept_one(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    match accept_with_flags(listener) {
        // Emulated and very old kernels do not have this call, and sandboxes answer unknown calls with EPERM. If the
        // EPERM came from a firewall, it was for one connection, which is gone, and the next one is taken.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            accept_then_flags(listener)
        }
        accepted => accepted,
    }
}

/// Takes one connection from the queue of a listener of any kind, with the same flags.
#[cfg(target_vendor = "apple")]
pub(super) fn accept_one(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    accept_then_flags(listener)
}

#[cfg(not(target_vendor = "apple"))]
fn accept_with_flags(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the listener is open while it is borrowed, `storage` has the size that `length` says, and the kernel sets
    // both to the address of the peer.
    take(|storage, length| unsafe { libc::accept4(listener.as_raw_fd(), storage, length, flags) })
}

#[cfg_attr(not(target_vendor = "apple"), cold)]
fn accept_then_flags(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    // SAFETY: as above.
    let accepted = take(|storage, length| unsafe { libc::accept(listener.as_raw_fd(), storage, length) })?;
    let socket = socket2::SockRef::from(&accepted.0);
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    Ok(accepted)
}

/// Reads bytes from any descriptor into memory that need not be initialized, see read(2).
#[cfg(feature = "tokio-io")]
pub(super) fn read_uninit(fd: BorrowedFd<'_>, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    // SAFETY: the descriptor is open while it is borrowed, and the kernel writes no more bytes than the length.
    let count = unsafe { libc::read(fd.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
    counted(count)
}

/// Receives bytes, as the `read` of std's sockets does. std's method is two calls deep and not inlined: this saves 30
/// of the 550 instructions of an echo.
#[inline]
pub(super) fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    recv_with(socket, uninit(buffer), RECEIVE)
}

/// Receives bytes into memory that need not be initialized.
#[cfg(feature = "tokio-io")]
#[inline]
pub(super) fn recv_uninit(socket: BorrowedFd<'_>, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    recv_with(socket, room, RECEIVE)
}

/// Copies received bytes without removing them from the queue.
pub(super) fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    recv_with(socket, uninit(buffer), RECEIVE | libc::MSG_PEEK)
}

#[inline]
fn recv_with(socket: BorrowedFd<'_>, room: &mut [MaybeUninit<u8>], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: the socket is open while it is borrowed, and the kernel writes no more bytes than the length.
    let count = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
    counted(count)
}

/// Receives one datagram and the address of its sender.
#[cfg(any(feature = "udp", feature = "unix"))]
#[inline]
pub(super) fn recv_from(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    recv_from_with(socket, uninit(buffer), RECEIVE)
}

/// Receives one datagram and the address of its sender, into memory that need not be initialized.
#[cfg(all(feature = "tokio-io", any(feature = "udp", feature = "unix")))]
pub(super) fn recv_from_uninit(
    socket: BorrowedFd<'_>,
    room: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, SockAddr)> {
    recv_from_with(socket, room, RECEIVE)
}

/// Copies the next datagram and the address of its sender, without removing the datagram from the queue.
#[cfg(feature = "udp")]
pub(super) fn peek_from(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    recv_from_with(socket, uninit(buffer), RECEIVE | libc::MSG_PEEK)
}

/// Receives with the given flags. It is inlined so that an address of 128 bytes is not copied.
#[cfg(any(feature = "udp", feature = "unix"))]
#[inline(always)]
fn recv_from_with(
    socket: BorrowedFd<'_>,
    room: &mut [MaybeUninit<u8>],
    flags: libc::c_int,
) -> io::Result<(usize, SockAddr)> {
    let data = room.as_mut_ptr().cast();
    // SAFETY: the socket is open while it is borrowed, and the kernel writes no more bytes than the lengths. If the
    // call succeeds, it initializes the address; otherwise an error is returned and the address is not read.
    unsafe {
        SockAddr::try_init(|storage, length| {
            counted(libc::recvfrom(socket.as_raw_fd(), data, room.len(), flags, storage.cast(), length))
        })
    }
}

/// Sends one datagram to an address.
#[cfg(any(feature = "udp", feature = "unix"))]
#[inline]
pub(super) fn send_to(socket: BorrowedFd<'_>, buffer: &[u8], to: &SockAddr) -> io::Result<usize> {
    let (data, length) = (buffer.as_ptr().cast(), buffer.len());
    // SAFETY: the socket is open while it is borrowed, and the kernel reads no more bytes than the lengths.
    let count = unsafe { libc::sendto(socket.as_raw_fd(), data, length, SEND, to.as_ptr().cast(), to.len()) };
    counted(count)
}

/// Receives bytes into several buffers, by recvmsg(2) without room for control messages. Returns the flags of the
/// message, too.
pub(super) fn recv_vectored(
    socket: BorrowedFd<'_>,
    buffers: &mut [MaybeUninitSlice<'_>],
) -> io::Result<(usize, libc::c_int)> {
    // SAFETY: the structure consists of numbers and pointers, for which all zeros are a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers.as_mut_ptr().cast();
    message.msg_iovlen = buffers.len() as _;
    // SAFETY: the socket is open while it is borrowed, and the kernel writes only to the memory of the buffers.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, RECEIVE) };
    Ok((counted(count)?, message.msg_flags))
}

/// Converts initialized memory for a call that takes uninitialized memory.
#[inline]
fn uninit(buffer: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: these are the same bytes, and the kernel makes none of them uninitialized.
    unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) }
}

/// Converts initialized buffers for a call that takes uninitialized ones.
#[inline]
pub(super) fn uninit_slices<'a, 'b>(buffers: &'a mut [IoSliceMut<'b>]) -> &'a mut [MaybeUninitSlice<'b>] {
    let (slices, count) = (buffers.as_mut_ptr().cast(), buffers.len());
    // SAFETY: both types are documented to have the layout of an iovec, and the kernel makes nothing uninitialized.
    unsafe { std::slice::from_raw_parts_mut(slices, count) }
}

/// Sends as many bytes as there is room for, without `SIGPIPE`, as the `write` of std's sockets does.
#[inline]
pub(super) fn send(socket: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    let (data, length) = (buffer.as_ptr().cast(), buffer.len());
    // SAFETY: the socket is open while it is borrowed, and the kernel reads no more bytes than the length.
    let count = unsafe { libc::send(socket.as_raw_fd(), data, length, SEND) };
    counted(count)
}

#[inline]
fn counted(count: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn take(
    accept: impl FnOnce(*mut libc::sockaddr, *mut libc::socklen_t) -> RawFd,
) -> io::Result<(OwnedFd, SockAddr)> {
    // SAFETY: if the call succeeds, it initializes the address; otherwise an error is returned and the address is not
    // read.
    let (fd, address) = unsafe {
        SockAddr::try_init(|storage, length| match accept(storage.cast(), length) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(fd),
        })
    }?;
    // SAFETY: the call has just created this descriptor, and it has no other owner.
    Ok((unsafe { OwnedFd::from_raw_fd(fd) }, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    type AcceptFn = fn(BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)>;

    #[test]
    fn an_accepted_socket_does_not_block_and_is_closed_on_exec() {
        for accept in [accept_one as AcceptFn, accept_then_flags] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (fd, address) = accept(listener.as_fd()).unwrap();
            assert_eq!(address.as_socket(), Some(client.local_addr().unwrap()));
            assert!(socket2::SockRef::from(&fd).nonblocking().unwrap());
            // SAFETY: the descriptor is open.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags, libc::FD_CLOEXEC);
        }
    }

    #[test]
    fn an_empty_queue_keeps_its_errno() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(accept(&listener).unwrap_err().raw_os_error(), Some(libc::EAGAIN));
    }
}
