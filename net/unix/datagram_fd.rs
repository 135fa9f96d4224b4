//! The descriptor of a Unix datagram socket: its system calls, and a flag that no further datagram can arrive.

use super::addr::SocketAddr;
use crate::net::datagram::Packets;
use crate::net::sys;
use socket2::SockAddr;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The socket itself, and a flag for reading that has been shut down. In this case Linux wakes the waiting tasks, but
/// then returns `EAGAIN` for a datagram socket in non-blocking mode, although nothing will ever be received.
pub(super) struct DatagramFd {
    pub(super) socket: std::os::unix::net::UnixDatagram,
    is_shut: AtomicBool,
}

impl DatagramFd {
    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // Set the flag before the call, which wakes the tasks that read it.
        let was_shut = self.is_shut.fetch_or(how != Shutdown::Write, Relaxed);
        let result = self.socket.shutdown(how);
        if result.is_err() {
            self.is_shut.store(was_shut, Relaxed);
        }
        result
    }

    pub(super) fn send_to(&self, data: &[u8], to: &SockAddr) -> io::Result<usize> {
        sys::send_to(self.as_fd(), data, to)
    }

    /// Returns `true` if an error means that nothing more will be received.
    fn is_end(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::WouldBlock && self.is_shut.load(Relaxed)
    }

    /// Concludes a receive: at the end, it has received 0 bytes.
    fn or_end(&self, received: io::Result<usize>) -> io::Result<usize> {
        match received {
            Err(error) if self.is_end(&error) => Ok(0),
            received => received,
        }
    }

    /// Concludes a receive with the address of the sender: at the end, it is unnamed.
    fn or_end_from(&self, received: io::Result<(usize, SockAddr)>) -> io::Result<(usize, SocketAddr)> {
        match received {
            Err(error) if self.is_end(&error) => Ok((0, unnamed()?)),
            received => {
                let (count, sender) = received?;
                Ok((count, sender_address(&sender)?))
            }
        }
    }
}

/// Returns the address of a socket without a name.
fn unnamed() -> io::Result<SocketAddr> {
    SocketAddr::of_path(Path::new(""))
}

/// Converts the sender's address. A path that fills the whole address is refused by std: then the address is unnamed,
/// so that the datagram is not lost.
fn sender_address(sender: &SockAddr) -> io::Result<SocketAddr> {
    SocketAddr::from_kernel(sender).or_else(|_| unnamed())
}

impl Packets for DatagramFd {
    type Std = std::os::unix::net::UnixDatagram;
    type Address = SocketAddr;

    fn of_std(socket: std::os::unix::net::UnixDatagram) -> DatagramFd {
        DatagramFd { socket, is_shut: AtomicBool::new(false) }
    }

    fn into_std(self) -> std::os::unix::net::UnixDatagram {
        self.socket
    }

    /// Sends without `SIGPIPE`, unlike std's method, which calls write(2) and raises it where it is not ignored.
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        sys::send(self.as_fd(), data)
    }

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.or_end(sys::recv(self.as_fd(), buffer))
    }

    fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.or_end_from(sys::recv_from(self.as_fd(), buffer))
    }

    #[cfg(feature = "tokio-io")]
    fn recv_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<usize> {
        self.or_end(sys::recv_uninit(self.as_fd(), room))
    }

    #[cfg(feature = "tokio-io")]
    fn recv_from_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<(usize, SocketAddr)> {
        self.or_end_from(sys::recv_from_uninit(self.as_fd(), room))
    }
}

impl AsFd for DatagramFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
