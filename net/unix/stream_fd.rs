//! The descriptor of a connected Unix socket, with the conclusions that may be drawn from a short read.
//!
//! The bytes of a Unix stream have marks between them. A read ends behind bytes that were sent with descriptors
//! (`SCM_RIGHTS`), and, if the socket receives credentials (`SO_PASSCRED`), where the bytes of another sender begin,
//! although there is more to read; see unix(7). So a short read has emptied the stream only if there are no marks.
//! Linux reports a mark by `MSG_CTRUNC` to a reader that has no room for control messages, which are dropped. On other
//! systems, nothing is concluded from a short read: the peer can set marks at any time, and a reader must not wait for
//! bytes that are there already.

use super::sys;
use crate::net::transfer::{MOST_BYTES, ReadFd, WriteFd};
use socket2::SockRef;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A connected socket of std.
pub(super) struct StreamFd {
    pub(super) socket: net::UnixStream,
    /// `true` after a mark was reported, and always on systems that do not report marks. A stream that has had one mark
    /// will have more.
    has_marks: AtomicBool,
}

impl StreamFd {
    pub(super) fn new(socket: net::UnixStream) -> StreamFd {
        StreamFd { socket, has_marks: AtomicBool::new(!sys::REPORTS_MARKS) }
    }

    fn note(&self, (count, is_at_mark): (usize, bool)) -> usize {
        if is_at_mark {
            self.has_marks.store(true, Relaxed);
        }
        count
    }
}

impl AsFd for StreamFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl ReadFd for StreamFd {
    #[inline]
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(MOST_BYTES);
        self.read_vectored(&mut [IoSliceMut::new(&mut buffer[..room])])
    }

    #[inline]
    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        sys::receive(self.as_fd(), buffers).map(|received| self.note(received))
    }

    #[cfg(feature = "tokio-io")]
    fn read_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<usize> {
        let most = room.len().min(MOST_BYTES);
        sys::receive_uninit(self.as_fd(), &mut room[..most]).map(|received| self.note(received))
    }

    #[inline]
    fn is_emptied_by_short(&self) -> bool {
        !self.has_marks.load(Relaxed)
    }
}

/// Writes without `SIGPIPE`, unlike std's methods, which call write(2) and writev(2) and raise it where it is not
/// ignored.
impl WriteFd for StreamFd {
    #[inline]
    fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        crate::net::sys::send(self.as_fd(), buffer)
    }

    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        SockRef::from(self).send_vectored_with_flags(buffers, crate::net::sys::SEND)
    }
}
