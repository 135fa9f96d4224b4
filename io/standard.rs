//! Standard input, output and error, by readiness. No thread is blocked in a read, so a program can exit at any time,
//! and not only after the user has pressed Enter.
//!
//! These streams have no buffer. They do not change the standard descriptors, because other programs share them;
//! `standard_sys.rs` says how a descriptor in blocking mode is read and written without blocking. Each handle registers
//! its own duplicate of the descriptor, or has opened the terminal for itself, so there can be several handles.

use super::standard_sys::{Access, standard};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The standard input of this process, created by [`stdin`].
///
/// A read returns the bytes that are available: a line from a terminal, or what has been written to a pipe or a socket.
/// It waits while there are none. The wait blocks neither the loop nor another thread, and it ends when its future is
/// dropped. This type reads only as many bytes as the caller asks for. The other bytes remain for other readers of the
/// same input.
///
/// If standard input is a regular file, a read does not wait for readiness, and it blocks the loop for as long as the
/// disk takes.
pub struct Stdin {
    stream: Standard,
}

/// The standard output of this process, created by [`stdout`].
///
/// A write passes its bytes to the system before it returns, and it may write only a part of them. There is no
/// buffer, so flushing does nothing. To write many small pieces, wrap this type in a [`BufWriter`](super::BufWriter)
/// and flush that.
///
/// The macro `print!` writes through a buffer of std, which is written at the end of each line. Finish the line, or
/// flush std's standard output, before writing through this type. If several tasks write at the same time, their
/// pieces may alternate. Let one task write each text that must stay in one piece.
pub struct Stdout {
    stream: Standard,
}

/// The standard error of this process, created by [`stderr`]. It behaves in the same way as [`Stdout`].
pub struct Stderr {
    stream: Standard,
}

/// Returns a handle to standard input that reads without blocking the loop.
///
/// There can be several handles. They read from the same input, so each byte goes to one of them.
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

/// Returns a handle to standard output that writes without blocking the loop.
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

/// Returns a handle to standard error that writes without blocking the loop.
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

/// A standard descriptor, and the file through which it is read or written.
struct Standard {
    fd: RawFd,
    /// A duplicate of the descriptor, or the terminal opened again. `None` if the descriptor is closed. In that case
    /// reads return the end of the stream, and written bytes are discarded, as with std.
    open: Option<(Registered<File>, Access)>,
}

impl Standard {
    fn new(fd: RawFd) -> Standard {
        let duplicate = standard(fd).try_clone_to_owned().ok().map(File::from);
        let open = duplicate.map(|file| {
            let (file, access) = Access::of(file, fd == libc::STDIN_FILENO);
            (Registered::new(file, Owner::StandardStream), access)
        });
        Standard { fd, open }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &self.open {
            Some((io, access)) if !buffer.is_empty() => {
                io.poll_io(cx, Direction::Read, |file| access.read(file, buffer))
            }
            _ => Poll::Ready(Ok(0)),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match &self.open {
            Some((io, access)) if !buffer.is_empty() => {
                io.poll_io(cx, Direction::Write, |file| access.write(file, buffer))
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

macro_rules! impl_write {
    ($($type:ty)*) => {$(
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_write(cx, buffer)
            }

            /// Does nothing, since there is no buffer.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Does nothing, since the descriptor stays open until the end of the process.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    )*};
}

impl_write! { Stdout Stderr }

super::tokio_traits::tokio_read_by_futures! { Stdin; }
super::tokio_traits::tokio_write_by_futures! { Stdout; Stderr; }

macro_rules! impl_descriptor {
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

impl_descriptor! { Stdin Stdout Stderr }
