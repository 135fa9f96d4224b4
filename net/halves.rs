//! The halves of a stream, written once for all kinds of streams: borrowed ones, and owned ones that may be moved to
//! two tasks.
//!
//! They are separate types in the module of each kind, as in tokio, and not one generic type, since users write these
//! names. A half has only a part of the methods of its stream and adds none. So reading and writing use the stream's
//! `io` directly, and cost the same.
//!
//! The parameters of the macros are the type of the stream, which has `io`, `close_writing` and the methods of
//! `net/methods.rs`, and the type of its address. Methods that only one kind has (such as peeking) are added in its own
//! module.

/// Defines `ReadHalf` and `WriteHalf`, which borrow their stream, and `split`, which creates them.
macro_rules! borrowed_halves {
    ($stream:ident, $address:ty) => {
        #[doc = concat!("The half of a [`", stringify!($stream), "`] that reads. Returned by [`", stringify!($stream), "::split`].")]
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $stream);

        #[doc = concat!("The half of a [`", stringify!($stream), "`] that writes. Returned by [`", stringify!($stream), "::split`].")]
        ///
        /// Closing it shuts down writing; dropping it does nothing.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $stream);

        pub(super) fn split(stream: &mut $stream) -> (ReadHalf<'_>, WriteHalf<'_>) {
            (ReadHalf(stream), WriteHalf(stream))
        }

        $crate::net::stream_traits::async_read! {
            ReadHalf<'_>: half => half.0.io;
        }

        $crate::net::stream_traits::async_write! {
            WriteHalf<'_>: half => half.0.io, half.0.close_writing();
        }

        $crate::net::halves::read_half! {
            ReadHalf<'_>: half => half.0, $stream, $address
        }

        $crate::net::halves::write_half! {
            WriteHalf<'_>: half => half.0, $stream, $address
        }
    };
}

/// Defines `OwnedReadHalf`, `OwnedWriteHalf`, `ReuniteError`, and `into_split`, which creates the halves. The attributes
/// that precede the stream are appended to the documentation of `reunite`.
macro_rules! owned_halves {
    ($(#[$example:meta])* $stream:ident, $address:ty) => {
        #[doc = concat!("The half of a [`", stringify!($stream), "`] that reads. Returned by [`", stringify!($stream), "::into_split`].")]
        ///
        /// Dropping it has no effect on the connection while the other half is alive.
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            // Counted by an `Arc`, so that the halves are `Send`. The count changes only when halves are created and
            // dropped.
            stream: ::std::sync::Arc<$stream>,
        }

        #[doc = concat!("The half of a [`", stringify!($stream), "`] that writes. Returned by [`", stringify!($stream), "::into_split`].")]
        ///
        /// Closing it shuts down writing, and so does dropping it, unless it is
        /// [forgotten](OwnedWriteHalf::forget).
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: ::std::sync::Arc<$stream>,
            shuts_down: bool,
        }

        pub(super) fn into_split(stream: $stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let stream = ::std::sync::Arc::new(stream);
            (OwnedReadHalf { stream: stream.clone() }, OwnedWriteHalf { stream, shuts_down: true })
        }

        impl OwnedReadHalf {
            /// Joins the two halves of a stream, and returns the stream.
            ///
            /// # Errors
            ///
            /// Returns a [`ReuniteError`], which contains both halves, if they are not of the same stream.
            $(#[$example])*
            pub fn reunite(self, other: OwnedWriteHalf) -> ::std::result::Result<$stream, ReuniteError> {
                if !::std::sync::Arc::ptr_eq(&self.stream, &other.stream) {
                    return Err(ReuniteError(self, other));
                }
                other.forget();
                Ok(::std::sync::Arc::into_inner(self.stream).expect("a stream has only two halves"))
            }
        }

        impl OwnedWriteHalf {
            /// Equivalent to [`OwnedReadHalf::reunite`].
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`OwnedReadHalf::reunite`].
            pub fn reunite(self, other: OwnedReadHalf) -> ::std::result::Result<$stream, ReuniteError> {
                other.reunite(self)
            }

            /// Drops this half without shutting down writing.
            pub fn forget(mut self) {
                self.shuts_down = false;
            }

            fn close(&mut self) -> ::std::io::Result<()> {
                self.stream.close_writing()?;
                self.shuts_down = false;
                Ok(())
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.shuts_down {
                    // If a connection cannot be shut down, it is gone.
                    let _ = self.stream.close_writing();
                }
            }
        }

        $crate::net::stream_traits::async_read! {
            OwnedReadHalf: half => half.stream.io;
        }

        $crate::net::stream_traits::async_write! {
            OwnedWriteHalf: half => half.stream.io, half.close();
        }

        $crate::net::halves::read_half! {
            OwnedReadHalf: half => half.stream, $stream, $address
        }

        $crate::net::halves::write_half! {
            OwnedWriteHalf: half => half.stream, $stream, $address
        }

        /// The error of `reunite` for two halves that are not of the same stream. It contains both halves.
        #[derive(Debug)]
        pub struct ReuniteError(
            /// The half that reads.
            pub OwnedReadHalf,
            /// The half that writes.
            pub OwnedWriteHalf,
        );

        impl ::std::fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str("the two halves are not of the same stream")
            }
        }

        impl ::std::error::Error for ReuniteError {}
    };
}

/// Implements the methods of a stream that its reading half has.
macro_rules! read_half {
    ($type:ty: $half:ident => $value:expr, $stream:ident, $address:ty) => {
        impl $type {
            #[doc = concat!("Equivalent to [`", stringify!($stream), "::readable`].")]
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped does not take the readiness away.
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::readable`].")]
            pub async fn readable(&self) -> ::std::io::Result<()> {
                let $half = self;
                $value.readable().await
            }

            #[doc = concat!("Equivalent to [`", stringify!($stream), "::try_read`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::try_read`].")]
            pub fn try_read(&self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                let $half = self;
                $value.try_read(buffer)
            }

            #[doc = concat!("Equivalent to [`", stringify!($stream), "::try_read_vectored`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::try_read`].")]
            pub fn try_read_vectored(
                &self,
                buffers: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                let $half = self;
                $value.try_read_vectored(buffers)
            }
        }

        $crate::net::tokio_traits::read_buf_method! { $type: $half => $value.io }
        $crate::net::halves::either_half!($type: $half => $value, $stream, $address);
    };
}

/// Implements the methods of a stream that its writing half has.
macro_rules! write_half {
    ($type:ty: $half:ident => $value:expr, $stream:ident, $address:ty) => {
        impl $type {
            #[doc = concat!("Shuts down writing; see [`", stringify!($stream), "::shutdown`].")]
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe.
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::shutdown`].")]
            pub async fn shutdown(&mut self) -> ::std::io::Result<()> {
                let close = |cx: &mut ::std::task::Context<'_>| {
                    ::futures_io::AsyncWrite::poll_close(::std::pin::Pin::new(&mut *self), cx)
                };
                ::std::future::poll_fn(close).await
            }

            #[doc = concat!("Equivalent to [`", stringify!($stream), "::writable`].")]
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped does not take the readiness away.
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::readable`].")]
            pub async fn writable(&self) -> ::std::io::Result<()> {
                let $half = self;
                $value.writable().await
            }

            #[doc = concat!("Equivalent to [`", stringify!($stream), "::try_write`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::try_write`].")]
            pub fn try_write(&self, buffer: &[u8]) -> ::std::io::Result<usize> {
                let $half = self;
                $value.try_write(buffer)
            }

            #[doc = concat!("Equivalent to [`", stringify!($stream), "::try_write_vectored`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::try_write`].")]
            pub fn try_write_vectored(&self, buffers: &[::std::io::IoSlice<'_>]) -> ::std::io::Result<usize> {
                let $half = self;
                $value.try_write_vectored(buffers)
            }
        }
        $crate::net::halves::either_half!($type: $half => $value, $stream, $address);
    };
}

/// Implements the methods of a stream that both halves have.
macro_rules! either_half {
    ($type:ty: $half:ident => $value:expr, $stream:ident, $address:ty) => {
        impl $type {
            #[doc = concat!("Equivalent to [`", stringify!($stream), "::ready`].")]
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped does not take the readiness away.
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::readable`].")]
            pub async fn ready(
                &self,
                interest: $crate::runtime::io::interest::Interest,
            ) -> ::std::io::Result<$crate::runtime::io::interest::Ready> {
                let $half = self;
                $value.ready(interest).await
            }

            #[doc = concat!("Equivalent to [`", stringify!($stream), "::local_addr`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::local_addr`].")]
            pub fn local_addr(&self) -> ::std::io::Result<$address> {
                let $half = self;
                $value.local_addr()
            }

            #[doc = concat!("Equivalent to [`", stringify!($stream), "::peer_addr`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("Returns the same errors as [`", stringify!($stream), "::peer_addr`].")]
            pub fn peer_addr(&self) -> ::std::io::Result<$address> {
                let $half = self;
                $value.peer_addr()
            }
        }

        impl AsRef<$stream> for $type {
            fn as_ref(&self) -> &$stream {
                let $half = self;
                &$value
            }
        }
    };
}

pub(super) use {borrowed_halves, either_half, owned_halves, read_half, write_half};
