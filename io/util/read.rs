//! The futures that read bytes: `read`, `read_vectored`, `read_buf`, `read_exact`, `read_to_end`, `read_to_string`.
//!
//! The traits of futures-io read into initialized memory. `read_buf` and `read_to_end` get memory that is not, and
//! would have to clear it before each poll. They read into a buffer of the loop's pool instead and copy what has come,
//! which costs less than to clear a buffer that is then filled by a few bytes only.

use super::{poll_next_operation, poll_read, read_count, unless_interrupted};
use crate::io::lent::{BUFFER_SIZE, Buffer};
use bytes::BufMut;
use futures_io::AsyncRead;
use std::io::{self, ErrorKind, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The future of `AsyncReadExt::read`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Read<'a, R: ?Sized> {
    pub(super) reader: &'a mut R,
    pub(super) buffer: &'a mut [u8],
}

impl<R: AsyncRead + Unpin + ?Sized> Future for Read<'_, R> {
    type Output = io::Result<usize>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        poll_read(Pin::new(&mut *this.reader), cx, this.buffer)
    }
}

/// The future of `AsyncReadExt::read_vectored`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReadVectored<'a, 'b, R: ?Sized> {
    pub(super) reader: &'a mut R,
    pub(super) buffers: &'a mut [IoSliceMut<'b>],
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadVectored<'_, '_, R> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let count = ready!(Pin::new(&mut *this.reader).poll_read_vectored(cx, this.buffers))?;
        let room = this.buffers.iter().fold(0, |room: usize, buffer| room.saturating_add(buffer.len()));
        Poll::Ready(Ok(read_count(count, room)))
    }
}

/// The future of `AsyncReadExt::read_buf`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReadBuf<'a, R: ?Sized, B: ?Sized> {
    pub(super) reader: &'a mut R,
    pub(super) buffer: &'a mut B,
}

impl<R: AsyncRead + Unpin + ?Sized, B: BufMut + ?Sized> Future for ReadBuf<'_, R, B> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        // Careful: a growing buffer that is full reserves memory when it is asked for a chunk.
        if !this.buffer.has_remaining_mut() {
            return Poll::Ready(Ok(0));
        }
        let most = this.buffer.chunk_mut().len().min(BUFFER_SIZE);
        let mut lent = Buffer::take(BUFFER_SIZE);
        let count = ready!(poll_read(Pin::new(&mut *this.reader), cx, &mut lent[..most]))?;
        this.buffer.put_slice(&lent[..count]);
        Poll::Ready(Ok(count))
    }
}

/// The future of `AsyncReadExt::read_exact`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReadExact<'a, R: ?Sized> {
    pub(super) reader: &'a mut R,
    pub(super) buffer: &'a mut [u8],
    pub(super) filled: usize,
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadExact<'_, R> {
    type Output = io::Result<usize>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let length = this.buffer.len();
        ready!(poll_fill(Pin::new(&mut *this.reader), cx, this.buffer, &mut this.filled)).map_err(
            |error| match error {
                Unfilled::Io(error) => error,
                Unfilled::End => io::Error::new(ErrorKind::UnexpectedEof, "early eof"),
            },
        )?;
        Poll::Ready(Ok(length))
    }
}

/// The reason why a buffer could not be filled.
pub(super) enum Unfilled {
    Io(io::Error),
    /// The reader came to its end.
    End,
}

/// Reads until the buffer is full. `filled` counts the bytes between two polls.
#[inline]
pub(super) fn poll_fill<R: AsyncRead + ?Sized>(
    mut reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
    filled: &mut usize,
) -> Poll<Result<(), Unfilled>> {
    while *filled < buffer.len() {
        let result = ready!(poll_read(reader.as_mut(), cx, &mut buffer[*filled..]));
        match unless_interrupted(result).map_err(Unfilled::Io)? {
            Some(0) => return Poll::Ready(Err(Unfilled::End)),
            Some(count) => *filled += count,
            None => {}
        }
        if *filled < buffer.len() {
            ready!(poll_next_operation(cx));
        }
    }
    Poll::Ready(Ok(()))
}

/// The future of `AsyncReadExt::read_to_end`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReadToEnd<'a, R: ?Sized> {
    pub(super) reader: &'a mut R,
    pub(super) buffer: &'a mut Vec<u8>,
    pub(super) count: usize,
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadToEnd<'_, R> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(poll_read_to_end(Pin::new(&mut *this.reader), cx, this.buffer, &mut this.count))?;
        Poll::Ready(Ok(this.count))
    }
}

/// Appends all bytes of the reader to the buffer. `count` counts them between two polls.
fn poll_read_to_end<R: AsyncRead + ?Sized>(
    mut reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
    count: &mut usize,
) -> Poll<io::Result<()>> {
    let mut lent = Buffer::take(BUFFER_SIZE);
    loop {
        let result = ready!(poll_read(reader.as_mut(), cx, &mut lent));
        match unless_interrupted(result)? {
            Some(0) => return Poll::Ready(Ok(())),
            Some(more) => {
                buffer.extend_from_slice(&lent[..more]);
                *count += more;
            }
            None => {}
        }
        ready!(poll_next_operation(cx));
    }
}

/// The future of `AsyncReadExt::read_to_string`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReadToString<'a, R: ?Sized> {
    pub(super) reader: &'a mut R,
    pub(super) text: Text<'a>,
    pub(super) count: usize,
}

impl<R: AsyncRead + Unpin + ?Sized> Future for ReadToString<'_, R> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let text = &mut this.text;
        ready!(poll_read_to_end(Pin::new(&mut *this.reader), cx, &mut text.bytes, &mut this.count))?;
        text.append()?;
        Poll::Ready(Ok(this.count))
    }
}

/// Bytes that are appended to a string once they are known to be UTF-8. Until then the string does not change, whatever
/// the reader does.
#[derive(Debug)]
pub(super) struct Text<'a> {
    output: &'a mut String,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Text<'a> {
    pub(super) fn new(output: &'a mut String) -> Text<'a> {
        // An empty string lends its memory, so that a string that is used for many lines is allocated once.
        let bytes = if output.is_empty() { std::mem::take(output).into_bytes() } else { Vec::new() };
        Text { output, bytes }
    }

    /// Appends the bytes to the string. If they are not UTF-8, they are lost.
    pub(super) fn append(&mut self) -> io::Result<()> {
        let text = String::from_utf8(std::mem::take(&mut self.bytes))
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error.utf8_error()))?;
        if self.output.is_empty() {
            *self.output = text;
        } else {
            self.output.push_str(&text);
        }
        Ok(())
    }
}
