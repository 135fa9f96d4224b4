//! Numbers in big-endian and little-endian byte order: the futures that read and write them, and the macros that make a
//! method for each type.

use super::read::{Unfilled, poll_fill};
use super::write::poll_drain;
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The future of `AsyncReadExt::read_u8` and of the other methods that read a number, here of `N` bytes.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReadNumber<'a, R: ?Sized, T, const N: usize> {
    pub(super) reader: &'a mut R,
    pub(super) bytes: [u8; N],
    pub(super) filled: usize,
    pub(super) from_bytes: fn([u8; N]) -> T,
}

impl<R: AsyncRead + Unpin + ?Sized, T, const N: usize> Future for ReadNumber<'_, R, T, N> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let this = &mut *self;
        ready!(poll_fill(Pin::new(&mut *this.reader), cx, &mut this.bytes, &mut this.filled)).map_err(
            |error| match error {
                Unfilled::Io(error) => error,
                Unfilled::End => ErrorKind::UnexpectedEof.into(),
            },
        )?;
        Poll::Ready(Ok((this.from_bytes)(this.bytes)))
    }
}

impl<R: ?Sized, T, const N: usize> fmt::Debug for ReadNumber<'_, R, T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadNumber").field("bytes", &&self.bytes[..self.filled]).finish_non_exhaustive()
    }
}

/// The future of `AsyncWriteExt::write_u8` and of the other methods that write a number, here of `N` bytes.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct WriteNumber<'a, W: ?Sized, const N: usize> {
    pub(super) writer: &'a mut W,
    pub(super) bytes: [u8; N],
    pub(super) written: usize,
}

impl<W: AsyncWrite + Unpin + ?Sized, const N: usize> Future for WriteNumber<'_, W, N> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        poll_drain(Pin::new(&mut *this.writer), cx, &this.bytes, &mut this.written)
    }
}

impl<W: ?Sized, const N: usize> fmt::Debug for WriteNumber<'_, W, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteNumber").field("bytes", &&self.bytes[self.written..]).finish_non_exhaustive()
    }
}

/// Makes the methods that read numbers, within the trait. The first literal says whether they are cancel safe.
macro_rules! read_numbers {
    ($safety:literal $($name:ident: $type:ident, $from:ident, $size:literal, $what:literal;)*) => {$(
        #[doc = concat!("Reads ", $what, ".")]
        ///
        /// # Cancel safety
        ///
        #[doc = $safety]
        ///
        /// # Errors
        ///
        /// Returns [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) if the reader ends before the number is
        /// complete, and the errors of the reader. An interrupted read is repeated.
        fn $name(&mut self) -> ReadNumber<'_, Self, $type, $size>
        where
            Self: Unpin,
        {
            ReadNumber { reader: self, bytes: [0; $size], filled: 0, from_bytes: $type::$from }
        }
    )*};
}

/// Makes the methods that write numbers, within the trait. The first literal says whether they are cancel safe.
macro_rules! write_numbers {
    ($safety:literal $($name:ident: $type:ident, $to:ident, $size:literal, $what:literal;)*) => {$(
        #[doc = concat!("Writes ", $what, ".")]
        ///
        /// # Cancel safety
        ///
        #[doc = $safety]
        ///
        /// # Errors
        ///
        /// Returns [`WriteZero`](std::io::ErrorKind::WriteZero) if the writer accepts no more bytes, and the errors of
        /// the writer. An interrupted write is repeated.
        fn $name(&mut self, number: $type) -> WriteNumber<'_, Self, $size>
        where
            Self: Unpin,
        {
            WriteNumber { writer: self, bytes: number.$to(), written: 0 }
        }
    )*};
}

pub(super) use {read_numbers, write_numbers};
