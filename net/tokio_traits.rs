//! The feature `tokio-io` for streams and halves with a descriptor: the traits of tokio's `io`, and the method of
//! `read_buf.rs`.
//!
//! A read goes directly into the buffer, which need not be initialized first (`read_buf.rs`). The streams of `io` that
//! have no descriptor get the traits in `io/tokio_traits.rs`.
//!
//! Without the feature, `tokio_traits_disabled.rs` replaces this file.

/// Implements reading, with the [`Registered`](crate::runtime::io::registered::Registered) of a value.
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

/// Implements writing, with the [`Registered`](crate::runtime::io::registered::Registered) of a value, and the
/// expression that closes it.
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

            /// Returns at once, since nothing is buffered here.
            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(Ok(()))
            }

            /// Shuts down writing, so that the peer reads the end of the stream. The call may be repeated.
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

pub(super) use super::read_buf::read_buf_method;
pub(super) use {tokio_read, tokio_write};
