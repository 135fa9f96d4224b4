//! The standard streams of a child: the ends of pipes, of which the child has the other ends.

use crate::net::unix::pipe::{Receiver, Sender};
use crate::runtime::io::registered::Owner;
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

/// The standard input of a child.
///
/// Write to it with [`AsyncWriteExt`](crate::io::AsyncWriteExt). The child reads the end of its input when this value is
/// dropped, so closing it without a drop has no effect. Nothing is buffered here.
///
/// If the child has closed its input or has ended, a write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe), and
/// raises [a signal](crate::net::unix::pipe#the-signal), which Rust programs ignore.
///
/// The input of a child can also be a file of std, or the output of another child: see [`ChildStdout`].
#[derive(Debug)]
pub struct ChildStdin {
    pipe: Sender,
}

/// The standard output of a child.
///
/// Read it with [`AsyncReadExt`](crate::io::AsyncReadExt). It ends when the child and all other processes that have
/// inherited it have closed it.
///
/// # Examples
///
/// A pipeline, in which the children pass the bytes on by themselves, as in `printf … | sort`:
///
/// ```
/// use runtime::process::Command;
/// use std::process::Stdio;
///
/// # runtime::block_on(async {
/// let mut printf = Command::new("printf").args(["%s\\n", "pear", "fig"]).stdout(Stdio::piped()).spawn()?;
/// let lines: Stdio = printf.stdout.take().expect("it is piped").try_into()?;
/// let sort = Command::new("sort").stdin(lines).output();
/// let (printed, sorted) = runtime::try_join!(printf.wait(), sort)?;
/// assert!(printed.success());
/// assert_eq!(sorted.stdout, b"fig\npear\n");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct ChildStdout {
    pipe: Receiver,
}

/// The standard error of a child.
///
/// Read it with [`AsyncReadExt`](crate::io::AsyncReadExt). It ends when the child and all other processes that have
/// inherited it have closed it.
#[derive(Debug)]
pub struct ChildStderr {
    pipe: Receiver,
}

/// Implements what the three streams have in common.
macro_rules! child_stream {
    ($type:ident of $pipe:ident) => {
        impl $type {
            /// Wraps the stream of a child of [`std::process`], and sets it to non-blocking mode.
            ///
            /// # Errors
            ///
            /// Returns an error if fcntl(2) fails.
            #[cfg_attr(debug_assertions, track_caller)]
            pub fn from_std(inner: std::process::$type) -> io::Result<$type> {
                Ok($type { pipe: $pipe::of_child(inner.into(), Owner::$type)? })
            }

            /// Deregisters the descriptor, sets it to blocking mode and returns it. Other children expect this mode.
            ///
            /// # Errors
            ///
            /// Returns an error if fcntl(2) fails.
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                self.pipe.into_blocking_fd()
            }
        }

        /// Passes the stream on to another child. It is set to blocking mode again.
        impl TryFrom<$type> for Stdio {
            type Error = io::Error;

            fn try_from(stream: $type) -> io::Result<Stdio> {
                stream.into_owned_fd().map(Stdio::from)
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.pipe.as_fd()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.pipe.as_raw_fd()
            }
        }
    };
}

child_stream! { ChildStdin of Sender }
child_stream! { ChildStdout of Receiver }
child_stream! { ChildStderr of Receiver }

/// Implements the traits of a stream that is read.
macro_rules! read_traits {
    ($($type:ident)*) => {$(
        impl AsyncRead for $type {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.pipe).poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.pipe).poll_read_vectored(cx, buffers)
            }
        }

        #[cfg(feature = "tokio-io")]
        #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
        impl tokio::io::AsyncRead for $type {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                tokio::io::AsyncRead::poll_read(Pin::new(&mut self.pipe), cx, buffer)
            }
        }

        #[cfg(feature = "io-util")]
        impl crate::io::AsyncReadFd for $type {}

        #[cfg(feature = "io-util")]
        impl crate::net::fd_traits::sealed::PollReadFd for $type {
            fn poll_read_fd(
                &self,
                cx: &mut Context<'_>,
                operation: crate::net::fd_traits::Operation<'_>,
            ) -> Poll<io::Result<()>> {
                self.pipe.poll_read_fd(cx, operation)
            }
        }
    )*};
}

read_traits! { ChildStdout ChildStderr }

impl AsyncWrite for ChildStdin {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write_vectored(cx, buffers)
    }

    /// Returns at once, since nothing is buffered here.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing, since only dropping the stream closes it.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio-io")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
impl tokio::io::AsyncWrite for ChildStdin {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.pipe), cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write_vectored(Pin::new(&mut self.pipe), cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Returns at once, since nothing is buffered here.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing, since only dropping the stream closes it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "io-util")]
impl crate::io::AsyncWriteFd for ChildStdin {}

#[cfg(feature = "io-util")]
impl crate::net::fd_traits::sealed::PollWriteFd for ChildStdin {
    fn poll_write_fd(
        &self,
        cx: &mut Context<'_>,
        operation: crate::net::fd_traits::Operation<'_>,
    ) -> Poll<io::Result<()>> {
        self.pipe.poll_write_fd(cx, operation)
    }
}
