//! The system calls that neither std nor socket2 makes in the way wanted here.
#![expect(unsafe_code, reason = "accept4, recv and send; each one on memory owned or borrowed here")]

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

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
        // Emulated and very old kernels.
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => accept_then_flags(listener),
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
    // SAFETY: the socket is open while it is borrowed, and the kernel writes no more than the length.
    let count = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    counted(count)
}

/// Puts as much on its way as there is room for, as the `write` of std's sockets does: without `SIGPIPE`.
#[inline]
pub(super) fn send(socket: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    let (data, length) = (buffer.as_ptr().cast(), buffer.len());
    // SAFETY: the socket is open while it is borrowed, and the kernel reads no more than the length.
    let count = unsafe { libc::send(socket.as_raw_fd(), data, length, libc::MSG_NOSIGNAL) };
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
