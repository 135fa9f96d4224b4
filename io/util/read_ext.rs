//! `AsyncReadExt`, with the names of tokio's trait and some of futures'. The futures are in `read.rs` and `numbers.rs`.

use super::chain::Chain;
use super::numbers::{ReadNumber, read_numbers};
use super::read::{Read, ReadBuf, ReadExact, ReadToEnd, ReadToString, ReadVectored, Text};
use super::take::Take;
use bytes::BufMut;
use futures_io::AsyncRead;
use std::io::IoSliceMut;

/// The methods of every [`AsyncRead`].
///
/// The names and meanings are tokio's. The traits of futures and of futures-lite have methods of the same names, so
/// import only one of these traits in a module.
///
/// # Panics
///
/// The futures of these methods panic if the reader reports more bytes than the length of the buffer that it was given.
///
/// # Examples
///
/// ```
/// use runtime::io::AsyncReadExt;
///
/// # runtime::block_on(async {
/// let mut reader: &[u8] = b"\x00\x05helloand the rest";
/// let length = reader.read_u16().await?;
/// let mut word = vec![0; length.into()];
/// reader.read_exact(&mut word).await?;
/// assert_eq!(word, b"hello");
/// let mut rest = String::new();
/// reader.read_to_string(&mut rest).await?;
/// assert_eq!(rest, "and the rest");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub trait AsyncReadExt: AsyncRead {
    /// Reads some bytes into the buffer, and returns the number of bytes read.
    ///
    /// Waits until there is at least one byte. The number is 0 if the reader is at its end, or if the buffer is empty.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it is ready, no bytes were read.
    ///
    /// # Errors
    ///
    /// Returns the errors of the reader. No bytes were read then.
    fn read<'a>(&'a mut self, buffer: &'a mut [u8]) -> Read<'a, Self>
    where
        Self: Unpin,
    {
        Read { reader: self, buffer }
    }

    /// Reads some bytes into several buffers, one after the other, and returns the number of bytes read.
    ///
    /// A reader that does not support this reads into the first buffer that is not empty.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, see [`read`](AsyncReadExt::read).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`read`](AsyncReadExt::read).
    fn read_vectored<'a, 'b>(&'a mut self, buffers: &'a mut [IoSliceMut<'b>]) -> ReadVectored<'a, 'b, Self>
    where
        Self: Unpin,
    {
        ReadVectored { reader: self, buffers }
    }

    /// Appends some bytes to a buffer of the crate `bytes`, or to a `Vec`, and returns the number of bytes read.
    ///
    /// The bytes are placed behind the contents of the buffer, which need not be initialized there. At most 16 KiB are
    /// read at once. A growing buffer that is full reserves more memory. The number is 0 if the reader is at its end,
    /// or if the buffer has no room and cannot grow.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it is ready, no bytes were read.
    ///
    /// # Errors
    ///
    /// Returns the errors of the reader. No bytes were read then.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::AsyncReadExt;
    ///
    /// # runtime::block_on(async {
    /// let mut reader: &[u8] = b"and more";
    /// let mut buffer = b"some ".to_vec();
    /// while reader.read_buf(&mut buffer).await? > 0 {}
    /// assert_eq!(buffer, b"some and more");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn read_buf<'a, B>(&'a mut self, buffer: &'a mut B) -> ReadBuf<'a, Self, B>
    where
        Self: Unpin,
        B: BufMut + ?Sized,
    {
        ReadBuf { reader: self, buffer }
    }

    /// Reads until the buffer is full, and returns its length.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the buffer may have been filled in part, and the number of bytes in it is lost.
    ///
    /// # Errors
    ///
    /// Returns [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) if the reader ends before the buffer is full, and
    /// the errors of the reader. The contents of the buffer are unspecified then. An interrupted read is repeated.
    fn read_exact<'a>(&'a mut self, buffer: &'a mut [u8]) -> ReadExact<'a, Self>
    where
        Self: Unpin,
    {
        ReadExact { reader: self, buffer, filled: 0 }
    }

    /// Appends all bytes up to the end of the reader to a vector, and returns their number.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe in the strict sense: the vector contains the bytes that were read, but their number is lost. The
    /// method may be called again with the same vector to read the rest.
    ///
    /// # Errors
    ///
    /// Returns the errors of the reader. The vector contains the bytes that were read before. An interrupted read is
    /// repeated.
    fn read_to_end<'a>(&'a mut self, buffer: &'a mut Vec<u8>) -> ReadToEnd<'a, Self>
    where
        Self: Unpin,
    {
        ReadToEnd { reader: self, buffer, count: 0 }
    }

    /// Appends all bytes up to the end of the reader to a string, and returns their number.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the bytes that were read are lost. The contents of the string do not change.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidData`](std::io::ErrorKind::InvalidData) if the bytes are not UTF-8, and the errors of the
    /// reader. In both cases the bytes are lost, and the contents of the string do not change. An interrupted read is
    /// repeated.
    fn read_to_string<'a>(&'a mut self, text: &'a mut String) -> ReadToString<'a, Self>
    where
        Self: Unpin,
    {
        ReadToString { reader: self, text: Text::new(text), count: 0 }
    }

    read_numbers! {
        "Cancel safe: if the future is dropped before it is ready, no bytes were read."
        read_u8: u8, from_be_bytes, 1, "an unsigned 8-bit integer";
        read_i8: i8, from_be_bytes, 1, "a signed 8-bit integer";
    }

    read_numbers! {
        "Not cancel safe: the bytes that were read before are lost."
        read_u16: u16, from_be_bytes, 2, "an unsigned 16-bit integer in big-endian byte order";
        read_i16: i16, from_be_bytes, 2, "a signed 16-bit integer in big-endian byte order";
        read_u32: u32, from_be_bytes, 4, "an unsigned 32-bit integer in big-endian byte order";
        read_i32: i32, from_be_bytes, 4, "a signed 32-bit integer in big-endian byte order";
        read_u64: u64, from_be_bytes, 8, "an unsigned 64-bit integer in big-endian byte order";
        read_i64: i64, from_be_bytes, 8, "a signed 64-bit integer in big-endian byte order";
        read_u128: u128, from_be_bytes, 16, "an unsigned 128-bit integer in big-endian byte order";
        read_i128: i128, from_be_bytes, 16, "a signed 128-bit integer in big-endian byte order";
        read_f32: f32, from_be_bytes, 4, "a 32-bit floating-point number in big-endian byte order";
        read_f64: f64, from_be_bytes, 8, "a 64-bit floating-point number in big-endian byte order";
        read_u16_le: u16, from_le_bytes, 2, "an unsigned 16-bit integer in little-endian byte order";
        read_i16_le: i16, from_le_bytes, 2, "a signed 16-bit integer in little-endian byte order";
        read_u32_le: u32, from_le_bytes, 4, "an unsigned 32-bit integer in little-endian byte order";
        read_i32_le: i32, from_le_bytes, 4, "a signed 32-bit integer in little-endian byte order";
        read_u64_le: u64, from_le_bytes, 8, "an unsigned 64-bit integer in little-endian byte order";
        read_i64_le: i64, from_le_bytes, 8, "a signed 64-bit integer in little-endian byte order";
        read_u128_le: u128, from_le_bytes, 16, "an unsigned 128-bit integer in little-endian byte order";
        read_i128_le: i128, from_le_bytes, 16, "a signed 128-bit integer in little-endian byte order";
        read_f32_le: f32, from_le_bytes, 4, "a 32-bit floating-point number in little-endian byte order";
        read_f64_le: f64, from_le_bytes, 8, "a 64-bit floating-point number in little-endian byte order";
    }

    /// Creates a reader that reads this one to its end, and then the next one.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::AsyncReadExt;
    ///
    /// # runtime::block_on(async {
    /// let mut text = String::new();
    /// let mut both = (&b"first, "[..]).chain(&b"then"[..]);
    /// both.read_to_string(&mut text).await?;
    /// assert_eq!(text, "first, then");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn chain<R: AsyncRead>(self, next: R) -> Chain<Self, R>
    where
        Self: Sized,
    {
        Chain::new(self, next)
    }

    /// Creates a reader that reads at most `limit` bytes of this one, and is at its end then.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::AsyncReadExt;
    ///
    /// # runtime::block_on(async {
    /// let mut head = String::new();
    /// let mut reader = (&b"head and body"[..]).take(4);
    /// reader.read_to_string(&mut head).await?;
    /// assert_eq!((head.as_str(), reader.into_inner()), ("head", &b" and body"[..]));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn take(self, limit: u64) -> Take<Self>
    where
        Self: Sized,
    {
        Take::new(self, limit)
    }
}

impl<R: AsyncRead + ?Sized> AsyncReadExt for R {}
