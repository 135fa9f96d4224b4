//! Receiving datagrams into growing buffers: the methods that all datagram sockets have with the feature `tokio-io`.
//!
//! The memory is filled by `read_buf.rs`, as for streams. But here one call is one datagram: an empty buffer reaches the
//! system, and the length of a datagram says nothing about the queue; see `datagram.rs`, which uses this macro.

/// Implements the variants of `recv` and `recv_from` for growing buffers.
macro_rules! recv_buf_methods {
    ($(#[$recv_buf:meta])* $type:ty, $address:ty) => {
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
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            $(#[$recv_buf])*
            pub async fn recv_buf<B: ::bytes::BufMut>(&self, buffer: &mut B) -> ::std::io::Result<usize> {
                self.io
                    .async_io($crate::runtime::io::reactor::Direction::Read, |io| {
                        $crate::net::read_buf::fill(buffer, |room| io.recv_uninit(room))
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
                    $crate::net::read_buf::fill(buffer, |room| io.recv_uninit(room))
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
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub async fn recv_buf_from<B: ::bytes::BufMut>(&self, buffer: &mut B) -> ::std::io::Result<(usize, $address)> {
                self.io
                    .async_io($crate::runtime::io::reactor::Direction::Read, |io| {
                        $crate::net::read_buf::fill_from(buffer, |room| io.recv_from_uninit(room))
                    })
                    .await
            }

            /// Tries to receive one datagram into a growing buffer, and the address of its sender, without waiting; see
            /// [`recv_buf_from`](Self::recv_buf_from).
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`try_recv_from`](Self::try_recv_from).
            pub fn try_recv_buf_from<B: ::bytes::BufMut>(&self, buffer: &mut B) -> ::std::io::Result<(usize, $address)> {
                self.io.try_io($crate::runtime::io::reactor::Direction::Read, |io| {
                    $crate::net::read_buf::fill_from(buffer, |room| io.recv_from_uninit(room))
                })
            }
        }
    };
}

pub(super) use recv_buf_methods;
