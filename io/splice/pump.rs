//! One direction of a copy in which the kernel moves a bulk of bytes.
//!
//! As soon as a read has filled the buffer, the rest goes through a pipe by splice(2), until there is no more. What
//! comes in small pieces goes through the buffer: one read and one write are cheaper than two calls of splice(2).
//!
//! All that goes through the buffer is the business of `io/pump.rs`, and so are the end of the reader, errors that come
//! behind bytes, and the count.

use super::sys::{self, Pipe};
use crate::io::pump::Pump;
use crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd};
use crate::task::coop;
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A direction, and what is under way in it.
pub(in crate::io) struct SplicePump {
    by_buffer: Pump,
    /// A pipe with bytes in it. They come before those of the buffer.
    pipe: Option<Pipe>,
    way: Way,
}

/// The way that the next bytes take.
#[derive(Clone, Copy)]
enum Way {
    /// Through the buffer, to the end: the kernel does not move these.
    Buffer,
    /// Through the buffer, unless a read fills it.
    Either,
    /// Through a pipe. So many bytes have gone through it since there was nothing to move.
    Pipe(usize),
}

/// The outcome of an attempt to fill a pipe.
enum Filled {
    /// There are bytes in the pipe.
    With(Pipe),
    /// The kernel has nothing to move. A read has to show whether the reader is drained or at its end: before an
    /// urgent mark, splice(2) says either of a socket that has more.
    Nothing,
    /// All pipes are in use.
    NoPipe,
    /// The kernel does not splice from this descriptor.
    Refused,
}

impl SplicePump {
    /// Makes a pump with a buffer of `size` bytes, at least 1.
    pub(in crate::io) fn new(size: usize) -> SplicePump {
        SplicePump { by_buffer: Pump::new(size), pipe: None, way: Way::Either }
    }

    /// Returns how many bytes the writer has taken.
    pub(in crate::io) fn copied(&self) -> u64 {
        self.by_buffer.copied()
    }

    /// Returns how many bytes have been read and not been written.
    pub(in crate::io) fn held(&self) -> usize {
        self.by_buffer.held() + self.pipe.as_ref().map_or(0, Pipe::level)
    }

    /// Ready when the reader is at its end, and all is written.
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

    /// Ready when there is something to deliver, or the end.
    fn poll_fetch<R: AsyncReadFd + ?Sized, W: AsyncWriteFd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        if let Way::Pipe(moved) = self.way {
            // The streams may be ready for ever.
            ready!(coop::poll_budget(cx));
            let Poll::Ready(filled) = poll_fill(cx, &*reader)? else {
                // There is nothing to flush meanwhile: no stream with a descriptor holds anything back.
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

    /// Writes what is in the pipe. Ready when that is nothing, or when the rest has been put into the buffer.
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

    /// Tells whether the next bytes are likely to be a bulk, too.
    fn way_after(&self, moved: usize) -> Way {
        if moved < 4 * self.by_buffer.size() { Way::Either } else { Way::Pipe(0) }
    }
}

fn poll_fill<R: AsyncReadFd + ?Sized>(cx: &mut Context<'_>, reader: &R) -> Poll<io::Result<Filled>> {
    let mut filled = Filled::Nothing;
    ready!(reader.poll_read_fd(cx, &mut |fd| {
        filled = fill(fd)?;
        Ok(())
    }))?;
    Poll::Ready(Ok(filled))
}

fn fill(reader: BorrowedFd<'_>) -> io::Result<Filled> {
    let Some(mut pipe) = Pipe::take() else { return Ok(Filled::NoPipe) };
    match pipe.fill(reader) {
        Ok(0) => Ok(Filled::Nothing),
        Ok(count) => {
            spend(count);
            Ok(Filled::With(pipe))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Nothing),
        Err(error) if sys::is_refusal(&error) => Ok(Filled::Refused),
        Err(error) => Err(error),
    }
}

/// Spends budget for as many bytes as the kernel has moved in one call, which are more than those of one read.
pub(in crate::io) fn spend(count: usize) {
    (0..count / (64 * 1024)).for_each(|_| coop::spend());
}
