//! Pipes: bytes in one direction, between processes or within one.
//!
//! [`pipe`] creates a pipe without a name. A pipe with a name is a file (a *FIFO*, see fifo(7)), which mkfifo(3)
//! creates and [`OpenOptions`] opens. [`Sender::from_owned_fd`] and [`Receiver::from_owned_fd`] wrap pipes from
//! elsewhere, such as those of a child process.
//!
//! # The signal
//!
//! Writing to a pipe that has no reader any more fails with [`BrokenPipe`](std::io::ErrorKind::BrokenPipe), and also
//! raises `SIGPIPE`. There is no flag for writes to a pipe that prevents this. A Rust program ignores that signal from
//! its start. But it ends a program whose `main` is in another language, or that has restored the default.
//!
//! # Examples
//!
//! This reads the output of a child process:
//!
//! ```
//! use runtime::io::AsyncReadExt;
//! use runtime::net::unix::pipe;
//! use std::process::{Command, Stdio};
//!
//! # runtime::block_on(async {
//! let (sender, mut receiver) = pipe::pipe()?;
//! // A child expects its output to block.
//! let mut child = Command::new("echo").arg("hello").stdout(sender.into_blocking_fd()?).spawn()?;
//!
//! let mut text = String::new();
//! receiver.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello\n");
//! child.wait()?;
//! # std::io::Result::Ok(()) }).unwrap();
//! ```

mod end;
mod methods;
mod open;
mod receiver;
mod sender;

pub use open::OpenOptions;
pub use receiver::Receiver;
pub use sender::Sender;

use std::io;

/// Creates a pipe without a name.
///
/// Both ends are close-on-exec. To pass one to a child process, see [`Sender::into_blocking_fd`] and
/// [`Receiver::into_blocking_fd`].
///
/// # Errors
///
/// Returns an error if pipe(2) fails, such as `EMFILE`.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::unix::pipe;
///
/// # runtime::block_on(async {
/// let (mut sender, mut receiver) = pipe::pipe()?;
/// runtime::spawn(async move { sender.write_all(b"through the pipe").await });
///
/// let mut text = String::new();
/// receiver.read_to_string(&mut text).await?;
/// assert_eq!(text, "through the pipe");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[cfg_attr(debug_assertions, track_caller)]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = io::pipe()?;
    end::set_blocking(&reader, false)?;
    end::set_blocking(&writer, false)?;
    Ok((Sender::of(writer, true), Receiver::of(reader, true)))
}
