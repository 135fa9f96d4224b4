//! Reading from a stream into uninitialized memory: tokio's `ReadBuf`, and the spare capacity of a [`BufMut`]. The
//! second of these is filled with datagrams, too, by `recv_buf.rs`.
//!
//! The traits of futures-io pass initialized bytes, while tokio keeps count of which bytes are initialized. To
//! initialize a fresh buffer for each read costs more than many a read, and the kernel initializes it anyway.
//!
//! The rule for soundness: the memory handed to the system is the buffer's own, and the buffer is advanced only by the
//! number of bytes that the system reports as written to the beginning of this memory.
#![expect(unsafe_code, reason = "the kernel initializes as many bytes of the memory as it returns")]

use super::transfer::{MOST_BYTES, ReadFd, emptied_below};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::Registered;
use bytes::BufMut;
use std::io;
use std::mem::MaybeUninit;
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
        self.try_io(Direction::Read, |source| fill(buffer, |room| source.read_uninit(room)))
    }
}

/// Reads behind the filled part of the buffer. `receive` is [`ReadFd::read_uninit`], which lets the kernel write as
/// many bytes as it returns.
fn read(
    buffer: &mut ReadBuf<'_>,
    receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
) -> io::Result<usize> {
    // SAFETY: no byte of it is made uninitialized again, since the kernel only writes to it.
    let count = receive(unsafe { buffer.unfilled_mut() })?;
    // SAFETY: the kernel has just written this many bytes.
    unsafe { buffer.assume_init(count) };
    buffer.advance(count);
    Ok(count)
}

/// Fills the next chunk of the buffer, behind its contents. `receive` is a call that lets the kernel write as many
/// bytes as it returns.
pub(super) fn fill(
    buffer: &mut impl BufMut,
    receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
) -> io::Result<usize> {
    fill_from(buffer, |room| Ok((receive(room)?, ()))).map(|(count, ())| count)
}

/// Fills the buffer as [`fill`] does, by a call that also returns where the bytes come from.
pub(super) fn fill_from<R>(
    buffer: &mut impl BufMut,
    receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<(usize, R)>,
) -> io::Result<(usize, R)> {
    let chunk = buffer.chunk_mut();
    let room = chunk.len();
    // SAFETY: the kernel writes what it received there, and never makes a byte uninitialized.
    let (count, from) = receive(unsafe { chunk.as_uninit_slice_mut() })?;
    assert!(count <= room, "the system wrote {count} bytes into a buffer of {room}");
    // SAFETY: this many bytes have just been written to the beginning of the chunk.
    unsafe { buffer.advance_mut(count) };
    Ok((count, from))
}

/// Implements the method for a type whose [`Registered`] is the expression `io`.
macro_rules! read_buf_method {
    ($type:ty: $value:ident => $io:expr) => {
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
    };
}

pub(super) use read_buf_method;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::sys;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn bytes_that_were_read_are_initialized_and_no_others() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut memory = [MaybeUninit::uninit(); 16];
        let mut buffer = ReadBuf::uninit(&mut memory);
        buffer.put_slice(b"ab");
        writer.write_all(b"cde").unwrap();
        assert_eq!(read(&mut buffer, |room| sys::read_uninit(reader.as_fd(), room)).unwrap(), 3);
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"abcde"[..], 5));
        drop(writer);
        assert_eq!(read(&mut buffer, |room| sys::read_uninit(reader.as_fd(), room)).unwrap(), 0, "the end");
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"abcde"[..], 5));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri does not know the error of read(2)")]
    fn an_error_fills_nothing() {
        let file = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
        let mut memory = [MaybeUninit::uninit(); 16];
        let mut buffer = ReadBuf::uninit(&mut memory);
        assert_eq!(
            read(&mut buffer, |room| sys::read_uninit(file.as_fd(), room)).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );
        assert!(buffer.filled().is_empty() && buffer.initialized().is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri does not know the error of read(2)")]
    fn bytes_that_were_read_are_placed_behind_the_contents() {
        fn read_behind(buffer: &mut impl BufMut, source: impl AsFd) -> io::Result<usize> {
            fill(buffer, |room| sys::read_uninit(source.as_fd(), room))
        }
        let (reader, mut writer) = io::pipe().unwrap();
        let mut buffer = Vec::with_capacity(64);
        buffer.extend_from_slice(b"ab");
        writer.write_all(b"cde").unwrap();
        assert_eq!(read_behind(&mut buffer, &reader).unwrap(), 3);
        assert_eq!(buffer, b"abcde");
        drop(writer);
        assert_eq!(read_behind(&mut buffer, &reader).unwrap(), 0, "the end");
        let mut small = &mut [0u8; 2][..];
        assert_eq!(
            read_behind(&mut small, io::pipe().unwrap().1).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );
        assert_eq!((small.len(), buffer), (2, b"abcde".to_vec()));
    }

    /// Imitates the system: writes as many bytes as there is room for.
    fn receive(data: &[u8]) -> impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize> {
        move |room| {
            let count = data.len().min(room.len());
            for (room, byte) in room.iter_mut().zip(data) {
                room.write(*byte);
            }
            Ok(count)
        }
    }

    #[test]
    fn received_bytes_are_placed_behind_the_contents() {
        let mut buffer = Vec::with_capacity(16);
        for (data, holds) in [(&b"one"[..], &b"one"[..]), (b"", b"one"), (b"two", b"onetwo")] {
            assert_eq!(fill(&mut buffer, receive(data)).unwrap(), data.len());
            assert_eq!(buffer, holds);
        }
        let error = fill(&mut buffer, |_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(buffer, b"onetwo");
    }

    #[test]
    fn a_buffer_takes_no_more_than_it_has_room_for() {
        let mut array = [0; 4];
        let mut room = &mut array[1..];
        assert_eq!(fill(&mut room, receive(b"too long")).unwrap(), 3);
        assert_eq!(fill(&mut room, receive(b"more")).unwrap(), 0);
        assert_eq!(&array, b"\0too");
    }

    #[test]
    #[should_panic(expected = "the system wrote 5 bytes into a buffer of 4")]
    fn a_system_that_reports_too_many_bytes_is_not_trusted() {
        let mut array = [0; 4];
        _ = fill(&mut &mut array[..], |_| Ok(5));
    }
}
