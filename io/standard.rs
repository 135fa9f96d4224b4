//! Standard input, output and error, by readiness: no thread sits in a read, so a program ends when it
//! wants to, and not when somebody presses Enter.
//!
//! Nothing is buffered here, and nothing is changed about the descriptors, which belong to other
//! programs as well; how they are used without waiting is said in `standard_sys.rs`. Each handle has a
//! duplicate to register, or has opened the terminal for itself, so that there may be several.

use super::standard_sys::{Manner, standard};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Standard input of this process. From [`stdin`].
///
/// A read takes what there is: of a terminal a line, of a pipe or a socket what has been written. It
/// waits as long as nothing comes; a wait ends with its future, and holds up nobody. Nothing is read
/// ahead, so what is not asked for is left to others.
///
/// A regular file is read at once, and holds up the loop for as long as the disk takes.
pub struct Stdin {
    stream: Standard,
}

/// Standard output of this process. From [`stdout`].
///
/// A write is done when it returns, if in part; nothing is held back, and flushing does nothing. To
/// write small pieces, put a [`BufWriter`](super::BufWriter) around it, and flush that.
///
/// What `print!` writes takes its own way, through std's buffer, which is written at the end of each
/// line: finish the line, or flush it, before writing here. Several writers take turns piece by piece:
/// a text that must not be torn apart is to be written by one task.
pub struct Stdout {
    stream: Standard,
}

/// Standard error of this process, as [`Stdout`]. From [`stderr`].
pub struct Stderr {
    stream: Standard,
}

/// Standard input, to be read without blocking the loop. Several handles may be made, and take from the
/// same input.
///
/// # Examples
///
/// ```no_run
/// use runtime::io::{AsyncBufReadExt, BufReader, stdin};
///
/// # runtime::block_on(async {
/// let mut lines = BufReader::new(stdin());
/// let mut line = String::new();
/// while lines.read_line(&mut line).await? > 0 {
///     println!("{} bytes", line.len());
///     line.clear();
/// }
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn stdin() -> Stdin {
    Stdin { stream: Standard::new(libc::STDIN_FILENO) }
}

/// Standard output, to be written without blocking the loop.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncWriteExt, stdout};
///
/// # runtime::block_on(async {
/// stdout().write_all(b"without waiting for a slow reader\n").await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn stdout() -> Stdout {
    Stdout { stream: Standard::new(libc::STDOUT_FILENO) }
}

/// Standard error, to be written without blocking the loop.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncWriteExt, stderr};
///
/// # runtime::block_on(async {
/// stderr().write_all(b"something went wrong\n").await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn stderr() -> Stderr {
    Stderr { stream: Standard::new(libc::STDERR_FILENO) }
}

/// A duplicate of a standard descriptor.
struct Standard {
    fd: RawFd,
    /// None if it is closed: then nothing comes, and what is written goes nowhere, as with std.
    open: Option<(Registered<File>, Manner)>,
}

impl Standard {
    fn new(fd: RawFd) -> Standard {
        let duplicate = standard(fd).try_clone_to_owned().ok().map(File::from);
        let open = duplicate.map(|file| {
            let (file, manner) = Manner::of(file, fd == libc::STDIN_FILENO);
            (Registered::new(file, Owner::StandardStream), manner)
        });
        Standard { fd, open }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &self.open {
            Some((io, manner)) if !buffer.is_empty() => {
                io.poll_io(cx, Direction::Read, |file| manner.read(file, buffer))
            }
            _ => Poll::Ready(Ok(0)),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match &self.open {
            Some((io, manner)) if !buffer.is_empty() => {
                io.poll_io(cx, Direction::Write, |file| manner.write(file, buffer))
            }
            _ => Poll::Ready(Ok(buffer.len())),
        }
    }
}

impl AsyncRead for Stdin {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buffer)
    }
}

macro_rules! writes {
    ($($type:ty)*) => {$(
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_write(cx, buffer)
            }

            /// Nothing is held back here.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Does nothing: the descriptor is open for as long as the process is.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    )*};
}

writes! { Stdout Stderr }

super::tokio_traits::tokio_read_by_futures! { Stdin; }
super::tokio_traits::tokio_write_by_futures! { Stdout; Stderr; }

macro_rules! descriptors {
    ($($type:ident)*) => {$(
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                standard(self.stream.fd)
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.stream.fd
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }
    )*};
}

descriptors! { Stdin Stdout Stderr }
