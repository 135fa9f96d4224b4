//! `AsyncSeekExt`, with the names of tokio's trait, and the future behind all of its methods.

use futures_io::AsyncSeek;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The methods of every [`AsyncSeek`].
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncSeekExt, Cursor, SeekFrom};
///
/// # runtime::block_on(async {
/// let mut reader = Cursor::new(b"head and body");
/// assert_eq!(reader.seek(SeekFrom::End(-4)).await?, 9);
/// let mut text = String::new();
/// reader.read_to_string(&mut text).await?;
/// assert_eq!(text, "body");
/// assert_eq!(reader.stream_position().await?, 13);
/// reader.rewind().await?;
/// assert_eq!(reader.read_u8().await?, b'h');
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub trait AsyncSeekExt: AsyncSeek {
    /// Moves to another position in the stream, and returns this position, counted from the start in bytes.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the position may have changed or not. Seek again to a position that does not depend on it.
    ///
    /// # Errors
    ///
    /// Returns the errors of the stream, for example if the position would be before the start.
    fn seek(&mut self, position: SeekFrom) -> Seek<'_, Self>
    where
        Self: Unpin,
    {
        Seek { stream: self, position }
    }

    /// Moves to the start of the stream; see [`seek`](AsyncSeekExt::seek).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, but the method may be called again.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`seek`](AsyncSeekExt::seek).
    fn rewind(&mut self) -> Seek<'_, Self>
    where
        Self: Unpin,
    {
        self.seek(SeekFrom::Start(0))
    }

    /// Returns the position in the stream, counted from the start in bytes.
    ///
    /// A [`BufReader`](super::BufReader) discards its buffer, and a [`BufWriter`](super::BufWriter) writes it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, unless the stream itself is not.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`seek`](AsyncSeekExt::seek).
    fn stream_position(&mut self) -> Seek<'_, Self>
    where
        Self: Unpin,
    {
        self.seek(SeekFrom::Current(0))
    }
}

impl<S: AsyncSeek + ?Sized> AsyncSeekExt for S {}

/// The future of `AsyncSeekExt::seek`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Seek<'a, S: ?Sized> {
    stream: &'a mut S,
    position: SeekFrom,
}

impl<S: AsyncSeek + Unpin + ?Sized> Future for Seek<'_, S> {
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let position = self.position;
        Pin::new(&mut *self.stream).poll_seek(cx, position)
    }
}
