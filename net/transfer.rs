//! The transfer of bytes on a stream, in the form of futures-io: `stream_traits.rs` implements the traits with it.
//!
//! Each read and write is a system call, which is tried unless the descriptor is known not to be ready. A transfer that
//! is shorter than the buffers has emptied the stream, or filled it. So the descriptor is known not to be ready then,
//! which saves the next call, since it would return `EAGAIN`. For this, the size of the buffers must be counted as the
//! kernel counts it. On some descriptors a short transfer means nothing (a terminal returns one line at a time), and
//! this conclusion is not drawn.

use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::Registered;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

/// The maximum number of buffers that the kernel takes in one call (`UIO_MAXIOV`), see readv(2).
const MOST_BUFFERS: usize = 1024;

/// The maximum number of bytes that the kernel transfers in one call, see read(2).
pub(super) const MOST_BYTES: usize = 0x7fff_f000;

/// A descriptor from which bytes can be read. Each function is one system call that never blocks: read(2), or its
/// equivalent for a socket.
pub(crate) trait ReadFd: AsFd {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

    /// Reads into memory that need not be initialized. Afterwards, as many of its first bytes are initialized as the
    /// function returns.
    #[cfg(feature = "tokio-io")]
    #[inline]
    fn read_uninit(&self, room: &mut [std::mem::MaybeUninit<u8>]) -> io::Result<usize>
    where
        Self: Sized,
    {
        let most = room.len().min(MOST_BYTES);
        crate::net::sys::read_uninit(self.as_fd(), &mut room[..most])
    }

    /// Returns `true` if a short read has taken all bytes that were there. It is called after the read.
    #[inline]
    fn is_emptied_by_short(&self) -> bool {
        true
    }
}

/// A descriptor to which bytes can be written. Each function is one system call that never blocks, and raises no
/// `SIGPIPE` where the system has a way to prevent it.
pub(crate) trait WriteFd: AsFd {
    fn write(&self, buffer: &[u8]) -> io::Result<usize>;
    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Returns `true` if a short write has filled all the room that was there. It is called after the write.
    #[inline]
    fn is_filled_by_short(&self) -> bool {
        true
    }
}

// An empty buffer never reaches the system: its result would look like the end of the stream, or the call would wait
// for readiness that it cannot use.
impl<T: ReadFd> Registered<T> {
    #[inline]
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let is_all = emptied_below(buffer.len());
        self.poll_transfer(cx, Direction::Read, is_all, move |source| source.read(buffer))
    }

    pub(crate) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let (buffers, room) = filled_mut(buffers);
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        self.poll_transfer(cx, Direction::Read, emptied_below(room), |source| source.read_vectored(buffers))
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.try_io(Direction::Read, |source| source.read(buffer))
    }

    pub(crate) fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (buffers, room) = filled_mut(buffers);
        if room == 0 {
            return Ok(0);
        }
        self.try_io(Direction::Read, |source| source.read_vectored(buffers))
    }
}

impl<T: WriteFd> Registered<T> {
    #[inline]
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let is_all = filled_below(buffer.len());
        self.poll_transfer(cx, Direction::Write, is_all, move |sink| sink.write(buffer))
    }

    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (buffers, room) = filled(buffers);
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        self.poll_transfer(cx, Direction::Write, filled_below(room), |sink| sink.write_vectored(buffers))
    }

    pub(crate) fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.try_io(Direction::Write, |sink| sink.write(buffer))
    }

    pub(crate) fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let (buffers, room) = filled(buffers);
        if room == 0 {
            return Ok(0);
        }
        self.try_io(Direction::Write, |sink| sink.write_vectored(buffers))
    }
}

/// Returns a function that decides, from the number of bytes read into buffers of size `room`, if the source is empty
/// now.
#[inline]
pub(super) fn emptied_below<T: ReadFd>(room: usize) -> impl Fn(&T, usize) -> bool {
    move |source, count| count < room && count < MOST_BYTES && source.is_emptied_by_short()
}

/// Returns a function that decides, from the number of bytes written of `room`, if the sink is full now.
#[inline]
fn filled_below<T: WriteFd>(room: usize) -> impl Fn(&T, usize) -> bool {
    move |sink, count| count < room && count < MOST_BYTES && sink.is_filled_by_short()
}

/// Returns the buffers that the kernel would use, beginning with the first one that is not empty, and their total size.
fn filled<'a, 'b>(buffers: &'a [IoSlice<'b>]) -> (&'a [IoSlice<'b>], usize) {
    let (from, to, room) = extent(buffers);
    (&buffers[from..to], room)
}

fn filled_mut<'a, 'b>(buffers: &'a mut [IoSliceMut<'b>]) -> (&'a mut [IoSliceMut<'b>], usize) {
    let (from, to, room) = extent(buffers);
    (&mut buffers[from..to], room)
}

fn extent(buffers: &[impl Deref<Target = [u8]>]) -> (usize, usize, usize) {
    let from = buffers.iter().take_while(|buffer| buffer.is_empty()).count();
    let to = buffers.len().min(from.saturating_add(MOST_BUFFERS));
    let room = buffers[from..to].iter().fold(0, |room: usize, buffer| room.saturating_add(buffer.len()));
    (from, to, room.min(MOST_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_counts_only_the_buffers_that_the_kernel_would_use() {
        let byte = [0u8; 1];
        let many: Vec<IoSlice<'_>> =
            (0..3000).map(|n| IoSlice::new(if n < 1500 { &[] } else { &byte })).collect();
        assert_eq!(extent(&many), (1500, 2524, 1024));
        assert_eq!(extent(&many[..1500]), (1500, 1500, 0));
        assert_eq!(extent(&many[..1501]), (1500, 1501, 1));
        assert_eq!(extent(&[] as &[IoSlice<'_>]), (0, 0, 0));
    }
}
