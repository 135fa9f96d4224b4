//! The methods of [`AsyncFd`] that take an exclusive reference.
//!
//! `&mut T` allows `*inner = other`. The old descriptor is then closed, and its number is given to the next descriptor
//! that is opened anywhere in the process. A registration that is left would then be one of a stranger, and to
//! deregister it would remove the stranger's own registration. So the descriptor is deregistered *before* the reference
//! is returned, and whatever is in its place is registered for the next wait. This costs two calls to the kernel each
//! time that the task has to wait. No readiness is lost, since the kernel reports at registration what is ready.

use super::AsyncFd;
use super::guard::AsyncFdReadyMutGuard;
use crate::runtime::io::interest::Interest;
use crate::runtime::io::reactor::Direction;
use crate::task::coop;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

impl<T: AsFd> AsyncFd<T> {
    /// Deregisters the descriptor and returns an exclusive reference to it. It may be replaced by another one, and is
    /// registered anew for the next wait.
    ///
    /// Tasks that wait by [`poll_read_ready`](AsyncFd::poll_read_ready) or
    /// [`poll_write_ready`](AsyncFd::poll_write_ready) are woken, so that they poll again. With
    /// [`get_ref`](AsyncFd::get_ref), the descriptor stays registered, which is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::net::AsyncFd;
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// # runtime::block_on(async {
    /// let (first, _peer) = UnixStream::pair()?;
    /// let (second, mut peer) = UnixStream::pair()?;
    /// let mut stream = AsyncFd::new(first)?;
    /// *stream.get_mut() = second;
    /// peer.write_all(b"hello")?;
    /// assert!(stream.readable().await?.ready().is_readable());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.io.get_mut()
    }

    /// Waits until there is something to read, and returns a guard with exclusive access to the descriptor. See
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
    /// # let mut reader = AsyncFd::new(reader)?;
    /// # writer.write_all(b"hello")?;
    /// # let mut buffer = [0; 16];
    /// let count = loop {
    ///     let mut guard = reader.readable_mut().await?;
    ///     if let Ok(result) = guard.try_io(|reader| reader.get_mut().read(&mut buffer)) {
    ///         break result?;
    ///     }
    /// };
    /// # assert_eq!(&buffer[..count], b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until there is room to write, and returns a guard with exclusive access to the descriptor. See
    /// [`writable`](AsyncFd::writable).
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
    /// Panics if no runtime is entered on this thread.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Waits until a direction of interest is ready, and returns a guard with exclusive access to the descriptor. See
    /// [`ready`](AsyncFd::ready).
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
    /// Panics if no runtime is entered on this thread.
    pub async fn ready_mut(&mut self, interest: Interest) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let found = self.io.ready_for(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, found))
    }

    /// Polls for read readiness, and returns a guard with exclusive access to the descriptor. See
    /// [`poll_read_ready`](AsyncFd::poll_read_ready).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    pub fn poll_read_ready_mut(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'_, T>>> {
        let event = ready!(self.io.poll_ready(cx, Direction::Read))?;
        let found = self.io.found(Some(event), None);
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, found)))
    }

    /// Polls for write readiness, and returns a guard with exclusive access to the descriptor. See
    /// [`poll_write_ready`](AsyncFd::poll_write_ready).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`readable`](AsyncFd::readable).
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    pub fn poll_write_ready_mut(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'_, T>>> {
        let event = ready!(self.io.poll_ready(cx, Direction::Write))?;
        let found = self.io.found(None, Some(event));
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, found)))
    }

    /// Tries a system call once, with exclusive access to the descriptor, which is deregistered as by
    /// [`get_mut`](AsyncFd::get_mut). See [`try_io`](AsyncFd::try_io).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_io`](AsyncFd::try_io).
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        operation: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        // This returns `WouldBlock` while the descriptor is known not to be ready.
        self.io.try_io_for(interest, |_| Ok(()))?;
        operation(self.io.get_mut())
    }

    /// Repeats a system call until it does not return [`WouldBlock`](io::ErrorKind::WouldBlock), with exclusive access
    /// to the descriptor, which is deregistered as by [`get_mut`](AsyncFd::get_mut). See
    /// [`async_io`](AsyncFd::async_io).
    ///
    /// Pass only the direction that the call waits for. The call is repeated when either of the given directions is
    /// ready, so with a direction that is always ready it would be repeated without a pause.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe if an `operation` that returns [`WouldBlock`](io::ErrorKind::WouldBlock) has done
    /// nothing.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`async_io`](AsyncFd::async_io).
    ///
    /// # Panics
    ///
    /// Panics if the call has to wait and no runtime is entered on this thread.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        coop::consume_budget().await;
        loop {
            match operation(self.io.get_mut()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.io.ready_for(interest).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}
