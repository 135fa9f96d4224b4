//! The extension traits of streams, and the types around streams, under tokio's names.
//!
//! They work with everything that implements the traits of futures-io, and know nothing of sockets or of the loop. Two
//! rules hold for all of them:
//!
//! - A stream may be of another crate. The counts that it reports are checked here, so that a wrong count is a panic with
//!   a message, and not a buffer with bytes that were never read.
//! - A loop over such a stream spends the budget of the task, since the stream may always be ready and may not spend it
//!   itself.
//!
//! `*_ext.rs` have the traits and their documentation. `read.rs`, `write.rs`, `numbers.rs` and `read_until.rs` have the
//! futures that the methods return. The other files have one type each.

mod buf_read_ext;
mod buf_reader;
mod buf_stream;
mod buf_writer;
mod chain;
mod cursor;
mod lines;
mod numbers;
mod read;
mod read_ext;
mod read_until;
mod seek_ext;
mod take;
mod write;
mod write_ext;

pub use buf_read_ext::AsyncBufReadExt;
pub use buf_reader::BufReader;
pub use buf_stream::BufStream;
pub use buf_writer::BufWriter;
pub use chain::Chain;
pub use cursor::Cursor;
pub use lines::{Lines, Split};
pub use read_ext::AsyncReadExt;
pub use seek_ext::AsyncSeekExt;
pub use take::Take;
pub use write_ext::AsyncWriteExt;

use crate::task::coop;
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The size of the buffer of a [`BufReader`] or a [`BufWriter`] in bytes, if the caller sets no other. It is the size
/// that tokio and std use.
const DEFAULT_BUFFER_SIZE: usize = 8 * 1024;

/// Reads once, and checks the number of bytes that the reader reports.
// The result is only looked at, and not converted: a conversion would take it apart and put it together again.
#[inline]
fn poll_read<R: AsyncRead + ?Sized>(
    reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let result = reader.poll_read(cx, buffer);
    if let Poll::Ready(Ok(count)) = &result {
        read_count(*count, buffer.len());
    }
    result
}

/// Checks the number of bytes that a reader reports.
#[inline]
fn read_count(count: usize, room: usize) -> usize {
    assert!(count <= room, "the reader reports more bytes than the length of the buffer");
    count
}

/// Writes once, and checks the number of bytes that the writer reports.
#[inline]
fn poll_write<W: AsyncWrite + ?Sized>(
    writer: Pin<&mut W>,
    cx: &mut Context<'_>,
    buffer: &[u8],
) -> Poll<io::Result<usize>> {
    let result = writer.poll_write(cx, buffer);
    if let Poll::Ready(Ok(count)) = &result {
        write_count(*count, buffer.len());
    }
    result
}

/// Writes several buffers at once, and checks the number of bytes that the writer reports.
fn poll_write_vectored<W: AsyncWrite + ?Sized>(
    writer: Pin<&mut W>,
    cx: &mut Context<'_>,
    buffers: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    writer.poll_write_vectored(cx, buffers).map_ok(|count| write_count(count, total_length(buffers)))
}

/// Checks the number of bytes that a writer reports.
#[inline]
fn write_count(count: usize, length: usize) -> usize {
    assert!(count <= length, "the writer reports more bytes than it was given");
    count
}

/// Returns the number of bytes of all buffers. The same buffer may be given many times, so the sum may be too large.
fn total_length(buffers: &[IoSlice<'_>]) -> usize {
    buffers.iter().fold(0, |total, buffer| total.saturating_add(buffer.len()))
}

/// Turns an interrupted operation into `None`. The caller's loop then repeats it, as std does.
fn unless_interrupted<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        result => result.map(Some),
    }
}

/// Spends one unit of the budget between two operations of a loop. Pending if the task has none left. The loop must be
/// in a state in which it can go on then.
fn poll_next_operation(cx: &mut Context<'_>) -> Poll<()> {
    coop::poll_spend(cx)
}
