//! The writing end of a pipe.

use super::end::End;
use super::methods::end_methods;
use crate::net::methods::{ready_method, write_methods};
use crate::net::stream_traits::async_write;
use crate::runtime::io::registered::Registered;
use std::io::{self, PipeWriter};

/// The writing end of a pipe.
///
/// Write to it with [`AsyncWriteExt`](crate::io::AsyncWriteExt), also by shared reference. Nothing is buffered here, so
/// flushing does nothing. Only dropping the sender ends the stream, so closing does nothing either. Up to `PIPE_BUF`
/// bytes (4096 on Linux, at least 512) are written as a whole, not mixed with the bytes of other writers.
///
/// When there is no reader any more, a write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe), and raises [a
/// signal](super::pipe#the-signal). A write that waits for room is woken, and fails in the same way.
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

end_methods! {
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
    Sender of PipeWriter, Write, O_WRONLY, "writing"
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
    /// Does nothing, since a pipe has no direction to shut down.
    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}
