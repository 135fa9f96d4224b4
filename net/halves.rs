//! The halves of a stream, written once for each kind of stream: borrowed ones, and owned ones that may
//! go to two tasks.
//!
//! They are types of their own in each kind's module, as in tokio, and not one generic type: the names
//! are what people write. A half adds nothing to its stream but what it leaves out; so reading and
//! writing go to the stream's `io` directly, and cost what they cost there.
//!
//! The macros name the stream's type, which has `io`, `close_writing` and the methods of
//! `net/methods.rs`, and its address's. What only one kind has (such as peeking) is added there.

/// `ReadHalf` and `WriteHalf`, which borrow their stream, and `split`, which makes them.
macro_rules! borrowed_halves {
    ($stream:ident, $address:ty) => {
        #[doc = concat!("The half of a [`", stringify!($stream), "`] that reads. From [`", stringify!($stream), "::split`].")]
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $stream);

        #[doc = concat!("The half of a [`", stringify!($stream), "`] that writes. From [`", stringify!($stream), "::split`].")]
        ///
        /// Closing it shuts down writing; dropping it does nothing.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $stream);

        pub(super) fn split(stream: &mut $stream) -> (ReadHalf<'_>, WriteHalf<'_>) {
            (ReadHalf(stream), WriteHalf(stream))
        }

        $crate::net::transfer::async_read! {
            ReadHalf<'_>: half => half.0.io;
        }

        $crate::net::transfer::async_write! {
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

/// `OwnedReadHalf` and `OwnedWriteHalf`, `split`, which makes them, and `ReuniteError`. What precedes
/// the stream is appended to the documentation of `reunite`.
macro_rules! owned_halves {
    ($(#[$example:meta])* $stream:ident, $address:ty) => {
        #[doc = concat!("The half of a [`", stringify!($stream), "`] that reads. From [`", stringify!($stream), "::into_split`].")]
        ///
        /// Dropping it does nothing to the connection while the other half lives.
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            // Counted by an `Arc`, so that the halves are `Send`; it is touched only when they come and go.
            stream: ::std::sync::Arc<$stream>,
        }

        #[doc = concat!("The half of a [`", stringify!($stream), "`] that writes. From [`", stringify!($stream), "::into_split`].")]
        ///
        /// Closing it shuts down writing, and so does dropping it, unless it is
        /// [forgotten](OwnedWriteHalf::forget).
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: ::std::sync::Arc<$stream>,
            shuts_down: bool,
        }

        pub(super) fn split(stream: $stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let stream = ::std::sync::Arc::new(stream);
            (OwnedReadHalf { stream: stream.clone() }, OwnedWriteHalf { stream, shuts_down: true })
        }

        impl OwnedReadHalf {
            /// Puts the two halves of a stream together again.
            ///
            /// # Errors
            ///
            /// [`ReuniteError`], which gives both back, if they are not of the same stream.
            $(#[$example])*
            pub fn reunite(self, other: OwnedWriteHalf) -> ::std::result::Result<$stream, ReuniteError> {
                if !::std::sync::Arc::ptr_eq(&self.stream, &other.stream) {
                    return Err(ReuniteError(self, other));
                }
                other.forget();
                Ok(::std::sync::Arc::into_inner(self.stream).expect("a stream has but two halves"))
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
                    // A connection that cannot be shut down is gone.
                    let _ = self.stream.close_writing();
                }
            }
        }

        $crate::net::transfer::async_read! {
            OwnedReadHalf: half => half.stream.io;
        }

        $crate::net::transfer::async_write! {
            OwnedWriteHalf: half => half.stream.io, half.close();
        }

        $crate::net::halves::read_half! {
            OwnedReadHalf: half => half.stream, $stream, $address
        }

        $crate::net::halves::write_half! {
            OwnedWriteHalf: half => half.stream, $stream, $address
        }

        /// Two halves were not of the same stream. Gives them back.
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

/// The methods that a reading half has of its stream.
macro_rules! read_half {
    ($type:ty: $half:ident => $value:expr, $stream:ident, $address:ty) => {
        impl $type {
            #[doc = concat!("As [`", stringify!($stream), "::readable`].")]
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::readable`].")]
            pub async fn readable(&self) -> ::std::io::Result<()> {
                let $half = self;
                $value.readable().await
            }

            #[doc = concat!("As [`", stringify!($stream), "::try_read`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::try_read`].")]
            pub fn try_read(&self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                let $half = self;
                $value.try_read(buffer)
            }

            #[doc = concat!("As [`", stringify!($stream), "::try_read_vectored`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::try_read`].")]
            pub fn try_read_vectored(
                &self,
                buffers: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                let $half = self;
                $value.try_read_vectored(buffers)
            }
        }
        $crate::net::halves::either_half!($type: $half => $value, $stream, $address);
    };
}

/// The methods that a writing half has of its stream.
macro_rules! write_half {
    ($type:ty: $half:ident => $value:expr, $stream:ident, $address:ty) => {
        impl $type {
            #[doc = concat!("Shuts down writing, as [`", stringify!($stream), "::shutdown`].")]
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::shutdown`].")]
            pub async fn shutdown(&mut self) -> ::std::io::Result<()> {
                ::futures_lite::io::AsyncWriteExt::close(self).await
            }

            #[doc = concat!("As [`", stringify!($stream), "::writable`].")]
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::readable`].")]
            pub async fn writable(&self) -> ::std::io::Result<()> {
                let $half = self;
                $value.writable().await
            }

            #[doc = concat!("As [`", stringify!($stream), "::try_write`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::try_write`].")]
            pub fn try_write(&self, buffer: &[u8]) -> ::std::io::Result<usize> {
                let $half = self;
                $value.try_write(buffer)
            }

            #[doc = concat!("As [`", stringify!($stream), "::try_write_vectored`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::try_write`].")]
            pub fn try_write_vectored(&self, buffers: &[::std::io::IoSlice<'_>]) -> ::std::io::Result<usize> {
                let $half = self;
                $value.try_write_vectored(buffers)
            }
        }
        $crate::net::halves::either_half!($type: $half => $value, $stream, $address);
    };
}

/// The methods that either half has.
macro_rules! either_half {
    ($type:ty: $half:ident => $value:expr, $stream:ident, $address:ty) => {
        impl $type {
            #[doc = concat!("As [`", stringify!($stream), "::ready`].")]
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::readable`].")]
            pub async fn ready(
                &self,
                interest: $crate::runtime::io::interest::Interest,
            ) -> ::std::io::Result<$crate::runtime::io::interest::Ready> {
                let $half = self;
                $value.ready(interest).await
            }

            #[doc = concat!("As [`", stringify!($stream), "::local_addr`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::local_addr`].")]
            pub fn local_addr(&self) -> ::std::io::Result<$address> {
                let $half = self;
                $value.local_addr()
            }

            #[doc = concat!("As [`", stringify!($stream), "::peer_addr`].")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($stream), "::peer_addr`].")]
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
