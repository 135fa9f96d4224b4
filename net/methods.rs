//! The methods that sockets, pipes and halves have in common: waiting for readiness, and operations that are tried
//! once. Each type has its [`Registered`](crate::runtime::io::registered::Registered) in the field `io`. The attributes
//! that precede the type in a macro call (an example, as a rule) are appended to the documentation of the macro's main
//! method.

/// Implements waiting to read, and reading, for a type from which bytes can be read.
macro_rules! read_methods {
    ($(#[$example:meta])* $type:ty) => {
        impl $type {
            /// Waits until there is something to read, the stream has ended, or there is an error.
            ///
            /// Several calls may wait at once. Call [`try_read`](Self::try_read) next; it may return `WouldBlock` if
            /// another call has read first.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped does not take the readiness away.
            ///
            /// # Errors
            ///
            /// Returns an error if the descriptor cannot be registered, such as
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) if two runtimes wait for the same direction at once.
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            $(#[$example])*
            pub async fn readable(&self) -> ::std::io::Result<()> {
                self.io.ready($crate::runtime::io::reactor::Direction::Read).await.map(drop)
            }

            /// Polls for read readiness; see [`readable`](Self::readable). Only the waker passed to the latest call of
            /// this method or `poll_read` is woken.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`readable`](Self::readable).
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub fn poll_read_ready(&self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_ready(cx, $crate::runtime::io::reactor::Direction::Read).map_ok(drop)
            }

            /// Reads the bytes that are there, without waiting. Returns 0 at the end of the stream.
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if nothing is there, and the errors of recv(2),
            /// or of read(2) for a pipe.
            pub fn try_read(&self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                self.io.try_read(buffer)
            }

            /// Reads into several buffers, without waiting; see [`try_read`](Self::try_read).
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`try_read`](Self::try_read).
            pub fn try_read_vectored(&self, buffers: &mut [::std::io::IoSliceMut<'_>]) -> ::std::io::Result<usize> {
                self.io.try_read_vectored(buffers)
            }
        }

        $crate::net::tokio_traits::read_buf_method! { $type: value => value.io }
    };
}

/// Implements waiting to write, and writing, for a type to which bytes can be written.
macro_rules! write_methods {
    ($(#[$example:meta])* $type:ty) => {
        impl $type {
            /// Waits until there is room to write, or until there is an error.
            ///
            /// Several calls may wait at once. Call [`try_write`](Self::try_write) next; it may return `WouldBlock` if
            /// another call has written first.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped does not take the readiness away.
            ///
            /// # Errors
            ///
            /// Returns an error if the descriptor cannot be registered, such as
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) if two runtimes wait for the same direction at once.
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            $(#[$example])*
            pub async fn writable(&self) -> ::std::io::Result<()> {
                self.io.ready($crate::runtime::io::reactor::Direction::Write).await.map(drop)
            }

            /// Polls for write readiness; see [`writable`](Self::writable). Only the waker passed to the latest call of
            /// this method or `poll_write` is woken.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`writable`](Self::writable).
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub fn poll_write_ready(&self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_ready(cx, $crate::runtime::io::reactor::Direction::Write).map_ok(drop)
            }

            /// Writes as many bytes as there is room for, without waiting. Returns their number.
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no room, and the errors of send(2),
            /// or of write(2) for a pipe.
            pub fn try_write(&self, buffer: &[u8]) -> ::std::io::Result<usize> {
                self.io.try_write(buffer)
            }

            /// Writes from several buffers, without waiting; see [`try_write`](Self::try_write).
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`try_write`](Self::try_write).
            pub fn try_write_vectored(&self, buffers: &[::std::io::IoSlice<'_>]) -> ::std::io::Result<usize> {
                self.io.try_write_vectored(buffers)
            }
        }
    };
}

/// Implements `ready` for a type that can be waited for.
macro_rules! ready_method {
    ($(#[$example:meta])* $type:ty) => {
        impl $type {
            /// Waits until at least one direction of interest is ready, and returns the readiness that was found.
            /// Several calls may wait at once, and another call may use the readiness first.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: a call that is dropped does not take the readiness away.
            ///
            /// # Errors
            ///
            /// Returns an error if the descriptor cannot be registered, such as
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) if two runtimes wait for the same direction at once.
            ///
            /// # Panics
            ///
            /// Panics if there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            $(#[$example])*
            pub async fn ready(&self, interest: $crate::runtime::io::interest::Interest) -> ::std::io::Result<$crate::runtime::io::interest::Ready> {
                self.io.ready_for(interest).await.map(|found| found.ready)
            }
        }
    };
}

/// Implements `ready`, `try_io` and `async_io` for a type that can be waited for in both directions.
macro_rules! ready_methods {
    ($(#[$example:meta])* $type:ty) => {
        $crate::net::methods::ready_method! { $(#[$example])* $type }

        impl $type {
            /// Tries a system call of the caller on the descriptor, without waiting.
            ///
            /// `operation` is not called while no direction of interest is ready. If it returns
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock), the readiness is cleared, so it must return this error
            /// only if the system call did.
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if nothing is ready, and the errors of the call.
            pub fn try_io<R>(&self, interest: $crate::runtime::io::interest::Interest, operation: impl FnOnce() -> ::std::io::Result<R>) -> ::std::io::Result<R> {
                self.io.try_io_for(interest, |_| operation())
            }

            /// Repeats a system call of the caller on the descriptor until it returns anything but
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock), and waits for readiness in between. `operation` must
            /// return this error only if the system call did.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe if an `operation` that returns [`WouldBlock`](std::io::ErrorKind::WouldBlock)
            /// has done nothing.
            ///
            /// # Errors
            ///
            /// Returns the errors of the call, and the errors of [`ready`](Self::ready).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
            pub async fn async_io<R>(
                &self,
                interest: $crate::runtime::io::interest::Interest,
                mut operation: impl FnMut() -> ::std::io::Result<R>,
            ) -> ::std::io::Result<R> {
                self.io.async_io_for(interest, |_| operation()).await
            }
        }
    };
}

/// Implements timeouts for a type with operations that wait to read or to write.
macro_rules! deadline_methods {
    ($(#[$example:meta])* $type:ty) => {
        impl $type {
            /// Sets the maximum time that a read waits. `None`, the default, means no limit.
            ///
            /// After this time, a read that waits fails with [`TimedOut`](std::io::ErrorKind::TimedOut), and so do
            /// [`readable`](Self::readable) and similar methods. No data is lost: the next read may wait for the whole
            /// time again. The timeout never fires early. It may fire late, by at most a 32nd of its duration plus 0.1
            /// ms, plus the usual delay of a timer.
            ///
            /// The timeout is cheap enough to be set on every connection of a server. A read that has to wait then
            /// costs one more memory write, but no timer, and a read that does not have to wait costs nothing more.
            /// (Only the `async` methods of this type, such as `readable`, use a timer when they have to wait.)
            ///
            /// The time begins when a read first waits, and runs until there is something to read. So a read that is
            /// dropped early and the read that replaces it, as in a loop around `select`, share one timeout. If no read
            /// is waiting when that time ends, the next read starts a new timeout. This method starts a new timeout for
            /// a read that is waiting already. A `read_exact`, or a request that arrives in pieces, may wait this long
            /// for each piece: to limit the whole, put a [`timeout`](crate::time::timeout) around it.
            ///
            /// When the time ends, the task of the waiting read is woken. If the task does not poll the read then, the
            /// read no longer counts as waiting, and does not time out. This can happen to one of many reads in a
            /// `FuturesUnordered` while the owner of that collection handles the result of another read. Run each of
            /// these reads in a task of its own, or put a [`timeout`](crate::time::timeout) around each of them.
            ///
            /// Careful: this is not an idle timeout of a connection, since it does not take writes into account. In a
            /// proxy it cuts off a client that is silent in the middle of a long download. The timeout for a whole
            /// proxied connection is
            #[cfg_attr(
                feature = "io-util",
                doc = "[`BidirectionalOptions::idle_timeout`](crate::io::BidirectionalOptions::idle_timeout)."
            )]
            #[cfg_attr(
                not(feature = "io-util"),
                doc = "`io::BidirectionalOptions::idle_timeout`, with the feature `io-util`."
            )]
            ///
            /// # Errors
            ///
            /// Returns [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a duration of zero, as in std.
            $(#[$example])*
            pub fn set_read_timeout(&self, timeout: Option<::std::time::Duration>) -> ::std::io::Result<()> {
                self.io.set_timeout($crate::runtime::io::reactor::Direction::Read, timeout)
            }

            /// Sets the maximum time that a write waits. `None`, the default, means no limit.
            ///
            /// It applies to all operations that wait for room to write, by the rules of
            /// [`set_read_timeout`](Self::set_read_timeout).
            ///
            /// It limits each wait, not a whole `write_all`: a peer that takes a few bytes now and then can make a long
            /// write last as long as the peer likes. (The same is true in std, where `SO_SNDTIMEO` limits each call of
            /// send(2).) To limit the whole, put a [`timeout`](crate::time::timeout) around it: `timeout(limit,
            /// stream.write_all(&bytes)).await??`.
            ///
            /// Careful: this is not an idle timeout of a connection, since it does not take reads into account. In a
            /// proxy it cuts off a client that does not read for a while in the middle of a long upload. The timeout
            /// for a whole proxied connection is
            #[cfg_attr(
                feature = "io-util",
                doc = "[`BidirectionalOptions::idle_timeout`](crate::io::BidirectionalOptions::idle_timeout)."
            )]
            #[cfg_attr(
                not(feature = "io-util"),
                doc = "`io::BidirectionalOptions::idle_timeout`, with the feature `io-util`."
            )]
            ///
            /// # Errors
            ///
            /// Returns [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a duration of zero, as in std.
            pub fn set_write_timeout(&self, timeout: Option<::std::time::Duration>) -> ::std::io::Result<()> {
                self.io.set_timeout($crate::runtime::io::reactor::Direction::Write, timeout)
            }

            /// Returns the maximum time that a read waits. See [`set_read_timeout`](Self::set_read_timeout).
            ///
            /// # Errors
            ///
            /// Currently this method returns no errors.
            pub fn read_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                Ok(self.io.timeout($crate::runtime::io::reactor::Direction::Read))
            }

            /// Returns the maximum time that a write waits. See [`set_write_timeout`](Self::set_write_timeout).
            ///
            /// # Errors
            ///
            /// Currently this method returns no errors.
            pub fn write_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                Ok(self.io.timeout($crate::runtime::io::reactor::Direction::Write))
            }
        }
    };
}

pub(crate) use {deadline_methods, read_methods, ready_method, ready_methods, write_methods};
