//! The futures that write bytes: `write`, `write_vectored`, `write_buf`, `write_all_buf`, `write_all`, `flush`,
//! `shutdown`.

use super::{poll_next_operation, poll_write, poll_write_vectored, unless_interrupted};
use bytes::Buf;
use futures_io::AsyncWrite;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The largest number of chunks of a buffer that are written at once. They are collected on the stack, so there cannot
/// be as many as the kernel allows.
const MOST_CHUNKS: usize = 64;

/// The future of `AsyncWriteExt::write`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Write<'a, W: ?Sized> {
    pub(super) writer: &'a mut W,
    pub(super) buffer: &'a [u8],
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for Write<'_, W> {
    type Output = io::Result<usize>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        poll_write(Pin::new(&mut *this.writer), cx, this.buffer)
    }
}

/// The future of `AsyncWriteExt::write_vectored`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct WriteVectored<'a, 'b, W: ?Sized> {
    pub(super) writer: &'a mut W,
    pub(super) buffers: &'a [IoSlice<'b>],
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for WriteVectored<'_, '_, W> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        poll_write_vectored(Pin::new(&mut *this.writer), cx, this.buffers)
    }
}

/// The future of `AsyncWriteExt::write_buf`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct WriteBuf<'a, W, B> {
    pub(super) writer: &'a mut W,
    pub(super) buffer: &'a mut B,
}

impl<W: AsyncWrite + Unpin, B: Buf> Future for WriteBuf<'_, W, B> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if !this.buffer.has_remaining() {
            return Poll::Ready(Ok(0));
        }
        poll_write_buf(Pin::new(&mut *this.writer), cx, this.buffer)
    }
}

/// Writes once, and advances the buffer, which is not empty.
fn poll_write_buf<W: AsyncWrite>(
    writer: Pin<&mut W>,
    cx: &mut Context<'_>,
    buffer: &mut impl Buf,
) -> Poll<io::Result<usize>> {
    let count = if buffer.chunk().len() == buffer.remaining() {
        ready!(poll_write(writer, cx, buffer.chunk()))?
    } else {
        let mut chunks = [IoSlice::new(&[]); MOST_CHUNKS];
        let count = buffer.chunks_vectored(&mut chunks);
        ready!(poll_write_vectored(writer, cx, &chunks[..count]))?
    };
    buffer.advance(count);
    Poll::Ready(Ok(count))
}

/// The future of `AsyncWriteExt::write_all_buf`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct WriteAllBuf<'a, W, B> {
    pub(super) writer: &'a mut W,
    pub(super) buffer: &'a mut B,
}

impl<W: AsyncWrite + Unpin, B: Buf> Future for WriteAllBuf<'_, W, B> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.buffer.has_remaining() {
            let result = ready!(poll_write_buf(Pin::new(&mut *this.writer), cx, this.buffer));
            if unless_interrupted(result)? == Some(0) {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            if this.buffer.has_remaining() {
                ready!(poll_next_operation(cx));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The future of `AsyncWriteExt::write_all`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct WriteAll<'a, W: ?Sized> {
    pub(super) writer: &'a mut W,
    pub(super) buffer: &'a [u8],
    pub(super) written: usize,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for WriteAll<'_, W> {
    type Output = io::Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        poll_drain(Pin::new(&mut *this.writer), cx, this.buffer, &mut this.written)
    }
}

/// Writes until all bytes of the buffer are written. `written` counts them between two polls.
#[inline]
pub(super) fn poll_drain<W: AsyncWrite + ?Sized>(
    mut writer: Pin<&mut W>,
    cx: &mut Context<'_>,
    buffer: &[u8],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    while *written < buffer.len() {
        let result = ready!(poll_write(writer.as_mut(), cx, &buffer[*written..]));
        match unless_interrupted(result)? {
            Some(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            Some(count) => *written += count,
            None => {}
        }
        if *written < buffer.len() {
            ready!(poll_next_operation(cx));
        }
    }
    Poll::Ready(Ok(()))
}

/// The future of `AsyncWriteExt::flush`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Flush<'a, W: ?Sized> {
    pub(super) writer: &'a mut W,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for Flush<'_, W> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.writer).poll_flush(cx)
    }
}

/// The future of `AsyncWriteExt::shutdown` and `close`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Close<'a, W: ?Sized> {
    pub(super) writer: &'a mut W,
}

impl<W: AsyncWrite + Unpin + ?Sized> Future for Close<'_, W> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.writer).poll_close(cx)
    }
}
