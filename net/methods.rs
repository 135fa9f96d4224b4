//! The methods that sockets, pipes and halves have in common: waiting for readiness, and operations that
//! are tried once. Each type has its [`Registered`](crate::runtime::io::registered::Registered) in `io`. What
//! precedes the type is appended to the documentation of the method that it is most about.

/// Of whatever bytes can be read from.
macro_rules! read_methods {
    ($(#[$example:meta])* $type:ty) => {
        impl $type {
            /// Waits until there is something to read, the end of the stream, or an error.
            ///
            /// Several calls may wait at once. To be followed by [`try_read`](Self::try_read), which
            /// may find that somebody else was first.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            /// Returns an error if the descriptor cannot be registered, such as
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) if two runtimes wait for the same direction at once.
            ///
            /// # Panics
            ///
            /// Panics if no runtime is entered on this thread.
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
            /// Panics if no runtime is entered on this thread.
            pub fn poll_read_ready(&self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_ready(cx, $crate::runtime::io::reactor::Direction::Read).map_ok(drop)
            }

            /// Reads what is there, without waiting. 0 is the end of the stream.
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if nothing is there, and the errors of recv(2),
            /// or of read(2) for a pipe.
            pub fn try_read(&self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                self.io.try_read(buffer)
            }

            /// As [`try_read`](Self::try_read), into several buffers.
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`try_read`](Self::try_read).
            pub fn try_read_vectored(&self, buffers: &mut [::std::io::IoSliceMut<'_>]) -> ::std::io::Result<usize> {
                self.io.try_read_vectored(buffers)
            }
        }
    };
}

/// Of whatever bytes can be written to.
macro_rules! write_methods {
    ($(#[$example:meta])* $type:ty) => {
        impl $type {
            /// Waits until there is room to write, or an error.
            ///
            /// Several calls may wait at once. To be followed by [`try_write`](Self::try_write), which
            /// may find that somebody else was first.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            /// Returns an error if the descriptor cannot be registered, such as
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) if two runtimes wait for the same direction at once.
            ///
            /// # Panics
            ///
            /// Panics if no runtime is entered on this thread.
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
            /// Panics if no runtime is entered on this thread.
            pub fn poll_write_ready(&self, cx: &mut ::std::task::Context<'_>) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_ready(cx, $crate::runtime::io::reactor::Direction::Write).map_ok(drop)
            }

            /// Writes as much as there is room for, without waiting.
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if there is no room, and the errors of send(2),
            /// or of write(2) for a pipe.
            pub fn try_write(&self, buffer: &[u8]) -> ::std::io::Result<usize> {
                self.io.try_write(buffer)
            }

            /// As [`try_write`](Self::try_write), from several buffers.
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

/// Of whatever can be waited for.
macro_rules! ready_method {
    ($(#[$example:meta])* $type:ty) => {
        impl $type {
            /// Waits until a side of interest is ready, and tells which. It may turn out that somebody else
            /// was first. Several calls may wait at once.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: the readiness is still there.
            ///
            /// # Errors
            ///
            /// Returns an error if the descriptor cannot be registered, such as
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) if two runtimes wait for the same direction at once.
            ///
            /// # Panics
            ///
            /// Panics if no runtime is entered on this thread.
            $(#[$example])*
            pub async fn ready(&self, interest: $crate::runtime::io::interest::Interest) -> ::std::io::Result<$crate::runtime::io::interest::Ready> {
                self.io.ready_for(interest).await.map(|found| found.ready)
            }
        }
    };
}

/// Of whatever can be waited for, and has two sides.
macro_rules! ready_methods {
    ($(#[$example:meta])* $type:ty) => {
        $crate::net::methods::ready_method! { $(#[$example])* $type }

        impl $type {
            /// Tries a system call of one's own on it, without waiting.
            ///
            /// It is not called while no side of interest is ready. When it says
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock), that is remembered: it must not say so unless the
            /// system did.
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if nothing is ready, and the errors of the call.
            pub fn try_io<R>(&self, interest: $crate::runtime::io::interest::Interest, operation: impl FnOnce() -> ::std::io::Result<R>) -> ::std::io::Result<R> {
                self.io.try_io_for(interest, |_| operation())
            }

            /// Makes a system call of one's own on it, as soon as it does not say
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) any more; that it must not say unless the system did.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe, if a call that says [`WouldBlock`](std::io::ErrorKind::WouldBlock) has done nothing.
            ///
            /// # Errors
            ///
            /// Returns the errors of the call, and the errors of [`ready`](Self::ready).
            ///
            /// # Panics
            ///
            /// Panics if the call has to wait and no runtime is entered on this thread.
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

/// Of whatever is read and written by operations that may wait.
macro_rules! deadline_methods {
    ($(#[$example:meta])* $type:ty) => {
        impl $type {
            /// Sets how long a read may wait; `None`, the default, is without limit.
            ///
            /// Whatever waits for something to read then fails with
            /// [`TimedOut`](std::io::ErrorKind::TimedOut), also [`readable`](Self::readable) and the like. Nothing
            /// is lost by that: the next read may wait as long again. A limit is never reached early; it
            /// is reached late by at most a 32nd of it and 0.1 ms, and as late as a timer may be.
            ///
            /// This is meant for every connection of a server. A read that waits costs a store more than
            /// without a limit, however many there are, and no timer; those that do not wait cost nothing more.
            /// (Only `async` methods of this type, such as `readable`, set a timer when they have to wait.)
            ///
            /// What counts is how long there has been nothing to read since one first waited for it. So a read
            /// that is dropped before its end, and another in its place, as in a loop around `select`, share
            /// their time. When nobody waits any more at the end of that time, the next read begins anew. So
            /// does what waits now when this is called. A `read_exact`, or a request that comes in pieces, may
            /// wait as long for each piece: to limit the whole, put a [`timeout`](crate::time::timeout) around it.
            ///
            /// At the end of its time a read is woken, and who does not poll it then counts as nobody: one of
            /// many in a `FuturesUnordered`, say, whose owner is busy with what another has read. Such reads
            /// want a task each, or a [`timeout`](crate::time::timeout).
            ///
            /// Careful: this is no idle timeout of a connection, since it does not look at what is written meanwhile.
            /// In a proxy it cuts off a client that is silent in the middle of a long download. The timeout for a
            /// whole proxied connection is
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

            /// Sets how long a write may wait; `None`, the default, is without limit.
            ///
            /// As [`set_read_timeout`](Self::set_read_timeout), for whatever waits for room to write.
            ///
            /// It limits each wait, and not a whole `write_all`: a peer that takes something now and then can
            /// make a long one last as long as it likes. (So it is with std's, by `SO_SNDTIMEO`, which limits
            /// each call of send(2).) To limit the whole, put a [`timeout`](crate::time::timeout) around it:
            /// `timeout(limit, stream.write_all(&bytes)).await??`.
            ///
            /// Careful: in a proxy it cuts off a client that takes nothing for a while in the middle of a long upload,
            /// since it does not look at what is read meanwhile. The timeout for a whole proxied connection is
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

            /// How long a read may wait. See [`set_read_timeout`](Self::set_read_timeout).
            ///
            /// # Errors
            ///
            /// Currently always returns `Ok`.
            pub fn read_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                Ok(self.io.timeout($crate::runtime::io::reactor::Direction::Read))
            }

            /// How long a write may wait. See [`set_write_timeout`](Self::set_write_timeout).
            ///
            /// # Errors
            ///
            /// Currently always returns `Ok`.
            pub fn write_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                Ok(self.io.timeout($crate::runtime::io::reactor::Direction::Write))
            }
        }
    };
}

pub(crate) use {deadline_methods, read_methods, ready_method, ready_methods, write_methods};
