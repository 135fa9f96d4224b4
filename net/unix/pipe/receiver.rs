//! The end of a pipe that reads.

use super::end::{self, End};
use crate::net::methods::{read_methods, ready_method};
use crate::net::transfer::async_read;
use crate::runtime::reactor::Direction;
use crate::runtime::registered::Registered;
use std::fmt;
use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The end of a pipe that reads.
///
/// It is read by [`AsyncReadExt`](crate::io::AsyncReadExt), also by shared reference. The end of the stream
/// is there when nobody can write any more. If the pipe has a name it may be opened for writing again, and
/// then reading goes on.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::unix::pipe;
///
/// # runtime::block_on(async {
/// let (mut sender, mut receiver) = pipe::pipe()?;
/// sender.write_all(b"is kept in the pipe").await?;
/// drop(sender);
/// let mut text = String::new();
/// receiver.read_to_string(&mut text).await?;
/// assert_eq!(text, "is kept in the pipe");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct Receiver {
    pub(super) io: Registered<End<PipeReader>>,
}

impl Receiver {
    /// Of an end that does not block.
    pub(super) fn of(pipe: PipeReader, is_stream: bool) -> Receiver {
        Receiver { io: Registered::new(End { pipe, is_stream }) }
    }

    /// Takes the reading end of a pipe from elsewhere. It is made non-blocking, for all who share the
    /// open file.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe, or not opened for
    /// reading; and those of fcntl(2).
    pub fn from_file(file: File) -> io::Result<Receiver> {
        Receiver::from_owned_fd(file.into())
    }

    /// As [`from_file`](Receiver::from_file), of a descriptor.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Receiver::from_file).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::AsyncReadExt;
    /// use runtime::net::unix::pipe;
    /// use std::process::{Command, Stdio};
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// let output = child.stdout.take().expect("it is piped");
    /// let mut receiver = pipe::Receiver::from_owned_fd(output.into())?;
    /// let mut text = String::new();
    /// receiver.read_to_string(&mut text).await?;
    /// assert_eq!(text, "hello\n");
    /// child.wait()?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Receiver> {
        let fd = end::check(fd, libc::O_RDONLY)?;
        end::set_blocking(&fd, false)?;
        Receiver::from_owned_fd_unchecked(fd)
    }

    /// Takes a file as it is, unchecked. It must not block already; if it does, so does the loop.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn from_file_unchecked(file: File) -> io::Result<Receiver> {
        Receiver::from_owned_fd_unchecked(file.into())
    }

    /// As [`from_file_unchecked`](Receiver::from_file_unchecked), of a descriptor.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<Receiver> {
        Ok(Receiver::of(fd.into(), false))
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
        self.io.try_io(Direction::Read, |_| operation())
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

read_methods! {
    Receiver
}

ready_method! {
    Receiver
}

async_read! {
    Receiver: receiver => receiver.io;
    &Receiver: receiver => receiver.io;
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.io.get().pipe).finish()
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsRawFd for Receiver {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
