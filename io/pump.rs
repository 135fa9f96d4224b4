//! One direction of a copy: what is read here is written there, until the end.
//!
//! A buffer is held only as long as there are bytes in it; while the reader has nothing, the copy is
//! a few words. What is read goes out at once, so the buffer is usually back in the loop's hands when
//! the poll ends, for the next copy.
//!
//! While the writer is pending, the copy reads on into the rest of the buffer. A writer may be waiting for
//! something that comes with what is read: the window of a stream of HTTP/2, a message of a handshake of TLS.
//!
//! Between two descriptors a *bulk* of bytes takes the way round user space (`detour.rs`): as soon as
//! a read has filled the buffer, the rest goes through a pipe, until there is no more. What comes in
//! small pieces never does: a read and a write are cheaper.

use super::detour::{self, Drained, Filled, Pipe};
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
    held: Held,
    way: Way,
    /// The reader is at its end.
    ended: bool,
    /// Or it has failed, after what is held.
    error: Option<io::Error>,
    unflushed: bool,
}

/// What has been read and not been written.
enum Held {
    Nothing,
    InBuffer(Buffer, Range<usize>),
    InPipe(Pipe),
}

/// Which way the next bytes take.
#[derive(Clone, Copy)]
enum Way {
    /// By a buffer, as ever.
    Buffer,
    /// By a buffer, unless it turns out that there is more.
    Either,
    /// Through a pipe, which so many bytes have gone through since there was nothing to move.
    Pipe(usize),
}

impl Pump {
    /// For a certain pair of types. `size` is that of the buffer, and at least 1.
    pub(super) fn new<R: ?Sized, W: ?Sized>(size: usize) -> Pump {
        let way = if detour::connects::<R, W>() { Way::Either } else { Way::Buffer };
        Pump {
            size: size.max(1),
            copied: 0,
            held: Held::Nothing,
            way,
            ended: false,
            error: None,
            unflushed: false,
        }
    }

    /// Ready with the number of bytes when the reader is at its end, and all is written and flushed.
    pub(super) fn poll<R: AsyncRead + ?Sized, W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>> {
        loop {
            if self.poll_deliver(cx, writer.as_mut())?.is_pending() {
                ready!(self.poll_read_on(cx, reader.as_mut()));
                continue;
            }
            if let Some(error) = self.error.take() {
                return Poll::Ready(Err(error));
            }
            if self.ended {
                ready!(writer.as_mut().poll_flush(cx))?;
                return Poll::Ready(Ok(self.copied));
            }
            if self.poll_fetch(cx, reader.as_mut())?.is_pending() {
                // While there is nothing to do, what the writer holds back is to get on its way.
                if self.unflushed {
                    ready!(writer.as_mut().poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
    }

    /// Ready when nothing is held any more.
    fn poll_deliver<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        loop {
            match std::mem::replace(&mut self.held, Held::Nothing) {
                Held::Nothing => return Poll::Ready(Ok(())),
                Held::InBuffer(buffer, left) => {
                    let written = writer.as_mut().poll_write(cx, &buffer[left.clone()]);
                    let Poll::Ready(written) = written else {
                        self.held = Held::InBuffer(buffer, left);
                        return Poll::Pending;
                    };
                    let count = written?;
                    self.account(count)?;
                    assert!(count <= left.len(), "the writer claims to have written more than it was given");
                    if count < left.len() {
                        self.held = Held::InBuffer(buffer, left.start + count..left.end);
                    }
                }
                Held::InPipe(pipe) => {
                    let (pipe, drained) = detour::poll_drain(cx, pipe, writer.as_mut());
                    let Poll::Ready(drained) = drained else {
                        self.held = pipe.map_or(Held::Nothing, Held::InPipe);
                        return Poll::Pending;
                    };
                    match drained? {
                        Drained::By(count) => {
                            self.account(count)?;
                            self.held =
                                pipe.filter(|pipe| pipe.level() > 0).map_or(Held::Nothing, Held::InPipe);
                        }
                        Drained::Refused(bytes) => {
                            self.way = Way::Buffer;
                            let all = 0..bytes.len();
                            self.held = Held::InBuffer(bytes.into(), all);
                        }
                    }
                }
            }
        }
    }

    fn account(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the writer takes nothing any more"));
        }
        self.copied += count as u64;
        self.unflushed = true;
        Ok(())
    }

    /// Ready when there is something to deliver, or the end.
    fn poll_fetch<R: AsyncRead + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
    ) -> Poll<io::Result<()>> {
        // Neither side need know of the budget, and both may be ready for ever.
        ready!(coop::poll_budget(cx));
        if let Way::Pipe(moved) = self.way {
            let Poll::Ready(filled) = detour::poll_fill(cx, reader.as_mut()) else {
                self.way = self.way_after(moved);
                return Poll::Pending;
            };
            match filled? {
                Filled::With(pipe) => {
                    self.way = Way::Pipe(moved + pipe.level());
                    self.held = Held::InPipe(pipe);
                    return Poll::Ready(Ok(()));
                }
                Filled::Nothing => self.way = self.way_after(moved),
                Filled::NoPipe => {}
                Filled::Refused => self.way = Way::Buffer,
            }
        }
        let mut buffer = Buffer::take(self.size);
        let count = ready!(poll_read(cx, reader, &mut buffer))?;
        match count {
            0 => self.ended = true,
            count => self.held = Held::InBuffer(buffer, 0..count),
        }
        if count == self.size && matches!(self.way, Way::Either) {
            self.way = if detour::is_open() { Way::Pipe(0) } else { Way::Buffer };
        }
        Poll::Ready(Ok(()))
    }

    /// The writer is pending: reads what there is behind what is held, if there is room. Ready when there is
    /// something new, and so a reason to try the writer again.
    fn poll_read_on<R: AsyncRead + ?Sized>(&mut self, cx: &mut Context<'_>, reader: Pin<&mut R>) -> Poll<()> {
        let Held::InBuffer(buffer, held) = &mut self.held else { return Poll::Pending };
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

    /// Whether the next bytes are likely to be a bulk, too.
    fn way_after(&self, moved: usize) -> Way {
        if moved < 4 * self.size { Way::Either } else { Way::Pipe(0) }
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
