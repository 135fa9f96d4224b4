//! [`AsyncFd`] and what belongs to it, where tokio has them. They are those of [`net`](crate::net).
//!
//! # Examples
//!
//! ```
//! use runtime::io::unix::AsyncFd;
//!
//! let (stream, _peer) = std::os::unix::net::UnixStream::pair()?;
//! stream.set_nonblocking(true)?;
//! let stream = AsyncFd::new(stream)?;
//! # std::io::Result::Ok(())
//! ```

#[doc(no_inline)]
pub use crate::net::{AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError};

/// As it was called earlier.
#[doc(hidden)]
#[deprecated(note = "use `AsyncFdRegisterError`")]
pub type AsyncFdTryNewError<T> = AsyncFdRegisterError<T>;
