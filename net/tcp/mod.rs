//! TCP: the halves of a [`TcpStream`](super::TcpStream).
//!
//! A stream can be split into a reading and a writing half. [`TcpStream::split`](super::TcpStream::split) borrows the
//! stream and costs nothing. [`TcpStream::into_split`](super::TcpStream::into_split) returns two owned halves, which
//! can be moved to two tasks.

mod connect;
#[cfg(not(target_os = "openbsd"))]
mod keepalive;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
pub(super) mod listener;
mod options;
mod race;
mod readiness;
pub(super) mod socket;
mod socket_options;
mod split;
mod split_owned;
pub(super) mod stream;
// macOS is the only system of Apple that has this option.
#[cfg(any(not(target_vendor = "apple"), target_os = "macos"))]
mod traffic_class;

pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
