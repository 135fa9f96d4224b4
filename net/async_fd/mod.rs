//! `AsyncFd` makes any descriptor awaitable whose readiness the kernel can report.
//!
//! This file has the methods that take a shared reference. They should be preferred, since the descriptor then stays
//! registered. The methods that take an exclusive reference are in `exclusive.rs`.

mod error;
mod exclusive;
mod guard;

pub use error::{AsyncFdRegisterError, TryIoError};
pub use guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};

use crate::runtime::context;
use crate::runtime::io::interest::Interest;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use crate::task::origin::Origin;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};

/// A wrapper that makes any descriptor awaitable whose readiness the kernel can report: a socket of another library, a
/// pipe, an eventfd, a pidfd, an inotify queue, a device.
///
/// If the descriptor is read or written, it must be in non-blocking mode already. This type does not change the mode,
/// since the descriptor may be shared. A registered descriptor must not be replaced by another one, so
/// [`get_mut`](AsyncFd::get_mut) deregisters it first, and the next wait registers it again. Use
/// [`get_ref`](AsyncFd::get_ref) where a shared reference is enough: `Read` and `Write` are implemented for references
/// to std's files and sockets, such as `&File`. A manual implementation of [`AsFd`] must always return the same
/// descriptor.
///
/// There are two ways to wait for readiness and then make a system call. [`async_io`] does both. [`readable`] and
/// [`writable`] return a *guard*: either [`try_io`](AsyncFdReadyGuard::try_io) on this guard makes the call, or the
/// caller [clears](AsyncFdReadyGuard::clear_ready) the guard after it has found nothing. If neither is done, the
/// descriptor counts as ready from its first event on, and later waits return at once.
///
/// An error counts as readiness of both directions. Some errors are not taken away by a read or a write, for example
/// those in the error queue of a socket (`IP_RECVERR`, see ip(7)). The `operation` that the caller passes to `async_io`
/// or `try_io` should take them away. If it leaves such an error there and the [selector](crate::selector) is
/// edge-triggered, the waiting tasks are woken once for each new error. If the selector is level-triggered, they are
/// woken again and again while they wait: continuously for 0.1 ms, and then at growing intervals of up to 10 ms. Other
/// events of the descriptor then reach them late, by at most the time that they have waited already, and by at most 10
/// ms.
///
/// [`async_io`]: AsyncFd::async_io
/// [`readable`]: AsyncFd::readable
/// [`writable`]: AsyncFd::writable
///
/// # Examples
///
/// ```
/// use runtime::io::Interest;
/// use runtime::net::AsyncFd;
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// # runtime::block_on(async {
/// let (reader, mut writer) = UnixStream::pair()?;
/// reader.set_nonblocking(true)?;
/// let reader = AsyncFd::new(reader)?;
///
/// writer.write_all(b"hello")?;
/// let mut buffer = [0; 16];
/// let count = reader.async_io(Interest::READABLE, |mut reader| reader.read(&mut buffer)).await?;
/// assert_eq!(&buffer[..count], b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct AsyncFd<T: AsFd> {
    io: Registered<T>,
}

impl<T: AsFd> AsyncFd<T> {
    /// Wraps a descriptor, and registers it if a runtime is entered on this thread. Otherwise the first wait registers
    /// it.
    ///
    /// The descriptor must be in non-blocking mode for as long as it is read and written through this type. It shares
    /// the mode with its duplicates: if one of them is set to blocking mode, a call that finds nothing to do blocks the
    /// loop. On a socket, recv(2) and send(2) with `MSG_DONTWAIT` do not block.
    ///
    /// # Errors
    ///
    /// Returns the errors of registration: `EPERM` if the system cannot report readiness for the descriptor, since it
    /// is a regular file or a directory; `EEXIST` if it is already registered with this runtime. Use a duplicate in
    /// this case.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        Ok(AsyncFd::try_new(inner)?)
    }

    /// Wraps a descriptor; see [`new`](AsyncFd::new). The interest names the directions that the caller is going to
    /// wait for. It has no effect: both directions are always watched, since this costs no more than one of them.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](AsyncFd::new).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn with_interest(inner: T, _interest: Interest) -> io::Result<AsyncFd<T>> {
        AsyncFd::new(inner)
    }

    /// Wraps a descriptor like [`new`](AsyncFd::new), but returns an error that contains the descriptor.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](AsyncFd::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::net::AsyncFd;
    ///
    /// # runtime::block_on(async {
    /// let file = std::fs::File::open("Cargo.toml")?;
    /// let fallback = match AsyncFd::try_new(file) {
    ///     Ok(_) => None,
    ///     Err(refused) => Some(refused.into_parts().0), // a file is always ready: just read it
    /// };
    /// # #[cfg(target_os = "linux")]
    /// # if runtime::Handle::current().selector().to_string().starts_with("epoll") {
    /// assert!(fallback.is_some());
    /// # }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn try_new(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        let mut io = Registered::new(inner, Owner::AsyncFd);
        io.set_origin(Origin::caller());
        if context::is_entered()
            && let Err(cause) = io.register_now()
        {
            return Err(AsyncFdRegisterError::new(io.into_inner(), cause));
        }
        Ok(AsyncFd { io })
    }

    /// Wraps a descriptor like [`try_new`](AsyncFd::try_new), and ignores the interest like
    /// [`with_interest`](AsyncFd::with_interest).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](AsyncFd::new).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn try_with_interest(inner: T, _interest: Interest) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_new(inner)
    }

    /// Wraps a descriptor like [`try_new`](AsyncFd::try_new). It has the name of an unsafe function of tokio, but is
    /// safe: the type guarantees that there is a descriptor, and it cannot be replaced while it is registered.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](AsyncFd::new).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn register(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_new(inner)
    }

    /// Wraps a descriptor like [`register`](AsyncFd::register), and ignores the interest like
    /// [`with_interest`](AsyncFd::with_interest).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](AsyncFd::new).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn register_with_interest(
        inner: T,
        _interest: Interest,
    ) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_new(inner)
    }

    /// Returns the descriptor that was passed to [`new`](AsyncFd::new).
    pub fn get_ref(&self) -> &T {
        self.io.get()
    }

    /// Deregisters the descriptor and returns it.
    pub fn into_inner(self) -> T {
        self.io.into_inner()
    }

    /// Waits until there is something to read, the other end is closed, or there is an error.
    ///
    /// Several calls may wait at once. The descriptor does not count as ready before the first event, so a pidfd is
    /// readable only when its process has ended. Another caller may use the readiness first: only the system call shows
    /// whether something is left.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped does not take the readiness away.
    ///
    /// # Errors
    ///
    /// Returns the errors of registration, see [`new`](AsyncFd::new), and [`ResourceBusy`](io::ErrorKind::ResourceBusy)
    /// if two runtimes wait for the same direction of the descriptor at once.
    ///
    /// # Panics
    ///
    /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::net::AsyncFd;
    /// # use std::io::{Read, Write};
    /// # use std::os::unix::net::UnixStream;
    /// # runtime::block_on(async {
    /// # let (reader, mut writer) = UnixStream::pair()?;
    /// # reader.set_nonblocking(true)?;
    /// # let reader = AsyncFd::new(reader)?;
    /// # writer.write_all(b"hello")?;
    /// # let mut buffer = [0; 16];
    /// let count = loop {
    ///     let mut guard = reader.readable().await?;
    ///     if let Ok(result) = guard.try_io(|reader| reader.get_ref().read(&mut buffer)) {
    ///         break result?;
    ///     }
    /// };
    /// # assert_eq!(&buffer[..count], b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until there is room to write, or until there is an error. See [`readable`](AsyncFd::readable).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped does not take the readiness away.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until a direction of interest is ready, and returns a guard that tells which. See
    /// [`readable`](AsyncFd::readable).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped does not take the readiness away.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let found = self.io.ready_for(interest).await?;
        Ok(AsyncFdReadyGuard::new(self, found))
    }

    /// Polls for read readiness; see [`readable`](AsyncFd::readable). Only the waker passed to the latest call of this
    /// method is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let event = ready!(self.io.poll_ready(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, self.io.found(Some(event), None))))
    }

    /// Polls for write readiness; see [`writable`](AsyncFd::writable). Only the waker passed to the latest call of this
    /// method is woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let event = ready!(self.io.poll_ready(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, self.io.found(None, Some(event)))))
    }

    /// Tries a system call of the caller once, without waiting.
    ///
    /// `operation` is not called while all directions of interest are known not to be ready. If it returns
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), the readiness is cleared, so it must return this error only if the
    /// system call did.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is ready, and the errors of the call.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.try_io_for(interest, operation)
    }

    /// Repeats a system call until it returns anything but [`WouldBlock`](io::ErrorKind::WouldBlock), and waits for
    /// readiness in between. `operation` must return this error only if the system call did. The first call is made at
    /// once, so this is the fastest method if the descriptor is often ready.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe if an `operation` that returns [`WouldBlock`](io::ErrorKind::WouldBlock) has done
    /// nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of the call, and the errors of [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.async_io_for(interest, operation).await
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("inner", self.get_ref()).finish()
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
