//! Receiving into memory that holds nothing yet: the spare room of a [`BufMut`], such as that of a `Vec`.
//!
//! The law: what is handed to the system is the buffer's own chunk, and only as many bytes are said to
//! be there as the system says it has written to its beginning. socket2 takes such memory as it is,
//! so that nothing here pretends that it is initialised.
#![expect(unsafe_code, reason = "the room of a BufMut is lent as what it is, and grown by what was written")]

use crate::net::sys::RECEIVE;
use bytes::BufMut;
use socket2::{SockAddr, SockRef};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

/// A socket that datagrams are received from.
pub(crate) trait Receive: AsFd {
    /// Whether reading has been shut down here, so that nothing will come any more.
    fn is_at_end(&self) -> bool {
        false
    }
}

/// Receives one datagram behind what the buffer holds, into its next chunk.
pub(crate) fn recv(socket: &impl Receive, buffer: &mut impl BufMut) -> io::Result<usize> {
    let received = fill(buffer, |room| Ok((SockRef::from(socket).recv_with_flags(room, RECEIVE)?, ())));
    or_end(socket, received).map(|(count, _)| count)
}

/// As [`recv`], and tells who sent it; nobody, at the end.
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

/// `receive` is one of the calls above, which write as many bytes as they say.
fn fill<R>(
    buffer: &mut impl BufMut,
    receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<(usize, R)>,
) -> io::Result<(usize, R)> {
    let chunk = buffer.chunk_mut();
    let room = chunk.len();
    // SAFETY: the system writes what it received there, and never writes what is not initialised.
    let (count, rest) = receive(unsafe { chunk.as_uninit_slice_mut() })?;
    assert!(count <= room, "the system wrote {count} bytes where {room} had room");
    // SAFETY: so many bytes have just been written to the chunk's beginning.
    unsafe { buffer.advance_mut(count) };
    Ok((count, rest))
}

/// The forms of `recv` and `recv_from` for buffers that grow.
macro_rules! recv_buf_methods {
    ($type:ty, $address:ty, $convert:expr;
        recv_buf { $(#[$recv_buf:meta])* }
    ) => {
        #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
        impl $type {
            /// As [`recv`](Self::recv), into the room behind what the buffer holds, which need not be
            /// initialised.
            ///
            /// The room is that of one chunk, see [`BufMut::chunk_mut`](bytes::BufMut::chunk_mut): for a
            /// `Vec` or a `BytesMut` what it has reserved, so reserve enough for a whole datagram before.
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

            /// As [`recv_buf`](Self::recv_buf), and tells who sent it.
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

    /// Plays the system: writes what there is room for.
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
    fn what_is_received_comes_behind_what_is_there() {
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
    #[should_panic(expected = "the system wrote 5 bytes where 4 had room")]
    fn a_system_that_says_too_much_is_not_believed() {
        let mut array = [0; 4];
        _ = fill(&mut &mut array[..], |_| Ok((5, ())));
    }
}
