//! TCP: the halves of a [`TcpStream`](super::TcpStream).
//!
//! A stream can be split into a reading and a writing half: by reference with
//! [`TcpStream::split`](super::TcpStream::split), at no cost; or with
//! [`TcpStream::into_split`](super::TcpStream::into_split) into two that are owned, for two tasks.

mod connect;
pub(super) mod listener;
mod options;
mod readiness;
mod split;
mod split_owned;
pub(super) mod stream;

pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
