//! The methods that both ends of a pipe have in common: they wrap descriptors and return them, and make system calls of
//! the caller.

/// Implements the methods for an end in the field `io`, which is of std's type and for one direction. `$access` is the
/// mode in which it must have been opened, and `$verb` is this mode in words.
macro_rules! end_methods {
    (
        $(#[$example:meta])*
        $type:ident of $pipe:ty, $direction:ident, $access:ident, $verb:literal
    ) => {
        impl $type {
            /// Wraps an end that is already in non-blocking mode.
            #[cfg_attr(debug_assertions, track_caller)]
            pub(super) fn of(pipe: $pipe, is_stream: bool) -> $type {
                $type::owned_by($crate::runtime::io::registered::Owner::$type, pipe, is_stream)
            }

            /// Wraps the end of a pipe to or from a child process, and sets it to non-blocking mode. `owner` is the type
            /// that users know.
            #[cfg(feature = "process")]
            #[cfg_attr(debug_assertions, track_caller)]
            pub(crate) fn of_child(
                fd: ::std::os::fd::OwnedFd,
                owner: $crate::runtime::io::registered::Owner,
            ) -> ::std::io::Result<$type> {
                $crate::net::unix::pipe::end::set_blocking(&fd, false)?;
                Ok($type::owned_by(owner, fd.into(), false))
            }

            #[cfg_attr(debug_assertions, track_caller)]
            fn owned_by(owner: $crate::runtime::io::registered::Owner, pipe: $pipe, is_stream: bool) -> $type {
                let end = $crate::net::unix::pipe::end::End { pipe, is_stream };
                let mut io = $crate::runtime::io::registered::Registered::new(end, owner);
                io.set_origin($crate::task::origin::Origin::caller());
                $type { io }
            }

            #[doc = concat!("Wraps the ", $verb, " end of a pipe. It is set to non-blocking mode, for all descriptors that")]
            /// share the open file. None of them must be set to blocking mode again: read(2) and write(2) would block
            /// the loop.
            ///
            /// # Errors
            ///
            /// Returns [`InvalidInput`](std::io::ErrorKind::InvalidInput) if the file is not a pipe, or not opened for
            #[doc = concat!($verb, "; and the errors of fcntl(2).")]
            #[cfg_attr(debug_assertions, track_caller)]
            pub fn from_file(file: ::std::fs::File) -> ::std::io::Result<$type> {
                $type::from_owned_fd(file.into())
            }

            /// Wraps a descriptor; see [`from_file`](Self::from_file).
            ///
            /// # Errors
            ///
            /// Returns the same errors as [`from_file`](Self::from_file).
            $(#[$example])*
            #[cfg_attr(debug_assertions, track_caller)]
            pub fn from_owned_fd(fd: ::std::os::fd::OwnedFd) -> ::std::io::Result<$type> {
                let fd = $crate::net::unix::pipe::end::check(fd, ::libc::$access)?;
                $crate::net::unix::pipe::end::set_blocking(&fd, false)?;
                $type::from_owned_fd_unchecked(fd)
            }

            /// Wraps a file without any checks. It must be in non-blocking mode already; otherwise it blocks the loop.
            ///
            /// # Errors
            ///
            /// Currently this method returns no errors.
            #[cfg_attr(debug_assertions, track_caller)]
            pub fn from_file_unchecked(file: ::std::fs::File) -> ::std::io::Result<$type> {
                $type::from_owned_fd_unchecked(file.into())
            }

            /// Wraps a descriptor without any checks; see [`from_file_unchecked`](Self::from_file_unchecked).
            ///
            /// # Errors
            ///
            /// Currently this method returns no errors.
            #[cfg_attr(debug_assertions, track_caller)]
            pub fn from_owned_fd_unchecked(fd: ::std::os::fd::OwnedFd) -> ::std::io::Result<$type> {
                Ok($type::of(fd.into(), false))
            }

            /// Tries a system call of the caller on the pipe, without waiting.
            ///
            /// `operation` is not called while the pipe is known not to be ready. If it returns
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock), the readiness is cleared, so it must return this error
            /// only if the system call did.
            ///
            /// # Errors
            ///
            /// Returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) if the pipe is not ready, and the errors of the
            /// call.
            pub fn try_io<R>(
                &self,
                operation: impl FnOnce() -> ::std::io::Result<R>,
            ) -> ::std::io::Result<R> {
                self.io.try_io($crate::runtime::io::reactor::Direction::$direction, |_| operation())
            }

            /// Deregisters the descriptor, sets it to blocking mode and returns it. Child processes and other threads
            /// expect this mode.
            ///
            /// # Errors
            ///
            /// Returns an error if fcntl(2) fails.
            pub fn into_blocking_fd(self) -> ::std::io::Result<::std::os::fd::OwnedFd> {
                let fd = self.into_nonblocking_fd()?;
                $crate::net::unix::pipe::end::set_blocking(&fd, true)?;
                Ok(fd)
            }

            /// Deregisters the descriptor and returns it. It is still in non-blocking mode.
            ///
            /// # Errors
            ///
            /// Currently this method returns no errors.
            pub fn into_nonblocking_fd(self) -> ::std::io::Result<::std::os::fd::OwnedFd> {
                Ok(self.io.into_inner().pipe.into())
            }
        }

        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.io.get().pipe).finish()
            }
        }

        impl ::std::os::fd::AsFd for $type {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                self.io.get().as_fd()
            }
        }

        impl ::std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                ::std::os::fd::AsRawFd::as_raw_fd(&::std::os::fd::AsFd::as_fd(self))
            }
        }
    };
}

pub(super) use end_methods;
