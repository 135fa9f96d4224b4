//! Streams that lend their descriptor to system calls other than reading and writing.
//!
//! splice(2) and sendfile(2) move bytes within the kernel. The functions that make these calls are in `io`, and work
//! on every stream that has the traits of this file: such a stream waits for readiness as it does for a read or a
//! write, and then lends its descriptor for one call. `net/stream_traits.rs` implements the traits for all streams at once.
//!
//! The traits are sealed. A wrapper may hold bytes back or change them, and a call on the descriptor would bypass it.

use futures_io::{AsyncRead, AsyncWrite};
use sealed::{PollReadFd, PollWriteFd};
use std::io;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

/// A stream that the kernel can read from by itself: [`splice`](crate::io::splice) moves its bytes without copying
/// them to user space.
///
/// It is implemented for the streams of [`net`](crate::net) and their halves, for references to them and boxes of them,
/// for the halves of [`split`](crate::io::split), and for the streams that [`join`](crate::io::join) returns. It is also
/// implemented for `fs::File` (feature `fs`), which never lends its descriptor: its bytes go through a buffer. A wrapper
/// such as a `BufReader` does not implement it: the bytes in its buffer would be left out.
///
/// This trait is sealed: it cannot be implemented outside of this crate. It can be used as `dyn AsyncReadFd`.
///
/// # Examples
///
/// This code uses a stream whose kind is known only at run time:
///
/// ```
/// use runtime::io::{AsyncReadFd, AsyncWriteFd, splice_bidirectional};
/// use runtime::net::{TcpStream, UnixStream};
///
/// trait Stream: AsyncReadFd + AsyncWriteFd + Unpin {}
/// impl<T: AsyncReadFd + AsyncWriteFd + Unpin> Stream for T {}
///
/// async fn forward(client: &mut TcpStream, server: &str) -> std::io::Result<(u64, u64)> {
///     let mut server: Box<dyn Stream> = match server.strip_prefix("unix:") {
///         Some(path) => Box::new(UnixStream::connect(path).await?),
///         None => Box::new(TcpStream::connect(server).await?),
///     };
///     splice_bidirectional(client, &mut server).await
/// }
/// ```
///
/// A wrapper does not compile:
///
/// ```compile_fail,E0277
/// # async fn forward(client: runtime::net::TcpStream, server: runtime::net::TcpStream) {
/// use runtime::io::{BufReader, splice};
///
/// splice(BufReader::new(client), server).await;
/// # }
/// ```
pub trait AsyncReadFd: AsyncRead + sealed::PollReadFd {}

/// A stream that the kernel can write to by itself, for [`splice`](crate::io::splice) and
/// [`send_file`](crate::io::send_file).
///
/// It is implemented for the same types as [`AsyncReadFd`], if they can be written to. A wrapper such as a `BufWriter`
/// does not implement it: the bytes in its buffer would be sent too late.
///
/// This trait is sealed: it cannot be implemented outside of this crate. It can be used as `dyn AsyncWriteFd`.
pub trait AsyncWriteFd: AsyncWrite + sealed::PollWriteFd {}

/// One system call on a descriptor that has been found ready.
pub(crate) type Operation<'a> = &'a mut dyn FnMut(BorrowedFd<'_>) -> io::Result<()>;

pub(crate) mod sealed {
    use super::{Context, Operation, Poll, io};

    /// Waits until the descriptor can be read.
    pub trait PollReadFd {
        /// Repeats an operation until it does not return [`WouldBlock`](io::ErrorKind::WouldBlock). Only the waker of
        /// the latest call of this method or of `poll_read` is woken.
        fn poll_read_fd(&self, cx: &mut Context<'_>, operation: Operation<'_>) -> Poll<io::Result<()>>;
    }

    /// Waits until the descriptor can be written to.
    pub trait PollWriteFd {
        /// Repeats an operation until it does not return [`WouldBlock`](io::ErrorKind::WouldBlock). Only the waker of
        /// the latest call of this method or of `poll_write` is woken.
        fn poll_write_fd(&self, cx: &mut Context<'_>, operation: Operation<'_>) -> Poll<io::Result<()>>;
    }
}

/// Implements the traits for a pointer to a stream.
macro_rules! pointer {
    ($($pointer:ty;)*) => {$(
        impl<T: AsyncReadFd + Unpin + ?Sized> AsyncReadFd for $pointer {}

        impl<T: PollReadFd + ?Sized> PollReadFd for $pointer {
            fn poll_read_fd(&self, cx: &mut Context<'_>, operation: Operation<'_>) -> Poll<io::Result<()>> {
                (**self).poll_read_fd(cx, operation)
            }
        }

        impl<T: AsyncWriteFd + Unpin + ?Sized> AsyncWriteFd for $pointer {}

        impl<T: PollWriteFd + ?Sized> PollWriteFd for $pointer {
            fn poll_write_fd(&self, cx: &mut Context<'_>, operation: Operation<'_>) -> Poll<io::Result<()>> {
                (**self).poll_write_fd(cx, operation)
            }
        }
    )*};
}

pointer! {
    &mut T;
    Box<T>;
}
