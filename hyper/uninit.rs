//! Reading between the two buffers that count which of their bytes are initialized: the cursor of hyper, and the
//! `ReadBuf` of tokio.
//!
//! The rule for soundness: the memory that the inner stream gets is the outer buffer's own, and the outer buffer is
//! advanced only by the number of bytes that the inner buffer, over the same memory, reports as filled.
#![expect(unsafe_code, reason = "both buffers hand out uninitialized memory")]

use ::hyper::rt::{Read, ReadBufCursor};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Reads from a stream with tokio's trait into the cursor of hyper.
#[inline]
pub(super) fn read_by_tokio<T: AsyncRead + ?Sized>(
    stream: Pin<&mut T>,
    cx: &mut Context<'_>,
    mut cursor: ReadBufCursor<'_>,
) -> Poll<io::Result<()>> {
    // SAFETY: tokio's buffer never makes a byte uninitialized.
    let room = unsafe { cursor.as_mut() };
    let begin = room.as_ptr().cast::<u8>();
    let mut buffer = ReadBuf::uninit(room);
    ready!(stream.poll_read(cx, &mut buffer))?;
    assert_eq!(buffer.filled().as_ptr(), begin, "the stream has replaced the buffer");
    let count = buffer.filled().len();
    // SAFETY: the bytes that the inner buffer has filled are initialized, and they are at the beginning of the room.
    unsafe { cursor.advance(count) };
    Poll::Ready(Ok(()))
}

/// Reads from a stream with hyper's trait into the buffer of tokio.
pub(super) fn read_by_hyper<T: Read + ?Sized>(
    stream: Pin<&mut T>,
    cx: &mut Context<'_>,
    outer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    // SAFETY: hyper's buffer never makes a byte uninitialized.
    let mut buffer = ::hyper::rt::ReadBuf::uninit(unsafe { outer.unfilled_mut() });
    // The stream gets a cursor by value, so it cannot replace the buffer.
    ready!(stream.poll_read(cx, buffer.unfilled()))?;
    let count = buffer.filled().len();
    // SAFETY: the bytes that the inner buffer has filled are initialized, and they are at the beginning of the room.
    unsafe { outer.assume_init(count) };
    outer.advance(count);
    Poll::Ready(Ok(()))
}
