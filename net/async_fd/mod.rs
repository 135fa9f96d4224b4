//! Any descriptor that the kernel can report on, made awaitable.
//!
//! Here is what is done by a shared reference, as it should be wherever it can: then the descriptor
//! stays registered. `exclusive.rs` has the rest.

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

/// Any descriptor that the kernel can report on: a socket of another library, a pipe, an eventfd, a
/// pidfd, an inotify queue, a device.
///
/// The descriptor has to be non-blocking already, if it is read or written at all: this type does
/// not change it, as it may be shared with others. While the kernel reports on it, it has to stay
/// the same, too: so [`get_mut`](AsyncFd::get_mut) takes it out of the kernel's care first, and it
/// is registered anew for the next wait. Where `&T` is enough, use that: `Read` and `Write` of std's
/// files and sockets are there for `&File` and the like. Whoever implements [`AsFd`] by hand must always give the
/// same descriptor.
///
/// To wait for readiness and then make the system call, there are two ways: [`async_io`] does it
/// all; [`readable`] and [`writable`] give a *guard*, on which
/// [`try_io`](AsyncFdReadyGuard::try_io) makes the call, or which one
/// [clears](AsyncFdReadyGuard::clear_ready) after having found nothing. Without the one or the other
/// the descriptor counts as ready from its first event on.
///
/// An error counts as readiness of both sides. Where no read or write collects it, as with a socket's queue
/// of errors (`IP_RECVERR`, see ip(7)), the operation should. Otherwise what stays there wakes the waiting tasks with
/// each new error if the [selector](crate::selector) is edge-triggered. With a level-triggered one it wakes them
/// again and again while they wait: all the time for 0.1 ms, then ever more seldom, up to a hundred times a second.
/// Then they hear of other events late, by at most the time that they have waited already, and 10 ms.
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
    /// Takes a descriptor, and registers it if a runtime is entered on this thread; otherwise that
    /// is left to the first wait.
    ///
    /// The descriptor has to be non-blocking for as long as it is read and written here. Duplicates share that: if
    /// one of them is made blocking elsewhere, a call that finds nothing to do blocks the loop. On a socket, recv(2)
    /// and send(2) with `MSG_DONTWAIT` do not.
    ///
    /// # Errors
    ///
    /// Returns the errors of registration: `EPERM` if the descriptor cannot be waited for, as it is of a regular file
    /// or a directory; `EEXIST` if it is registered with this runtime already. Use a duplicate then.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        Ok(AsyncFd::try_new(inner)?)
    }

    /// As [`new`](AsyncFd::new). The interest is a promise about which sides will be waited for; it
    /// changes nothing here, since both are watched at the price of one.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](AsyncFd::new).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn with_interest(inner: T, _interest: Interest) -> io::Result<AsyncFd<T>> {
        AsyncFd::new(inner)
    }

    /// As [`new`](AsyncFd::new), with an error that gives the descriptor back.
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

    /// As [`try_new`](AsyncFd::try_new), and [`with_interest`](AsyncFd::with_interest).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](AsyncFd::new).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn try_with_interest(inner: T, _interest: Interest) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_new(inner)
    }

    /// As [`try_new`](AsyncFd::try_new), by the name of tokio's unsafe function. This one is safe: the
    /// type says that it has a descriptor, and it cannot be exchanged behind the kernel's back.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](AsyncFd::new).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn register(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::try_new(inner)
    }

    /// As [`register`](AsyncFd::register), and [`with_interest`](AsyncFd::with_interest).
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

    /// What was given to [`new`](AsyncFd::new).
    pub fn get_ref(&self) -> &T {
        self.io.get()
    }

    /// Deregisters the descriptor, and gives it back.
    pub fn into_inner(self) -> T {
        self.io.into_inner()
    }

    /// Waits until there is something to read, the other end is closed, or there is an error.
    ///
    /// Several calls may wait at once. Before the first event the descriptor does not count as
    /// ready, so a pidfd is readable when its process has ended, and not sooner. It still may be
    /// that somebody else was first: only the system call shows.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the readiness is still there.
    ///
    /// # Errors
    ///
    /// Returns the errors of registration, see [`new`](AsyncFd::new), and [`ResourceBusy`](io::ErrorKind::ResourceBusy)
    /// if two runtimes wait for the same direction of the descriptor at once.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
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

    /// Waits until there is room to write, or an error. Otherwise as [`readable`](AsyncFd::readable).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the readiness is still there.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until a side of interest is ready; the guard tells which. Otherwise as
    /// [`readable`](AsyncFd::readable).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the readiness is still there.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
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
    /// Panics if no runtime is entered on this thread.
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
    /// Panics if no runtime is entered on this thread.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let event = ready!(self.io.poll_ready(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, self.io.found(None, Some(event)))))
    }

    /// Tries a system call once, without waiting.
    ///
    /// It is not called while all sides of interest are known not to be ready. When it says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), that is remembered: it must not say so unless the
    /// system did.
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

    /// Makes a system call, as soon as it does not say [`WouldBlock`](io::ErrorKind::WouldBlock) any
    /// more; that it must not say unless the system did. It is tried at once: this is the quickest
    /// way if there is often something ready.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, if a call that says [`WouldBlock`](io::ErrorKind::WouldBlock) has done nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of the call, and the errors of [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
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
