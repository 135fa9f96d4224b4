//! The traits of tokio's `io`, for whatever has those of futures-io: feature `tokio-io`.
//!
//! What reads from a descriptor reads straight into the buffer, which need not be initialised first
//! (`read_buf.rs`). What is read from memory or by a wrapper has its room initialised, once: a
//! [`ReadBuf`](tokio::io::ReadBuf) knows how far it is.
//!
//! Without the feature, `tokio_traits_absent.rs` stands in the place of this file.

/// Reading by way of the [`Registered`](crate::runtime::io::registered::Registered) that is behind a value.
#[cfg(feature = "net")]
macro_rules! tokio_read {
    ($($type:ty: $value:ident => $io:expr;)*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
        impl ::tokio::io::AsyncRead for $type {
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buffer: &mut ::tokio::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $value = &*self;
                $io.poll_read_buf(cx, buffer)
            }
        }
    )*};
}

/// Writing, likewise; and how it is ended.
#[cfg(feature = "net")]
macro_rules! tokio_write {
    ($($type:ty: $value:ident => $io:expr, $close:expr;)*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
        impl ::tokio::io::AsyncWrite for $type {
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buffer: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $value = &*self;
                $io.poll_write(cx, buffer)
            }

            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buffers: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $value = &*self;
                $io.poll_write_vectored(cx, buffers)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            /// Nothing is held back here.
            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(Ok(()))
            }

            /// Shuts down writing, so that the peer comes to the end of the stream. May be repeated.
            fn poll_shutdown(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $value = self.get_mut();
                ::std::task::Poll::Ready($close)
            }
        }
    )*};
}

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

#[cfg(feature = "net")]
pub(crate) use {tokio_read, tokio_write};
pub(crate) use {tokio_read_by_futures, tokio_write_by_futures};
