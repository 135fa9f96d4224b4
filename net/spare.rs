//! Receiving into uninitialized memory: the spare capacity of a [`BufMut`], such as that of a `Vec`.
//!
//! The rule for soundness: the memory handed to the system is the buffer's own chunk, and the buffer is advanced only
//! by the number of bytes that the system reports as written to the beginning of this chunk. socket2 takes
//! uninitialized memory, so nothing here pretends that it is initialized.
#![expect(unsafe_code, reason = "the chunk of a BufMut is uninitialized memory")]

use crate::net::sys::RECEIVE;
use bytes::BufMut;
use socket2::{SockAddr, SockRef};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

/// A socket from which datagrams are received.
pub(crate) trait Receive: AsFd {
    /// Returns `true` if reading has been shut down on this side, so that nothing more will be received.
    fn is_at_end(&self) -> bool {
        false
    }
}

/// Receives one datagram into the next chunk of the buffer, behind its contents.
pub(crate) fn recv(socket: &impl Receive, buffer: &mut impl BufMut) -> io::Result<usize> {
    let received = fill(buffer, |room| Ok((SockRef::from(socket).recv_with_flags(room, RECEIVE)?, ())));
    or_end(socket, received).map(|(count, _)| count)
}

/// Receives one datagram as [`recv`] does, and returns the address of its sender, or `None` at the end.
pub(crate) fn recv_from(
    socket: &impl Receive,
    buffer: &mut impl BufMut,
) -> io::Result<(usize, Option<SockAddr>)> {
    or_end(socket, fill(buffer, |room| SockRef::from(socket).recv_from_with_flags(room, RECEIVE)))
}

fn or_end<R>(socket: &impl Receive, received: io::Result<(usize, R)>) -> io::Result<(usize, Option<R>)> {
    match received {
        Ok((count, rest)) => Ok((count, Some(rest))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && socket.is_at_end() => Ok((0, None)),
        Err(error) => Err(error),
    }
}

/// Fills the next chunk of the buffer. `receive` is one of the calls above, which write as many bytes as they return.
fn fill<R>(
    buffer: &mut impl BufMut,
    receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<(usize, R)>,
) -> io::Result<(usize, R)> {
    let chunk = buffer.chunk_mut();
    let room = chunk.len();
    // SAFETY: the system writes what it received there, and never writes uninitialized bytes.
    let (count, rest) = receive(unsafe { chunk.as_uninit_slice_mut() })?;
    assert!(count <= room, "the system wrote {count} bytes into a buffer of {room}");
    // SAFETY: this many bytes have just been written to the beginning of the chunk.
    unsafe { buffer.advance_mut(count) };
    Ok((count, rest))
}

/// Implements the variants of `recv` and `recv_from` for growing buffers.
macro_rules! recv_buf_methods {
    ($type:ty, $address:ty, $convert:expr;
        recv_buf { $(#[$recv_buf:meta])* }
    ) => {
        #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
        impl $type {
            /// Receives one datagram into the spare capacity of a buffer, behind its contents; see
            /// [`recv`](Self::recv). The spare capacity need not be initialized.
            ///
            /// Only one chunk of the buffer is filled, see [`BufMut::chunk_mut`](bytes::BufMut::chunk_mut). For a `Vec`
            /// or a `BytesMut` it is the reserved capacity, so reserve enough for a whole datagram before the call.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped has received nothing.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`recv`](Self::recv).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait and no runtime is entered on this thread.
            $(#[$recv_buf])*
            pub async fn recv_buf<B: ::bytes::BufMut>(&self, buffer: &mut B) -> ::std::io::Result<usize> {
                self.io
                    .async_io($crate::runtime::io::reactor::Direction::Read, |io| {
                        $crate::net::spare::recv(io, buffer)
                    })
                    .await
            }

            /// Tries to receive one datagram into a growing buffer, without waiting; see [`recv_buf`](Self::recv_buf).
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`try_recv`](Self::try_recv).
            pub fn try_recv_buf<B: ::bytes::BufMut>(&self, buffer: &mut B) -> ::std::io::Result<usize> {
                self.io.try_io($crate::runtime::io::reactor::Direction::Read, |io| {
                    $crate::net::spare::recv(io, buffer)
                })
            }

            /// Receives one datagram into the spare capacity of a buffer, and returns its length in bytes and the
            /// address of its sender. See [`recv_buf`](Self::recv_buf).
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped has received nothing.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`recv_from`](Self::recv_from).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait and no runtime is entered on this thread.
            pub async fn recv_buf_from<B: ::bytes::BufMut>(&self, buffer: &mut B) -> ::std::io::Result<(usize, $address)> {
                let received = self
                    .io
                    .async_io($crate::runtime::io::reactor::Direction::Read, |io| {
                        $crate::net::spare::recv_from(io, buffer)
                    })
                    .await;
                received.and_then($convert)
            }

            /// Tries to receive one datagram into a growing buffer, and the address of its sender, without waiting; see
            /// [`recv_buf_from`](Self::recv_buf_from).
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`try_recv_from`](Self::try_recv_from).
            pub fn try_recv_buf_from<B: ::bytes::BufMut>(&self, buffer: &mut B) -> ::std::io::Result<(usize, $address)> {
                let received = self.io.try_io($crate::runtime::io::reactor::Direction::Read, |io| {
                    $crate::net::spare::recv_from(io, buffer)
                });
                received.and_then($convert)
            }
        }
    };
}

pub(crate) use recv_buf_methods;

#[cfg(test)]
mod tests {
    use super::*;

    /// Imitates the system: writes as many bytes as there is room for.
    fn receive(data: &[u8]) -> impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<(usize, ())> {
        move |room| {
            let count = data.len().min(room.len());
            for (room, byte) in room.iter_mut().zip(data) {
                room.write(*byte);
            }
            Ok((count, ()))
        }
    }

    #[test]
    fn received_bytes_are_placed_behind_the_contents() {
        let mut buffer = Vec::with_capacity(16);
        for (data, holds) in [(&b"one"[..], &b"one"[..]), (b"", b"one"), (b"two", b"onetwo")] {
            assert_eq!(fill(&mut buffer, receive(data)).unwrap().0, data.len());
            assert_eq!(buffer, holds);
        }
        let error = fill(&mut buffer, |_| io::Result::<(usize, ())>::Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(buffer, b"onetwo");
    }

    #[test]
    fn a_buffer_takes_no_more_than_it_has_room_for() {
        let mut array = [0; 4];
        let mut room = &mut array[1..];
        assert_eq!(fill(&mut room, receive(b"too long")).unwrap().0, 3);
        assert_eq!(fill(&mut room, receive(b"more")).unwrap().0, 0);
        assert_eq!(&array, b"\0too");
    }

    #[test]
    #[should_panic(expected = "the system wrote 5 bytes into a buffer of 4")]
    fn a_system_that_reports_too_many_bytes_is_not_trusted() {
        let mut array = [0; 4];
        _ = fill(&mut &mut array[..], |_| Ok((5, ())));
    }
}
