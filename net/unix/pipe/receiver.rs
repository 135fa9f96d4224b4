//! The reading end of a pipe.

use super::end::End;
use super::methods::end_methods;
use crate::net::methods::{read_methods, ready_method};
use crate::net::stream_traits::async_read;
use crate::runtime::io::registered::Registered;
use std::io::PipeReader;

/// The reading end of a pipe.
///
/// Read it with [`AsyncReadExt`](crate::io::AsyncReadExt), also by shared reference. Reads return the end of the stream
/// when there is no writer any more. A pipe with a name may be opened for writing again, and then reads return more
/// bytes.
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
    io: Registered<End<PipeReader>>,
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
