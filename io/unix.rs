//! [`AsyncFd`] and its guards, under the path that they have in tokio. These are the same items as in
//! [`net`](crate::net).
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

/// The earlier name of [`AsyncFdRegisterError`] in tokio.
#[doc(hidden)]
#[deprecated(note = "use `AsyncFdRegisterError`")]
pub type AsyncFdTryNewError<T> = AsyncFdRegisterError<T>;
