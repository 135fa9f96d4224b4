//! One direction of a copy: the pump reads from a reader and writes to a writer, until the end of the reader.
//!
//! The pump holds a buffer only while there are bytes in it. While the reader has nothing, a pump is a few words of
//! memory. Bytes are written as soon as they have been read, so the buffer is usually back in the buffer pool at the
//! end of the poll, and the next copy can take it.
//!
//! While the writer is pending, the pump continues to read into the rest of the buffer. A writer may be waiting for a
//! message that arrives through the reader, such as a window update of HTTP/2 or a handshake message of TLS.
//!
//! The pump does not know about descriptors. `splice/pump.rs` contains a pump for the bytes that the kernel does not
//! move.

use super::lent::Buffer;
use crate::task::coop;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// One direction of a copy, and the bytes that have been read and not been written yet.
pub(super) struct Pump {
    size: usize,
    copied: u64,
    /// The bytes that have been read and not been written, as a range of a buffer.
    held: Option<(Buffer, Range<usize>)>,
    /// The reader is at its end.
    ended: bool,
    /// The error of the reader. It is returned once the bytes that were read before it have been written.
    error: Option<io::Error>,
    unflushed: bool,
}

impl Pump {
    /// Creates a pump with a buffer of `size` bytes, or of 1 byte if `size` is 0.
    pub(super) fn new(size: usize) -> Pump {
        Pump { size: size.max(1), copied: 0, held: None, ended: false, error: None, unflushed: false }
    }

    /// Returns the size of the buffer.
    #[cfg(feature = "io-util")]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns the number of bytes that the writer has accepted.
    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    /// Returns the number of bytes that have been read and not been written.
    #[cfg(feature = "io-util")]
    pub(super) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |(_, held)| held.len())
    }

    /// Copies until the end of the reader. Returns `Ready` when all bytes have been written and the writer has been
    /// flushed.
    pub(super) fn poll<R: AsyncRead + ?Sized, W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_deliver(cx, reader.as_mut(), writer.as_mut()))?;
            if self.ended {
                return writer.poll_flush(cx);
            }
            ready!(self.poll_fetch(cx, reader.as_mut(), writer.as_mut()))?;
        }
    }

    /// Writes the held bytes, and continues to read while the writer is pending. Returns `Ready` when no bytes are
    /// held.
    pub(super) fn poll_deliver<R: AsyncRead + ?Sized, W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while self.poll_write(cx, writer.as_mut())?.is_pending() {
            ready!(self.poll_read_on(cx, reader.as_mut()));
        }
        Poll::Ready(self.error.take().map_or(Ok(()), Err))
    }

    /// Reads into an empty buffer; the caller has made sure that no bytes are held. Returns `Ready` with the number of
    /// bytes that are held then, which is 0 at the end of the reader.
    pub(super) fn poll_fetch<R: AsyncRead + ?Sized, W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(count) = self.poll_read(cx, reader)? else {
            // There is nothing to write for now. Flush the writer, so that the bytes in its buffer do not wait for the
            // next read.
            if self.unflushed {
                ready!(writer.poll_flush(cx))?;
                self.unflushed = false;
            }
            return Poll::Pending;
        };
        Poll::Ready(Ok(count))
    }

    /// Returns whether the reader has been found to be at its end.
    #[cfg(feature = "io-util")]
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Holds bytes that have been read in another way. The caller has made sure that no bytes are held.
    #[cfg(feature = "io-util")]
    pub(super) fn hold(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.held.is_none(), "the bytes would be written in the place of those that are held");
        let all = 0..bytes.len();
        self.held = Some((bytes.into(), all));
    }

    /// Counts `count` bytes that the writer has accepted.
    pub(super) fn add_written(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the writer accepts no more bytes"));
        }
        self.copied += count as u64;
        self.unflushed = true;
        Ok(())
    }

    /// Writes the held bytes. Returns `Ready` when no bytes are held.
    fn poll_write<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while let Some((buffer, held)) = self.held.take() {
            let Poll::Ready(written) = writer.as_mut().poll_write(cx, &buffer[held.clone()]) else {
                self.held = Some((buffer, held));
                return Poll::Pending;
            };
            let count = written?;
            self.add_written(count)?;
            assert!(count <= held.len(), "the writer reports more bytes than it was given");
            if count < held.len() {
                self.held = Some((buffer, held.start + count..held.end));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into a new buffer. Returns `Ready` with the number of bytes, which is 0 at the end of the reader.
    fn poll_read<R: AsyncRead + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
    ) -> Poll<io::Result<usize>> {
        // The reader and the writer may come from other crates, which do not spend the budget, and may be ready all the
        // time.
        ready!(coop::poll_budget(cx));
        let mut buffer = Buffer::take(self.size);
        let count = ready!(poll_read(cx, reader, &mut buffer))?;
        match count {
            0 => self.ended = true,
            count => self.held = Some((buffer, 0..count)),
        }
        Poll::Ready(Ok(count))
    }

    /// Reads behind the held bytes, if the buffer has room, while the writer is pending. Returns `Ready` when the
    /// reader had more bytes, its end or an error. The caller then tries the writer again, since the read may have
    /// unblocked it.
    fn poll_read_on<R: AsyncRead + ?Sized>(&mut self, cx: &mut Context<'_>, reader: Pin<&mut R>) -> Poll<()> {
        let Some((buffer, held)) = &mut self.held else { return Poll::Pending };
        if held.end == buffer.len() || self.ended || self.error.is_some() {
            return Poll::Pending;
        }
        ready!(coop::poll_budget(cx));
        match ready!(poll_read(cx, reader, &mut buffer[held.end..])) {
            Ok(0) => self.ended = true,
            Ok(count) => held.end += count,
            Err(error) => self.error = Some(error),
        }
        Poll::Ready(())
    }
}

fn poll_read<R: AsyncRead + ?Sized>(
    cx: &mut Context<'_>,
    reader: Pin<&mut R>,
    room: &mut [u8],
) -> Poll<io::Result<usize>> {
    let count = ready!(reader.poll_read(cx, room))?;
    assert!(count <= room.len(), "the reader reports more bytes than the buffer has room for");
    coop::spend();
    Poll::Ready(Ok(count))
}
