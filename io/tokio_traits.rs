//! The traits of tokio's `io`, for streams that have those of futures-io and no descriptor: feature `tokio-io`.
//!
//! What is read from memory or by a wrapper has its room initialised, once: a
//! [`ReadBuf`](tokio::io::ReadBuf) knows how far it is. Descriptors are read without that, see
//! `net/tokio_traits.rs`.
//!
//! Without the feature, `tokio_traits_disabled.rs` stands in the place of this file.

/// Reading by way of futures-io's trait, for `Unpin` types of whose parameters some read.
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

/// Writing, likewise.
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

            /// Several buffers are at worst written one by one.
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
