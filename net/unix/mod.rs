//! Unix sockets and pipes: what belongs to [`UnixStream`](super::UnixStream),
//! [`UnixListener`](super::UnixListener) and [`UnixDatagram`](super::UnixDatagram), and [`pipe`].
//!
//! A Unix socket is named by a path in the file system, or on Linux by an *abstract* name, which no
//! file stands for: [`SocketAddr`]. Wherever a path is asked for, one that begins with a zero byte is an
//! abstract name there. The kernel vouches for who is at the other end: [`UCred`].
//!
//! A stream can be split as a TCP stream can be, by reference or into two halves that are owned.

mod addr;
mod connect;
mod connection;
mod cred;
pub(super) mod datagram;
mod full_queue;
pub(super) mod listener;
pub mod pipe;
pub(super) mod socket;
#[cfg(feature = "tokio-io")]
mod spare;
mod split;
mod split_owned;
pub(super) mod stream;
mod sys;

pub use addr::SocketAddr;
pub use cred::{UCred, gid_t, pid_t, uid_t};
pub use listener::Incoming;
pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
