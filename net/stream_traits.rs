//! The traits of streams that have a descriptor, and of their halves: those of futures-io, those for splice(2) and
//! sendfile(2), and tokio's if they are enabled.
//!
//! The macros know nothing of a stream but its [`Registered`](crate::runtime::io::registered::Registered), whose methods
//! in `transfer.rs` do the work.

/// Implements reading, with the [`Registered`] of a value.
macro_rules! async_read {
    ($($type:ty: $value:ident => $io:expr;)*) => {$(
        impl ::futures_io::AsyncRead for $type {
            #[inline]
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $value = &*self;
                $io.poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buffers: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $value = &*self;
                $io.poll_read_vectored(cx, buffers)
            }
        }

        #[cfg(feature = "io-util")]
        impl $crate::net::fd_traits::AsyncReadFd for $type {}

        #[cfg(feature = "io-util")]
        impl $crate::net::fd_traits::sealed::PollReadFd for $type {
            fn poll_read_fd(
                &self,
                cx: &mut ::std::task::Context<'_>,
                operation: $crate::net::fd_traits::Operation<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $value = self;
                $io.poll_io(cx, $crate::runtime::io::reactor::Direction::Read, |io| {
                    operation(::std::os::fd::AsFd::as_fd(io))
                })
            }
        }
    )*
        $crate::net::tokio_traits::tokio_read! { $($type: $value => $io;)* }
    };
}

/// Implements writing, with the [`Registered`] of a value, and the expression that closes it.
macro_rules! async_write {
    ($($type:ty: $value:ident => $io:expr, $close:expr;)*) => {$(
        impl ::futures_io::AsyncWrite for $type {
            #[inline]
            fn poll_write(self: ::std::pin::Pin<&mut Self>, cx: &mut ::std::task::Context<'_>, buffer: &[u8]) -> ::std::task::Poll<::std::io::Result<usize>> {
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

            /// Returns at once, since nothing is buffered here.
            fn poll_flush(self: ::std::pin::Pin<&mut Self>, _: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(Ok(()))
            }

            /// Shuts down writing, so that the peer reads the end of the stream, on descriptors that can be shut down
            /// without being dropped. The call may be repeated.
            fn poll_close(self: ::std::pin::Pin<&mut Self>, _: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
                let $value = self.get_mut();
                ::std::task::Poll::Ready($close)
            }
        }

        #[cfg(feature = "io-util")]
        impl $crate::net::fd_traits::AsyncWriteFd for $type {}

        #[cfg(feature = "io-util")]
        impl $crate::net::fd_traits::sealed::PollWriteFd for $type {
            fn poll_write_fd(
                &self,
                cx: &mut ::std::task::Context<'_>,
                operation: $crate::net::fd_traits::Operation<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $value = self;
                $io.poll_io(cx, $crate::runtime::io::reactor::Direction::Write, |io| {
                    operation(::std::os::fd::AsFd::as_fd(io))
                })
            }
        }
    )*
        $crate::net::tokio_traits::tokio_write! { $($type: $value => $io, $close;)* }
    };
}

pub(super) use {async_read, async_write};
