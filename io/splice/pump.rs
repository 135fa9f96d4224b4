//! One direction of a copy in which the kernel moves large amounts of data.
//!
//! When a read has filled the buffer, the following bytes go through a pipe by splice(2), until the reader has no more.
//! Small pieces go through the buffer: one read and one write cost less than two calls of splice(2).
//!
//! `io/pump.rs` moves all bytes that go through the buffer. It also keeps the end of the reader, an error that follows
//! bytes, and the count.

use super::sys::{self, SplicePipe};
use crate::io::pump::Pump;
use crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd};
use crate::task::coop;
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// One direction of a copy, and the bytes that have been read and not been written yet.
pub(in crate::io) struct SplicePump {
    by_buffer: Pump,
    /// A pipe with bytes in it. They are written before the bytes in the buffer.
    pipe: Option<SplicePipe>,
    way: Way,
}

/// The way by which the next bytes move.
#[derive(Clone, Copy)]
enum Way {
    /// Through the buffer, until the end of the copy: the kernel cannot move the bytes of these descriptors.
    Buffer,
    /// Through the buffer, until a read fills it.
    Either,
    /// Through a pipe. The number counts the bytes that have moved through it since the reader last had nothing to
    /// move.
    Pipe(usize),
}

/// The outcome of an attempt to fill a pipe.
enum Filled {
    /// There are bytes in the pipe.
    With(SplicePipe),
    /// The kernel has nothing to move. Only a read can tell whether the reader has no more bytes for now or is at its
    /// end: before urgent data, splice(2) may report either of these although the socket has more bytes.
    Nothing,
    /// All pipes are in use.
    NoPipe,
    /// The kernel does not splice from this descriptor, or the stream does not lend it.
    Refused,
}

impl SplicePump {
    /// Creates a pump with a buffer of `size` bytes, or of 1 byte if `size` is 0.
    pub(in crate::io) fn new(size: usize) -> SplicePump {
        SplicePump { by_buffer: Pump::new(size), pipe: None, way: Way::Either }
    }

    /// Returns the number of bytes that the writer has accepted.
    pub(in crate::io) fn copied(&self) -> u64 {
        self.by_buffer.copied()
    }

    /// Returns the number of bytes that have been read and not been written.
    pub(in crate::io) fn held(&self) -> usize {
        self.by_buffer.held() + self.pipe.as_ref().map_or(0, SplicePipe::level)
    }

    /// Copies until the end of the reader. Returns `Ready` when all bytes have been written.
    pub(in crate::io) fn poll<R: AsyncReadFd + ?Sized, W: AsyncWriteFd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_drain(cx, &*writer))?;
            ready!(self.by_buffer.poll_deliver(cx, reader.as_mut(), writer.as_mut()))?;
            if self.by_buffer.is_ended() {
                return writer.poll_flush(cx);
            }
            ready!(self.poll_fetch(cx, reader.as_mut(), writer.as_mut()))?;
        }
    }

    /// Reads into the buffer, or fills a pipe. Returns `Ready` when there are bytes to write, or the reader is at its
    /// end.
    fn poll_fetch<R: AsyncReadFd + ?Sized, W: AsyncWriteFd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        if let Way::Pipe(moved) = self.way {
            // Both streams may be ready all the time.
            ready!(coop::poll_budget(cx));
            let Poll::Ready(filled) = poll_fill(cx, &*reader)? else {
                // The writer need not be flushed here: no stream with a descriptor buffers bytes.
                self.way = self.way_after(moved);
                return Poll::Pending;
            };
            match filled {
                Filled::With(pipe) => {
                    self.way = Way::Pipe(moved + pipe.level());
                    self.pipe = Some(pipe);
                    return Poll::Ready(Ok(()));
                }
                Filled::Nothing => self.way = self.way_after(moved),
                Filled::NoPipe => {}
                Filled::Refused => self.way = Way::Buffer,
            }
        }
        let count = ready!(self.by_buffer.poll_fetch(cx, reader, writer))?;
        if count == self.by_buffer.size() && matches!(self.way, Way::Either) {
            self.way = if sys::is_available() { Way::Pipe(0) } else { Way::Buffer };
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the bytes in the pipe. Returns `Ready` when the pipe is empty, or when its bytes have been moved into the
    /// buffer because the kernel cannot splice to this writer.
    fn poll_drain<W: AsyncWriteFd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &W,
    ) -> Poll<io::Result<()>> {
        while let Some(mut pipe) = self.pipe.take() {
            let mut count = 0;
            let drained = writer.poll_write_fd(cx, &mut |fd| {
                count = pipe.drain(fd)?;
                Ok(())
            });
            match drained {
                Poll::Pending => {
                    self.pipe = Some(pipe);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) => {
                    self.by_buffer.add_written(count)?;
                    self.pipe = Some(pipe).filter(|pipe| pipe.level() > 0);
                }
                Poll::Ready(Err(error)) if sys::is_refusal(&error) => {
                    self.way = Way::Buffer;
                    self.by_buffer.hold(pipe.read_all()?);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Returns the way of the next bytes, after `moved` bytes have gone through a pipe and the reader has no more. If
    /// that was a large amount of data, another one is likely to follow, so the next bytes go through a pipe at once.
    fn way_after(&self, moved: usize) -> Way {
        if moved < 4 * self.by_buffer.size() { Way::Either } else { Way::Pipe(0) }
    }
}

fn poll_fill<R: AsyncReadFd + ?Sized>(cx: &mut Context<'_>, reader: &R) -> Poll<io::Result<Filled>> {
    let mut filled = Filled::Nothing;
    let lent = reader.poll_read_fd(cx, &mut |fd| {
        filled = fill(fd)?;
        Ok(())
    });
    Poll::Ready(match ready!(lent) {
        Ok(()) => Ok(filled),
        Err(error) if sys::is_refusal(&error) => Ok(Filled::Refused),
        Err(error) => Err(error),
    })
}

fn fill(reader: BorrowedFd<'_>) -> io::Result<Filled> {
    let Some(mut pipe) = SplicePipe::take() else { return Ok(Filled::NoPipe) };
    match pipe.fill(reader) {
        Ok(0) => Ok(Filled::Nothing),
        Ok(count) => {
            spend(count);
            Ok(Filled::With(pipe))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Nothing),
        Err(error) => Err(error),
    }
}

/// Spends the budget for `count` bytes that the kernel has moved in one call: one operation for each 64 KiB, since one
/// call may move many times as much as one read.
pub(in crate::io) fn spend(count: usize) {
    (0..count / (64 * 1024)).for_each(|_| coop::spend());
}
