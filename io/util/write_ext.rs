//! `AsyncWriteExt`, with the names of tokio's trait, and `close` of futures'. The futures are in `write.rs` and
//! `numbers.rs`.

use super::numbers::{WriteNumber, write_numbers};
use super::write::{Close, Flush, Write, WriteAll, WriteAllBuf, WriteBuf, WriteVectored};
use bytes::Buf;
use futures_io::AsyncWrite;
use std::io::IoSlice;

/// The methods of every [`AsyncWrite`].
///
/// The names and meanings are tokio's. The traits of futures and of futures-lite have methods of the same names, so
/// import only one of these traits in a module.
///
/// # Panics
///
/// The futures of these methods panic if the writer reports more bytes than it was given.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// # runtime::block_on(async {
/// let (mut client, mut server) = duplex(64);
/// client.write_u16(5).await?;
/// client.write_all(b"hello").await?;
/// AsyncWriteExt::shutdown(&mut client).await?;
/// let mut bytes = Vec::new();
/// server.read_to_end(&mut bytes).await?;
/// assert_eq!(bytes, b"\x00\x05hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub trait AsyncWriteExt: AsyncWrite {
    /// Writes some bytes of the buffer, and returns the number of bytes written.
    ///
    /// The number may be less than the length of the buffer; see [`write_all`](AsyncWriteExt::write_all). It is 0 if
    /// the buffer is empty, or if the writer accepts no more bytes.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it is ready, no bytes were written.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer. No bytes were written then.
    fn write<'a>(&'a mut self, buffer: &'a [u8]) -> Write<'a, Self>
    where
        Self: Unpin,
    {
        Write { writer: self, buffer }
    }

    /// Writes some bytes of several buffers, one after the other, and returns the number of bytes written.
    ///
    /// A writer that does not support this writes the first buffer that is not empty.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, see [`write`](AsyncWriteExt::write).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`write`](AsyncWriteExt::write).
    fn write_vectored<'a, 'b>(&'a mut self, buffers: &'a [IoSlice<'b>]) -> WriteVectored<'a, 'b, Self>
    where
        Self: Unpin,
    {
        WriteVectored { writer: self, buffers }
    }

    /// Writes some bytes of a buffer of the crate `bytes`, advances the buffer by them, and returns their number.
    ///
    /// If the buffer consists of several chunks, up to 64 of them are written at once.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it is ready, no bytes were written.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer. No bytes were written then.
    fn write_buf<'a, B>(&'a mut self, buffer: &'a mut B) -> WriteBuf<'a, Self, B>
    where
        Self: Sized + Unpin,
        B: Buf,
    {
        WriteBuf { writer: self, buffer }
    }

    /// Writes all bytes of a buffer of the crate `bytes`, and advances the buffer by each part that was written.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the buffer is advanced by the bytes that were written, so the method may be called again with the
    /// same buffer to write the rest.
    ///
    /// # Errors
    ///
    /// Returns [`WriteZero`](std::io::ErrorKind::WriteZero) if the writer accepts no more bytes, and the errors of the
    /// writer. The buffer contains the bytes that were not written. An interrupted write is repeated.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::AsyncWriteExt;
    ///
    /// # runtime::block_on(async {
    /// let mut writer = Vec::new();
    /// let mut message: &[u8] = b"message";
    /// writer.write_all_buf(&mut message).await?;
    /// assert!(message.is_empty());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn write_all_buf<'a, B>(&'a mut self, buffer: &'a mut B) -> WriteAllBuf<'a, Self, B>
    where
        Self: Sized + Unpin,
        B: Buf,
    {
        WriteAllBuf { writer: self, buffer }
    }

    /// Writes all bytes of the buffer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part of the buffer may have been written, and its length is lost. See
    /// [`write_all_buf`](AsyncWriteExt::write_all_buf) for a method that is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns [`WriteZero`](std::io::ErrorKind::WriteZero) if the writer accepts no more bytes, and the errors of the
    /// writer. A part of the buffer may have been written before. An interrupted write is repeated.
    fn write_all<'a>(&'a mut self, buffer: &'a [u8]) -> WriteAll<'a, Self>
    where
        Self: Unpin,
    {
        WriteAll { writer: self, buffer, written: 0 }
    }

    write_numbers! {
        "Cancel safe: if the future is dropped before it is ready, no bytes were written."
        write_u8: u8, to_be_bytes, 1, "an unsigned 8-bit integer";
        write_i8: i8, to_be_bytes, 1, "a signed 8-bit integer";
    }

    write_numbers! {
        "Not cancel safe: a part of the number may have been written."
        write_u16: u16, to_be_bytes, 2, "an unsigned 16-bit integer in big-endian byte order";
        write_i16: i16, to_be_bytes, 2, "a signed 16-bit integer in big-endian byte order";
        write_u32: u32, to_be_bytes, 4, "an unsigned 32-bit integer in big-endian byte order";
        write_i32: i32, to_be_bytes, 4, "a signed 32-bit integer in big-endian byte order";
        write_u64: u64, to_be_bytes, 8, "an unsigned 64-bit integer in big-endian byte order";
        write_i64: i64, to_be_bytes, 8, "a signed 64-bit integer in big-endian byte order";
        write_u128: u128, to_be_bytes, 16, "an unsigned 128-bit integer in big-endian byte order";
        write_i128: i128, to_be_bytes, 16, "a signed 128-bit integer in big-endian byte order";
        write_f32: f32, to_be_bytes, 4, "a 32-bit floating-point number in big-endian byte order";
        write_f64: f64, to_be_bytes, 8, "a 64-bit floating-point number in big-endian byte order";
        write_u16_le: u16, to_le_bytes, 2, "an unsigned 16-bit integer in little-endian byte order";
        write_i16_le: i16, to_le_bytes, 2, "a signed 16-bit integer in little-endian byte order";
        write_u32_le: u32, to_le_bytes, 4, "an unsigned 32-bit integer in little-endian byte order";
        write_i32_le: i32, to_le_bytes, 4, "a signed 32-bit integer in little-endian byte order";
        write_u64_le: u64, to_le_bytes, 8, "an unsigned 64-bit integer in little-endian byte order";
        write_i64_le: i64, to_le_bytes, 8, "a signed 64-bit integer in little-endian byte order";
        write_u128_le: u128, to_le_bytes, 16, "an unsigned 128-bit integer in little-endian byte order";
        write_i128_le: i128, to_le_bytes, 16, "a signed 128-bit integer in little-endian byte order";
        write_f32_le: f32, to_le_bytes, 4, "a 32-bit floating-point number in little-endian byte order";
        write_f64_le: f64, to_le_bytes, 8, "a 64-bit floating-point number in little-endian byte order";
    }

    /// Writes everything that the writer has in a buffer of its own to its destination.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe for the writers of this crate: a part of the buffer may have been written, and the rest is still in
    /// the buffer.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    fn flush(&mut self) -> Flush<'_, Self>
    where
        Self: Unpin,
    {
        Flush { writer: self }
    }

    /// Flushes and closes the writer, so that a peer reads the end of the stream.
    ///
    /// This is [`poll_close`](AsyncWrite::poll_close). It closes only the direction for writing; a stream can still be
    /// read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe for the writers of this crate: the method may be called again.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    fn shutdown(&mut self) -> Close<'_, Self>
    where
        Self: Unpin,
    {
        Close { writer: self }
    }

    /// Flushes and closes the writer: the name that futures and futures-lite have for
    /// [`shutdown`](AsyncWriteExt::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe for the writers of this crate: the method may be called again.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    fn close(&mut self) -> Close<'_, Self>
    where
        Self: Unpin,
    {
        Close { writer: self }
    }
}

impl<W: AsyncWrite + ?Sized> AsyncWriteExt for W {}
