//! The end of a pipe that reads.

use super::end::End;
use super::methods::end_methods;
use crate::net::methods::{read_methods, ready_method};
use crate::net::transfer::async_read;
use crate::runtime::io::registered::Registered;
use std::io::PipeReader;

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

end_methods! {
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
    Receiver of PipeReader, Read, O_RDONLY, "reading"
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
