//! Unix sockets and pipes: the types that belong to [`UnixStream`](super::UnixStream),
//! [`UnixListener`](super::UnixListener) and [`UnixDatagram`](super::UnixDatagram), and [`pipe`].
//!
//! The name of a Unix socket ([`SocketAddr`]) is a path in the file system, or on Linux an *abstract* name, for which
//! there is no file. All functions that take a path accept an abstract name there, as a path that begins with a zero
//! byte. The kernel reports the credentials of the peer: [`UCred`].
//!
//! A stream can be split like a TCP stream, into two halves that borrow it or into two owned halves.

mod addr;
mod connect;
mod cred;
pub(super) mod datagram;
mod datagram_fd;
mod full_queue;
pub(super) mod listener;
pub mod pipe;
pub(super) mod socket;
mod split;
pub(super) mod stream;
mod stream_fd;
mod sys;

pub use addr::SocketAddr;
pub use cred::{UCred, gid_t, pid_t, uid_t};
pub use listener::Incoming;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
