//! TCP: the halves of a [`TcpStream`](super::TcpStream).
//!
//! A stream can be split into a reading and a writing half. [`TcpStream::split`](super::TcpStream::split) borrows the
//! stream and costs nothing. [`TcpStream::into_split`](super::TcpStream::into_split) returns two owned halves, which
//! can be moved to two tasks.

mod connect;
#[cfg(not(target_os = "openbsd"))]
mod keepalive;
pub(super) mod listener;
mod options;
mod race;
mod readiness;
pub(super) mod socket;
mod socket_options;
mod split;
pub(super) mod stream;

pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
