//! The system calls that neither std nor socket2 makes in the way wanted here.
//!
//! No receive and no send waits, whatever the descriptor says (`MSG_DONTWAIT`, see recv(2)). A socket is made
//! non-blocking, but its duplicates share that: one that is made blocking elsewhere would stop the loop.
#![expect(unsafe_code, reason = "accept4, recv, recvmsg and send; each one on memory owned or borrowed here")]

use socket2::{Domain, MaybeUninitSlice, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The flags of every receive.
pub(super) const RECEIVE: libc::c_int = libc::MSG_DONTWAIT;

/// The flags of every send.
pub(super) const SEND: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Makes a TCP socket that does not block and is closed on exec.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn socket(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

/// Makes a TCP socket that does not block and is closed on exec, for which macOS needs more calls.
/// Nor does it raise SIGPIPE (`SO_NOSIGPIPE`), which those that it accepts inherit.
#[cfg(target_vendor = "apple")]
pub(super) fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Takes one connection from a listener's queue, as a descriptor that is non-blocking and
/// close-on-exec, where there is accept4(2) from the start.
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (fd, address) = accept_one(listener.as_fd())?;
    // macOS has no address for a peer that is gone by now.
    let gone = || io::Error::from_raw_os_error(libc::ECONNABORTED);
    let address = address.as_socket().ok_or_else(gone)?;
    Ok((TcpStream::from(fd), address))
}

/// Takes one connection from the queue of a listener of any kind, likewise.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn accept_one(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    match accept_with_flags(listener) {
        // Emulated and very old kernels have no such call, and sandboxes say EPERM of what they do not
        // know. If it was a firewall's word on one connection, that is gone, and the next one is taken.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            accept_then_flags(listener)
        }
        accepted => accepted,
    }
}

/// Takes one connection from the queue of a listener of any kind, likewise.
#[cfg(target_vendor = "apple")]
pub(super) fn accept_one(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    accept_then_flags(listener)
}

#[cfg(not(target_vendor = "apple"))]
fn accept_with_flags(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the listener is open while it is borrowed, `storage` has the room that `length` says,
    // and the kernel sets both to the address of the peer.
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

/// Takes what has come, as the `read` of std's sockets does. That is two calls deep and not compiled
/// in line: of the 550 instructions of an echo, this spares 30.
#[inline]
pub(super) fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    recv_with(socket, uninit(buffer), RECEIVE)
}

/// Takes what has come into memory that need not be initialised.
#[cfg(feature = "tokio-io")]
#[inline]
pub(super) fn recv_uninit(socket: BorrowedFd<'_>, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    recv_with(socket, room, RECEIVE)
}

/// Copies what has come, and leaves it there.
pub(super) fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    recv_with(socket, uninit(buffer), RECEIVE | libc::MSG_PEEK)
}

#[inline]
fn recv_with(socket: BorrowedFd<'_>, room: &mut [MaybeUninit<u8>], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: the socket is open while it is borrowed, and the kernel writes no more than the length.
    let count = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
    counted(count)
}

/// Takes one datagram, and tells who sent it.
#[cfg(any(feature = "udp", feature = "unix"))]
#[inline]
pub(super) fn recv_from(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    recv_from_with(socket, buffer, RECEIVE)
}

/// Copies the next datagram, leaves it there, and tells who sent it.
#[cfg(feature = "udp")]
pub(super) fn peek_from(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    recv_from_with(socket, buffer, RECEIVE | libc::MSG_PEEK)
}

/// In line, so that an address of 128 bytes is not moved about.
#[cfg(any(feature = "udp", feature = "unix"))]
#[inline(always)]
fn recv_from_with(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: libc::c_int,
) -> io::Result<(usize, SockAddr)> {
    let (data, room) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the socket is open while it is borrowed, and the kernel writes no more than the lengths. The call
    // initialises the address if it succeeds, and otherwise an error comes back and the address is not looked at.
    unsafe {
        SockAddr::try_init(|storage, length| {
            counted(libc::recvfrom(socket.as_raw_fd(), data, room, flags, storage.cast(), length))
        })
    }
}

/// Sends one datagram to an address.
#[cfg(any(feature = "udp", feature = "unix"))]
#[inline]
pub(super) fn send_to(socket: BorrowedFd<'_>, buffer: &[u8], to: &SockAddr) -> io::Result<usize> {
    let (data, length) = (buffer.as_ptr().cast(), buffer.len());
    // SAFETY: the socket is open while it is borrowed, and the kernel reads no more than the lengths.
    let count = unsafe { libc::sendto(socket.as_raw_fd(), data, length, SEND, to.as_ptr().cast(), to.len()) };
    counted(count)
}

/// Takes what has come into several buffers, by recvmsg(2) without room for control messages. Tells the flags of
/// the message too.
pub(super) fn recv_vectored(
    socket: BorrowedFd<'_>,
    buffers: &mut [MaybeUninitSlice<'_>],
) -> io::Result<(usize, libc::c_int)> {
    // SAFETY: a structure of numbers and pointers, for which all zeros are a value: of nothing.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers.as_mut_ptr().cast();
    message.msg_iovlen = buffers.len() as _;
    // SAFETY: the socket is open while it is borrowed, and the kernel writes to what the buffers lend.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, RECEIVE) };
    Ok((counted(count)?, message.msg_flags))
}

/// Initialised memory, for a call that does not need that.
#[inline]
fn uninit(buffer: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the same bytes, of which the kernel makes none uninitialised.
    unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) }
}

/// Initialised buffers, likewise.
#[inline]
pub(super) fn uninit_slices<'a, 'b>(buffers: &'a mut [IoSliceMut<'b>]) -> &'a mut [MaybeUninitSlice<'b>] {
    let (slices, count) = (buffers.as_mut_ptr().cast(), buffers.len());
    // SAFETY: by their documentation both are an iovec, and the kernel makes nothing uninitialised.
    unsafe { std::slice::from_raw_parts_mut(slices, count) }
}

/// Puts as much on its way as there is room for, as the `write` of std's sockets does: without `SIGPIPE`.
#[inline]
pub(super) fn send(socket: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    let (data, length) = (buffer.as_ptr().cast(), buffer.len());
    // SAFETY: the socket is open while it is borrowed, and the kernel reads no more than the length.
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
    // SAFETY: the call initialises the address if it succeeds, and otherwise an error comes back
    // and the address is not looked at.
    let (fd, address) = unsafe {
        SockAddr::try_init(|storage, length| match accept(storage.cast(), length) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(fd),
        })
    }?;
    // SAFETY: the call has just made this descriptor, and nobody else has it.
    Ok((unsafe { OwnedFd::from_raw_fd(fd) }, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Accept = fn(BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)>;

    #[test]
    fn an_accepted_socket_does_not_block_and_is_closed_on_exec() {
        for accept in [accept_one as Accept, accept_then_flags] {
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
