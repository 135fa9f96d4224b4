//! Reading from a descriptor into memory that nobody has initialised: tokio's `ReadBuf`.
//!
//! futures-io hands out initialised bytes, tokio keeps count of which are. To initialise a fresh
//! buffer for each read costs more than many a read; the kernel does it as well.
#![expect(unsafe_code, reason = "read(2) initialises as much of the memory as it says")]

use crate::net::transfer::{MOST_BYTES, Source};
use crate::runtime::reactor::Direction;
use crate::runtime::registered::Registered;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

impl<T: Source> Registered<T> {
    /// As [`poll_read`](Self::poll_read), behind what the buffer has already.
    pub(crate) fn poll_read_buf(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let room = self.room_to_read(buffer.remaining());
        let read = self.poll_transfer(cx, Direction::Read, room, |source| read(source.as_fd(), buffer));
        read.map_ok(drop)
    }
}

/// A [`Source`] is read by read(2), or by what does the same on a socket.
fn read(fd: BorrowedFd<'_>, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
    // SAFETY: nothing in there is made uninitialised again, the kernel only writes to it.
    let room = unsafe { buffer.unfilled_mut() };
    // SAFETY: the descriptor is open while it is borrowed, and the kernel writes no more than
    // `room` has.
    let count = unsafe { libc::read(fd.as_raw_fd(), room.as_mut_ptr().cast(), room.len().min(MOST_BYTES)) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has just written so many.
    unsafe { buffer.assume_init(count) };
    buffer.advance(count);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_read_is_initialised_and_no_more() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut memory = [MaybeUninit::uninit(); 16];
        let mut buffer = ReadBuf::uninit(&mut memory);
        buffer.put_slice(b"ab");
        writer.write_all(b"cde").unwrap();
        assert_eq!(read(reader.as_fd(), &mut buffer).unwrap(), 3);
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"abcde"[..], 5));
        drop(writer);
        assert_eq!(read(reader.as_fd(), &mut buffer).unwrap(), 0, "the end");
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"abcde"[..], 5));
    }

    #[test]
    fn an_error_fills_nothing() {
        let file = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
        let mut memory = [MaybeUninit::uninit(); 16];
        let mut buffer = ReadBuf::uninit(&mut memory);
        assert_eq!(read(file.as_fd(), &mut buffer).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert!(buffer.filled().is_empty() && buffer.initialized().is_empty());
    }
}
