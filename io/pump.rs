//! One direction of a copy: what is read here is written there, until the end.
//!
//! A buffer is held only as long as there are bytes in it; while the reader has nothing, the copy is
//! a few words. What is read goes out at once, so the buffer is usually back in the loop's hands when
//! the poll ends, for the next copy.
//!
//! While the writer is pending, the copy reads on into the rest of the buffer. A writer may be waiting for
//! something that comes with what is read: the window of a stream of HTTP/2, a message of a handshake of TLS.
//!
//! The pump does not know descriptors. `splice/pump.rs` has one in it, for the bytes that the kernel does not move.

use super::lent::Buffer;
use crate::task::coop;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A direction, and what is under way in it.
pub(super) struct Pump {
    size: usize,
    copied: u64,
    /// What has been read and not been written.
    held: Option<(Buffer, Range<usize>)>,
    /// The reader is at its end.
    ended: bool,
    /// Or it has failed, after what is held.
    error: Option<io::Error>,
    unflushed: bool,
}

impl Pump {
    /// Makes a pump with a buffer of `size` bytes, at least 1.
    pub(super) fn new(size: usize) -> Pump {
        Pump { size: size.max(1), copied: 0, held: None, ended: false, error: None, unflushed: false }
    }

    /// Returns the size of the buffer.
    #[cfg(feature = "io-util")]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns how many bytes the writer has taken.
    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    /// Returns how many bytes have been read and not been written.
    #[cfg(feature = "io-util")]
    pub(super) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |(_, held)| held.len())
    }

    /// Ready when the reader is at its end, and all is written and flushed.
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

    /// Writes what is held, and reads on while the writer is pending. Ready when nothing is held any more.
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

    /// Reads when nothing is held. Ready with the number of bytes that are held then: 0 at the end of the reader.
    pub(super) fn poll_fetch<R: AsyncRead + ?Sized, W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(count) = self.poll_read(cx, reader)? else {
            // While there is nothing to do, what the writer holds back is to get on its way.
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

    /// Takes over bytes that have been read in another way. Nothing is held at that time.
    #[cfg(feature = "io-util")]
    pub(super) fn hold(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.held.is_none(), "bytes must not overtake those that are held");
        let all = 0..bytes.len();
        self.held = Some((bytes.into(), all));
    }

    /// Counts bytes that the writer has taken.
    pub(super) fn add_written(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the writer takes nothing any more"));
        }
        self.copied += count as u64;
        self.unflushed = true;
        Ok(())
    }

    /// Ready when nothing is held any more.
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
            assert!(count <= held.len(), "the writer claims to have written more than it was given");
            if count < held.len() {
                self.held = Some((buffer, held.start + count..held.end));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read<R: AsyncRead + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
    ) -> Poll<io::Result<usize>> {
        // Neither side need know of the budget, and both may be ready for ever.
        ready!(coop::poll_budget(cx));
        let mut buffer = Buffer::take(self.size);
        let count = ready!(poll_read(cx, reader, &mut buffer))?;
        match count {
            0 => self.ended = true,
            count => self.held = Some((buffer, 0..count)),
        }
        Poll::Ready(Ok(count))
    }

    /// The writer is pending: reads what there is behind what is held, if there is room. Ready when there is
    /// something new, and so a reason to try the writer again.
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
    assert!(count <= room.len(), "the reader claims to have read more than there is room for");
    coop::spend();
    Poll::Ready(Ok(count))
}
