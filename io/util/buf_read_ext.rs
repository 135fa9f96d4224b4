//! `AsyncBufReadExt`, with the names of tokio's trait. `read_until.rs` and `lines.rs` do the work.

use super::lines::{Lines, Split};
use super::read::Text;
use super::read_until::{ReadLine, ReadUntil};
use futures_io::AsyncBufRead;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The methods of every [`AsyncBufRead`], such as a [`BufReader`](super::BufReader).
///
/// The names and meanings are tokio's. The traits of futures and of futures-lite have methods of the same names, so
/// import only one of these traits in a module.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};
///
/// # runtime::block_on(async {
/// let (mut client, server) = duplex(64);
/// client.write_all(b"GET /\nHost: here\n").await?;
/// drop(client);
/// let mut server = BufReader::new(server);
/// let mut request = String::new();
/// server.read_line(&mut request).await?;
/// assert_eq!(request, "GET /\n");
/// let mut headers = server.lines();
/// while let Some(line) = headers.next_line().await? {
///     assert_eq!(line, "Host: here");
/// }
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub trait AsyncBufReadExt: AsyncBufRead {
    /// Appends bytes to a vector, up to the delimiter and with it, and returns their number.
    ///
    /// If the reader ends before the delimiter, its last bytes are appended without one. The number is 0 if the reader
    /// is at its end.
    ///
    /// # Cancel safety
    ///
    /// The bytes that were read are in the vector, and the method may be called again with the same vector to read the
    /// rest. But their number is lost: the next call returns only the number of bytes that it has read itself, and its
    /// 0 means that there are no *more* bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of the reader. The bytes that were read before are in the vector. An interrupted read is
    /// repeated.
    fn read_until<'a>(&'a mut self, delimiter: u8, buffer: &'a mut Vec<u8>) -> ReadUntil<'a, Self>
    where
        Self: Unpin,
    {
        ReadUntil { reader: self, delimiter, buffer, count: 0 }
    }

    /// Appends a line and its line feed to a string, and returns the number of bytes.
    ///
    /// If the reader ends before the line feed, the last line is appended without one. The number is 0 if the reader is
    /// at its end. A line can be as long as the peer wants; [`take`](super::AsyncReadExt::take) sets a limit.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the part of the line that was read is lost. The contents of the string do not change. See
    /// [`Lines::next_line`] for a method that is cancel safe.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidData`](io::ErrorKind::InvalidData) if the line is not UTF-8. The line is lost, and the contents
    /// of the string do not change. If the reader fails, its error is returned. The beginning of the line is in the
    /// string, or is lost if it is not UTF-8. An interrupted read is repeated.
    fn read_line<'a>(&'a mut self, line: &'a mut String) -> ReadLine<'a, Self>
    where
        Self: Unpin,
    {
        ReadLine { reader: self, text: Text::new(line), count: 0 }
    }

    /// Splits the contents of the reader at each delimiter.
    fn split(self, delimiter: u8) -> Split<Self>
    where
        Self: Sized + Unpin,
    {
        Split::new(self, delimiter)
    }

    /// Splits the contents of the reader into lines.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::AsyncBufReadExt;
    ///
    /// # runtime::block_on(async {
    /// let mut lines = (&b"one\r\ntwo\n"[..]).lines();
    /// assert_eq!(lines.next_line().await?.as_deref(), Some("one"));
    /// assert_eq!(lines.next_line().await?.as_deref(), Some("two"));
    /// assert_eq!(lines.next_line().await?, None);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn lines(self) -> Lines<Self>
    where
        Self: Sized,
    {
        Lines::new(self)
    }

    /// Returns the contents of the reader's buffer, and first reads some bytes if the buffer is empty.
    ///
    /// The slice is empty only if the reader is at its end. The bytes stay in the buffer until
    /// [`consume`](AsyncBufReadExt::consume) is called.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it is ready, no bytes were read.
    ///
    /// # Errors
    ///
    /// Returns the errors of the reader.
    ///
    /// # Panics
    ///
    /// Panics if the reader has bytes in its buffer and is pending nevertheless when it is polled again.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncBufReadExt, BufReader};
    ///
    /// # runtime::block_on(async {
    /// let mut reader = BufReader::new(&b"+OK"[..]);
    /// let is_good = reader.fill_buf().await?.starts_with(b"+");
    /// reader.consume(1);
    /// assert!(is_good);
    /// assert_eq!(reader.buffer(), b"OK");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    fn fill_buf(&mut self) -> FillBuf<'_, Self>
    where
        Self: Unpin,
    {
        FillBuf { reader: Some(self) }
    }

    /// Removes bytes from the front of the reader's buffer, so that they are not read again.
    ///
    /// `count` is at most the length of the slice that [`fill_buf`](AsyncBufReadExt::fill_buf) returned.
    fn consume(&mut self, count: usize)
    where
        Self: Unpin,
    {
        AsyncBufRead::consume(Pin::new(self), count);
    }
}

impl<R: AsyncBufRead + ?Sized> AsyncBufReadExt for R {}

/// The future of `AsyncBufReadExt::fill_buf`.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct FillBuf<'a, R: ?Sized> {
    reader: Option<&'a mut R>,
}

impl<'a, R: AsyncBufRead + Unpin + ?Sized> Future for FillBuf<'a, R> {
    type Output = io::Result<&'a [u8]>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&'a [u8]>> {
        let reader = self.reader.as_mut().expect("`fill_buf` was polled after it was ready");
        if ready!(Pin::new(&mut **reader).poll_fill_buf(cx))?.is_empty() {
            return Poll::Ready(Ok(&[]));
        }
        // A slice that lives as long as the reader's borrow can only be returned by a call that takes this borrow away
        // from the future, whatever the call returns. So the reader is polled again, now that it has bytes.
        let reader = self.reader.take().expect("it was there above");
        match Pin::new(reader).poll_fill_buf(cx) {
            Poll::Pending => panic!("the reader has bytes in its buffer and is pending nevertheless"),
            ready => ready,
        }
    }
}
