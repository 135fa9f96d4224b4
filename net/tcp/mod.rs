//! TCP: the halves of a [`TcpStream`](super::TcpStream).
//!
//! A stream can be split into a reading and a writing half: by reference with
//! [`TcpStream::split`](super::TcpStream::split), at no cost; or with
//! [`TcpStream::into_split`](super::TcpStream::into_split) into two that are owned, for two tasks.

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
#[cfg(feature = "tokio-io")]
mod spare;
mod split;
mod split_owned;
pub(super) mod stream;
// Of Apple's systems only macOS has it.
#[cfg(any(not(target_vendor = "apple"), target_os = "macos"))]
mod traffic_class;

pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
