//! Reading up to a delimiter: `read_until` and `read_line`. `poll_read_until` is the one loop behind them, and behind
//! `lines` and `split`.

use super::read::Text;
use super::{poll_next_operation, unless_interrupted};
use futures_io::AsyncBufRead;
use std::io::{self, BufRead};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The future of `AsyncBufReadExt::read_until`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReadUntil<'a, R: ?Sized> {
    pub(super) reader: &'a mut R,
    pub(super) delimiter: u8,
    pub(super) buffer: &'a mut Vec<u8>,
    pub(super) count: usize,
}

impl<R: AsyncBufRead + Unpin + ?Sized> Future for ReadUntil<'_, R> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let reader = Pin::new(&mut *this.reader);
        ready!(poll_read_until(reader, cx, this.delimiter, this.buffer, &mut this.count))?;
        Poll::Ready(Ok(this.count))
    }
}

/// The future of `AsyncBufReadExt::read_line`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReadLine<'a, R: ?Sized> {
    pub(super) reader: &'a mut R,
    pub(super) text: Text<'a>,
    pub(super) count: usize,
}

impl<R: AsyncBufRead + Unpin + ?Sized> Future for ReadLine<'_, R> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let reader = Pin::new(&mut *this.reader);
        if let Err(error) = ready!(poll_read_until(reader, cx, b'\n', &mut this.text.bytes, &mut this.count))
        {
            // The beginning of the line, unless it ends within a character, is in the string as with tokio and std.
            let _ = this.text.append();
            return Poll::Ready(Err(error));
        }
        this.text.append()?;
        Poll::Ready(Ok(this.count))
    }
}

/// Appends bytes to the buffer, up to the delimiter and with it, or up to the end of the reader. `count` counts them
/// between two polls.
///
/// Bytes are consumed only when they are in the buffer. So nothing is lost if the reader fails or is not polled again.
pub(super) fn poll_read_until<R: AsyncBufRead + ?Sized>(
    mut reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    delimiter: u8,
    buffer: &mut Vec<u8>,
    count: &mut usize,
) -> Poll<io::Result<()>> {
    loop {
        let result = ready!(reader.as_mut().poll_fill_buf(cx));
        if let Some(bytes) = unless_interrupted(result)? {
            let (used, is_found) = length_until(bytes, delimiter);
            buffer.extend_from_slice(&bytes[..used]);
            reader.as_mut().consume(used);
            *count += used;
            if is_found || used == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        ready!(poll_next_operation(cx));
    }
}

/// Returns the number of bytes up to the delimiter and with it, and `true`; or the number of all bytes, and `false`.
fn length_until(bytes: &[u8], delimiter: u8) -> (usize, bool) {
    // std's search for a byte is memchr(3), and this is a safe way to it.
    let length = (&mut &*bytes).skip_until(delimiter).expect("a slice can always be read");
    (length, length > 0 && bytes[length - 1] == delimiter)
}

#[cfg(test)]
mod tests {
    use super::length_until;

    #[test]
    fn the_length_counts_the_delimiter_or_everything() {
        assert_eq!(length_until(b"", b'x'), (0, false));
        assert_eq!(length_until(b"x", b'x'), (1, true));
        assert_eq!(length_until(b"abxcx", b'x'), (3, true));
        assert_eq!(length_until(b"abc", b'x'), (3, false));
        assert_eq!(length_until(&[0xFF, 0, 0xFF], 0), (2, true));
    }
}
