//! What is done to a descriptor by an exclusive reference.
//!
//! `&mut T` allows `*inner = other`. The descriptor that was there is then closed, and its number
//! goes to the next one opened anywhere in the process; a registration that is left would be one of a
//! stranger, and deregistering it would take the stranger's away. So the registration is given up
//! *before* the reference is given out, and whatever is there then is registered for the next wait:
//! two calls to the kernel for each time that it had to wait. No readiness is lost thereby, since the
//! kernel reports what is ready at registration.

use super::AsyncFd;
use super::guard::AsyncFdReadyMutGuard;
use crate::runtime::io::interest::Interest;
use crate::runtime::io::reactor::Direction;
use crate::task::coop;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

impl<T: AsFd> AsyncFd<T> {
    /// What was given to [`new`](AsyncFd::new), not registered any more: it may be exchanged for
    /// another, and is registered anew for the next wait.
    ///
    /// Who waits for it by hand, see [`poll_read_ready`](AsyncFd::poll_read_ready), is woken to do so
    /// again. With [`get_ref`](AsyncFd::get_ref) it stays registered, which is quicker.
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

    /// As [`readable`](AsyncFd::readable), with a guard that has the descriptor for itself.
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

    /// As [`writable`](AsyncFd::writable), with a guard that has the descriptor for itself.
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
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// As [`ready`](AsyncFd::ready), with a guard that has the descriptor for itself.
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
    pub async fn ready_mut(&mut self, interest: Interest) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let found = self.io.ready_for(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, found))
    }

    /// As [`poll_read_ready`](AsyncFd::poll_read_ready), with a guard that has the descriptor for
    /// itself.
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

    /// As [`poll_write_ready`](AsyncFd::poll_write_ready), with a guard that has the descriptor for
    /// itself.
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

    /// As [`try_io`](AsyncFd::try_io), for a call that needs the descriptor for itself, and has it as
    /// [`get_mut`](AsyncFd::get_mut) gives it.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`try_io`](AsyncFd::try_io).
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        operation: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        // Says `WouldBlock` while that is known.
        self.io.try_io_for(interest, |_| Ok(()))?;
        operation(self.io.get_mut())
    }

    /// As [`async_io`](AsyncFd::async_io), for a call that needs the descriptor for itself, and has it
    /// as [`get_mut`](AsyncFd::get_mut) gives it.
    ///
    /// Name the one side that the call waits for: it is made again when either of those named is
    /// ready, and one that is ready all the time would have it made all the time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, if a call that says [`WouldBlock`](io::ErrorKind::WouldBlock) has done nothing.
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
