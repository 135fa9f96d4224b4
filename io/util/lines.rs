//! `Lines` and `Split`: a reader in parts. What was read of a part stays here while the reader is pending or after it
//! has failed, so no method loses anything.

use super::read_until::poll_read_until;
use futures_core::Stream;
use futures_io::AsyncBufRead;
use pin_project_lite::pin_project;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// The lines of a reader, created by [`AsyncBufReadExt::lines`](super::AsyncBufReadExt::lines).
    ///
    /// A line ends with a line feed, or with a carriage return and a line feed; neither is a part of it. The last line
    /// need not end with one. Lines are read by [`next_line`](Lines::next_line), or as a [`Stream`].
    ///
    /// A line can be as long as the peer wants. If the peer is not trusted, read with
    /// [`read_line`](super::AsyncBufReadExt::read_line) from a reader with a limit, see
    /// [`take`](super::AsyncReadExt::take).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Lines<R> {
        #[pin]
        reader: R,
        line: Vec<u8>,
    }
}

impl<R> Lines<R> {
    pub(super) fn new(reader: R) -> Lines<R> {
        Lines { reader, line: Vec::new() }
    }

    /// Returns a reference to the reader.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// Returns a mutable reference to the reader.
    ///
    /// Bytes that are read from it are missing in the lines.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Returns the reader. The part of a line that was read before is lost, if [`next_line`](Lines::next_line) was
    /// cancelled or failed.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: AsyncBufRead> Lines<R> {
    /// Returns the next line, or `None` if the reader is at its end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the part of a line that was read is kept for the next call.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidData`](ErrorKind::InvalidData) if the line is not UTF-8; the next call returns the line after
    /// it. Returns the errors of the reader, and keeps the part of the line that was read for the next call. An
    /// interrupted read is repeated.
    pub async fn next_line(&mut self) -> io::Result<Option<String>>
    where
        R: Unpin,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next_line(cx)).await
    }

    /// Polls for the next line; see [`next_line`](Lines::next_line).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`next_line`](Lines::next_line).
    pub fn poll_next_line(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Option<String>>> {
        let this = self.project();
        let Some(mut line) = ready!(poll_next_part(this.reader, cx, b'\n', this.line))? else {
            return Poll::Ready(Ok(None));
        };
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        let line = String::from_utf8(line).map_err(|error| io::Error::new(ErrorKind::InvalidData, error));
        Poll::Ready(line.map(Some))
    }
}

impl<R: AsyncBufRead> Stream for Lines<R> {
    type Item = io::Result<String>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<String>>> {
        self.poll_next_line(cx).map(Result::transpose)
    }
}

pin_project! {
    /// The segments of a reader between delimiters, created by
    /// [`AsyncBufReadExt::split`](super::AsyncBufReadExt::split).
    ///
    /// The delimiter is not a part of a segment, and the last segment need not end with one. Segments are read by
    /// [`next_segment`](Split::next_segment), or as a [`Stream`].
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Split<R> {
        #[pin]
        reader: R,
        segment: Vec<u8>,
        delimiter: u8,
    }
}

impl<R> Split<R> {
    pub(super) fn new(reader: R, delimiter: u8) -> Split<R> {
        Split { reader, segment: Vec::new(), delimiter }
    }
}

impl<R: AsyncBufRead> Split<R> {
    /// Returns the next segment, or `None` if the reader is at its end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the part of a segment that was read is kept for the next call.
    ///
    /// # Errors
    ///
    /// Returns the errors of the reader, and keeps the part of the segment that was read for the next call. An
    /// interrupted read is repeated.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::AsyncBufReadExt;
    ///
    /// # runtime::block_on(async {
    /// let mut fields = AsyncBufReadExt::split(&b"name\0value"[..], 0);
    /// assert_eq!(fields.next_segment().await?.as_deref(), Some(&b"name"[..]));
    /// assert_eq!(fields.next_segment().await?.as_deref(), Some(&b"value"[..]));
    /// assert_eq!(fields.next_segment().await?, None);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn next_segment(&mut self) -> io::Result<Option<Vec<u8>>>
    where
        R: Unpin,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next_segment(cx)).await
    }

    /// Polls for the next segment; see [`next_segment`](Split::next_segment).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`next_segment`](Split::next_segment).
    pub fn poll_next_segment(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Vec<u8>>>> {
        let this = self.project();
        let Some(mut segment) = ready!(poll_next_part(this.reader, cx, *this.delimiter, this.segment))?
        else {
            return Poll::Ready(Ok(None));
        };
        if segment.last() == Some(this.delimiter) {
            segment.pop();
        }
        Poll::Ready(Ok(Some(segment)))
    }
}

impl<R: AsyncBufRead> Stream for Split<R> {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Vec<u8>>>> {
        self.poll_next_segment(cx).map(Result::transpose)
    }
}

/// Reads up to the next delimiter, and takes the part out of the buffer when it is complete.
fn poll_next_part<R: AsyncBufRead>(
    reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    delimiter: u8,
    part: &mut Vec<u8>,
) -> Poll<io::Result<Option<Vec<u8>>>> {
    ready!(poll_read_until(reader, cx, delimiter, part, &mut 0))?;
    // Careful: at the end of the reader, the part may still have bytes of a poll before.
    Poll::Ready(Ok(if part.is_empty() { None } else { Some(mem::take(part)) }))
}
