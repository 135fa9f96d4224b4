//! The end of a pipe that writes.

use super::end::{self, End};
use crate::net::methods::{ready_method, write_methods};
use crate::net::transfer::async_write;
use crate::runtime::reactor::Direction;
use crate::runtime::registered::Registered;
use std::fmt;
use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The end of a pipe that writes.
///
/// It is written by [`AsyncWriteExt`](crate::io::AsyncWriteExt), also by shared reference. Nothing is
/// buffered here, so flushing does nothing; and nothing but dropping it ends the stream, so closing does
/// nothing either. Up to `PIPE_BUF` bytes (4096 on Linux, at least 512) are written as a whole, not mixed with
/// what others write to the same pipe.
///
/// Once nobody can read any more, a write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe), and raises
/// [a signal](super::pipe#the-signal); one that waits for room is woken, and fails likewise.
///
/// # Examples
///
/// ```
/// use runtime::io::AsyncWriteExt;
/// use runtime::net::unix::pipe;
///
/// # runtime::block_on(async {
/// let (mut sender, receiver) = pipe::pipe()?;
/// sender.write_all(b"is kept in the pipe").await?;
/// drop(receiver);
/// let error = sender.write_all(b"for nobody").await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct Sender {
    io: Registered<End<PipeWriter>>,
}

impl Sender {
    /// Of an end that does not block.
    pub(super) fn of(pipe: PipeWriter, is_stream: bool) -> Sender {
        Sender { io: Registered::new(End { pipe, is_stream }) }
    }

    /// Takes the writing end of a pipe from elsewhere. It is made non-blocking, for all who share the
    /// open file.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe, or not opened for
    /// writing; and those of fcntl(2).
    pub fn from_file(file: File) -> io::Result<Sender> {
        Sender::from_owned_fd(file.into())
    }

    /// As [`from_file`](Sender::from_file), of a descriptor.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Sender::from_file).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::AsyncWriteExt;
    /// use runtime::net::unix::pipe;
    /// use std::process::{Command, Stdio};
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    /// let input = child.stdin.take().expect("it is piped");
    /// let mut sender = pipe::Sender::from_owned_fd(input.into())?;
    /// sender.write_all(b"hello").await?;
    /// drop(sender);
    /// assert!(child.wait()?.success());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Sender> {
        let fd = end::check(fd, libc::O_WRONLY)?;
        end::set_blocking(&fd, false)?;
        Sender::from_owned_fd_unchecked(fd)
    }

    /// Takes a file as it is, unchecked. It must not block already; if it does, so does the loop.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn from_file_unchecked(file: File) -> io::Result<Sender> {
        Sender::from_owned_fd_unchecked(file.into())
    }

    /// As [`from_file_unchecked`](Sender::from_file_unchecked), of a descriptor.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<Sender> {
        Ok(Sender::of(fd.into(), false))
    }

    /// Tries a system call of one's own on the pipe, without waiting.
    ///
    /// It is not called while the pipe is known not to be ready. When it says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), that is remembered: it must not say so unless the
    /// system did.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the pipe is not ready, and those of the call.
    pub fn try_io<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.io.try_io(Direction::Write, |_| operation())
    }

    /// Gives the descriptor, in no runtime's care any more, for one who expects it to block: a child
    /// process, or another thread.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2).
    pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
        let fd = self.into_nonblocking_fd()?;
        end::set_blocking(&fd, true)?;
        Ok(fd)
    }

    /// Gives the descriptor as it is, in no runtime's care any more.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
        Ok(self.io.into_inner().pipe.into())
    }
}

write_methods! {
    Sender
}

ready_method! {
    Sender
}

async_write! {
    Sender: sender => sender.io, sender.close();
    &Sender: sender => sender.io, sender.close();
}

impl Sender {
    /// There is no half of it to close.
    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.io.get().pipe).finish()
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsRawFd for Sender {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
