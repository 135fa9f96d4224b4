//! What goes wrong: at registration, and with a readiness that was none.

use std::error::Error;
use std::fmt;
use std::io;

/// A descriptor could not be registered, and comes back with the reason. From [`AsyncFd::try_new`]
/// and the like.
///
/// [`AsyncFd::try_new`]: super::AsyncFd::try_new
pub struct AsyncFdRegisterError<T> {
    inner: T,
    cause: io::Error,
}

impl<T> AsyncFdRegisterError<T> {
    pub(super) fn new(inner: T, cause: io::Error) -> AsyncFdRegisterError<T> {
        AsyncFdRegisterError { inner, cause }
    }

    /// What was to be registered, and why it could not be.
    pub fn into_parts(self) -> (T, io::Error) {
        (self.inner, self.cause)
    }
}

impl<T> fmt::Display for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<T> fmt::Debug for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdRegisterError").field("cause", &self.cause).finish_non_exhaustive()
    }
}

impl<T> Error for AsyncFdRegisterError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl<T> From<AsyncFdRegisterError<T>> for io::Error {
    fn from(error: AsyncFdRegisterError<T>) -> io::Error {
        error.cause
    }
}

/// A system call found that the descriptor was not ready. From [`AsyncFdReadyGuard::try_io`].
///
/// [`AsyncFdReadyGuard::try_io`]: super::AsyncFdReadyGuard::try_io
#[derive(Debug)]
pub struct TryIoError(());

impl TryIoError {
    pub(super) fn new() -> TryIoError {
        TryIoError(())
    }
}

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor was not ready after all")
    }
}

impl Error for TryIoError {}
