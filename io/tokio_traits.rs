//! The traits of `tokio::io` for streams without a descriptor, on top of the traits of futures-io (feature `tokio-io`).
//!
//! A read initializes the buffer of the caller first. That happens once for each buffer, since a
//! [`ReadBuf`](tokio::io::ReadBuf) remembers how much of it is initialized. Streams with a descriptor read into
//! uninitialized buffers, see `net/tokio_traits.rs`.
//!
//! Without the feature, `tokio_traits_disabled.rs` replaces this file.

/// Implements tokio's `AsyncRead` for types that implement the `AsyncRead` of futures-io. Each type is followed by its
/// parameters and their bounds. The parameters must be `Unpin`.
macro_rules! tokio_read_by_futures {
    ($($type:ty $(, $parameter:ident: $bound:path)*;)*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
        impl<$($parameter: $bound + Unpin),*> ::tokio::io::AsyncRead for $type {
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buffer: &mut ::tokio::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let read = ::futures_io::AsyncRead::poll_read(self, cx, buffer.initialize_unfilled());
                read.map_ok(|count| buffer.advance(count))
            }
        }
    )*};
}

/// Implements tokio's `AsyncWrite` for types that implement the `AsyncWrite` of futures-io, in the same way.
macro_rules! tokio_write_by_futures {
    ($($type:ty $(, $parameter:ident: $bound:path)*;)*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
        impl<$($parameter: $bound + Unpin),*> ::tokio::io::AsyncWrite for $type {
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buffer: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::futures_io::AsyncWrite::poll_write(self, cx, buffer)
            }

            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buffers: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::futures_io::AsyncWrite::poll_write_vectored(self, cx, buffers)
            }

            /// Returns `true`: every stream accepts several buffers, even if it writes only the first of them.
            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::futures_io::AsyncWrite::poll_flush(self, cx)
            }

            fn poll_shutdown(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::futures_io::AsyncWrite::poll_close(self, cx)
            }
        }
    )*};
}

pub(crate) use {tokio_read_by_futures, tokio_write_by_futures};
