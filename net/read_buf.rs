//! Reading from a descriptor into uninitialized memory: tokio's `ReadBuf`, and the spare capacity of a [`BufMut`].
//!
//! The traits of futures-io pass initialized bytes, while tokio keeps count of which bytes are initialized. To
//! initialize a fresh buffer for each read costs more than many a read, and the kernel initializes it anyway.
#![expect(unsafe_code, reason = "read(2) initializes as many bytes of the memory as it returns")]

use super::transfer::{MOST_BYTES, ReadFd, emptied_below};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::Registered;
use bytes::BufMut;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

impl<T: ReadFd> Registered<T> {
    /// Reads into the uninitialized part of the buffer, behind its contents; see [`poll_read`](Self::poll_read).
    pub(crate) fn poll_read_buf(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = buffer.remaining().min(MOST_BYTES);
        if most == 0 {
            return Poll::Ready(Ok(()));
        }
        let is_all = emptied_below(most);
        self.poll_transfer(cx, Direction::Read, is_all, |source| {
            read(buffer, |room| source.read_uninit(room))
        })
        .map_ok(drop)
    }

    /// Reads into the next chunk of a growing buffer; see [`try_read`](Self::try_read).
    pub(crate) fn try_read_buf(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        if buffer.chunk_mut().len() == 0 {
            return Ok(0);
        }
        self.try_io(Direction::Read, |source| read_behind(buffer, |room| source.read_uninit(room)))
    }
}

/// Reads behind the filled part of the buffer. `fill` is [`ReadFd::read_uninit`], which lets the kernel write as many
/// bytes as it returns.
fn read(
    buffer: &mut ReadBuf<'_>,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
) -> io::Result<usize> {
    // SAFETY: no byte of it is made uninitialized again, since the kernel only writes to it.
    let count = fill(unsafe { buffer.unfilled_mut() })?;
    // SAFETY: the kernel has just written this many bytes.
    unsafe { buffer.assume_init(count) };
    buffer.advance(count);
    Ok(count)
}

/// Reads into the next chunk of the buffer. `fill` is [`ReadFd::read_uninit`], as above.
fn read_behind(
    buffer: &mut impl BufMut,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
) -> io::Result<usize> {
    // SAFETY: no byte of it is made uninitialized again, since the kernel only writes to it.
    let count = fill(unsafe { buffer.chunk_mut().as_uninit_slice_mut() })?;
    // SAFETY: the kernel has just written this many bytes to the beginning of this very chunk.
    unsafe { buffer.advance_mut(count) };
    Ok(count)
}

/// Reads with read(2), which is the call for almost every [`ReadFd`].
pub(crate) fn read_into(source: &impl AsFd, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let (fd, most) = (source.as_fd().as_raw_fd(), room.len().min(MOST_BYTES));
    // SAFETY: the descriptor is open while it is borrowed, and the kernel writes no more bytes than `room` has.
    let count = unsafe { libc::read(fd, room.as_mut_ptr().cast(), most) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Implements the method for types whose [`Registered`] is the expression `io`.
macro_rules! read_buf_method {
    ($($type:ty: $value:ident => $io:expr;)*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
        impl $type {
            /// Reads into the spare capacity of a buffer, behind its contents, without waiting; see
            /// [`try_read`](Self::try_read). The spare capacity need not be initialized.
            ///
            /// Only one chunk of the buffer is filled, see [`BufMut::chunk_mut`](bytes::BufMut::chunk_mut). For a `Vec`
            /// or a `BytesMut` it is the reserved capacity.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`try_read`](Self::try_read).
            pub fn try_read_buf<B: ::bytes::BufMut>(&self, buffer: &mut B) -> ::std::io::Result<usize> {
                let $value = self;
                $io.try_read_buf(buffer)
            }
        }
    )*};
}

pub(crate) use read_buf_method;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn bytes_that_were_read_are_initialized_and_no_others() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut memory = [MaybeUninit::uninit(); 16];
        let mut buffer = ReadBuf::uninit(&mut memory);
        buffer.put_slice(b"ab");
        writer.write_all(b"cde").unwrap();
        assert_eq!(read(&mut buffer, |room| read_into(&reader, room)).unwrap(), 3);
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"abcde"[..], 5));
        drop(writer);
        assert_eq!(read(&mut buffer, |room| read_into(&reader, room)).unwrap(), 0, "the end");
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"abcde"[..], 5));
    }

    #[test]
    fn an_error_fills_nothing() {
        let file = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
        let mut memory = [MaybeUninit::uninit(); 16];
        let mut buffer = ReadBuf::uninit(&mut memory);
        assert_eq!(
            read(&mut buffer, |room| read_into(&file, room)).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );
        assert!(buffer.filled().is_empty() && buffer.initialized().is_empty());
    }

    #[test]
    fn bytes_that_were_read_are_placed_behind_the_contents() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut buffer = Vec::with_capacity(64);
        buffer.extend_from_slice(b"ab");
        writer.write_all(b"cde").unwrap();
        assert_eq!(read_behind(&mut buffer, |room| read_into(&reader, room)).unwrap(), 3);
        assert_eq!(buffer, b"abcde");
        drop(writer);
        assert_eq!(read_behind(&mut buffer, |room| read_into(&reader, room)).unwrap(), 0, "the end");
        let mut small = &mut [0u8; 2][..];
        assert_eq!(
            read_behind(&mut small, |room| read_into(&io::pipe().unwrap().1, room))
                .unwrap_err()
                .raw_os_error(),
            Some(libc::EBADF)
        );
        assert_eq!((small.len(), buffer), (2, b"abcde".to_vec()));
    }
}
