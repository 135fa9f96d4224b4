//! One end of a pipe, with the conclusions that may be drawn from a short transfer.

use crate::net::transfer::{ReadFd, WriteFd};
use crate::net::unix::sys;
use socket2::SockRef;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

/// An end of a pipe.
pub(super) struct End<P> {
    pub(super) pipe: P,
    /// `true` if a short transfer means that the pipe is empty, or full. This is so for a pipe that was created here. A
    /// pipe from elsewhere may be written in packets (`O_DIRECT`, see pipe(2)), which are read one at a time, and an
    /// unchecked descriptor may be a terminal.
    pub(super) is_stream: bool,
}

impl<P: AsFd> AsFd for End<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl ReadFd for End<PipeReader> {
    #[inline]
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &self.pipe, buffer)
    }

    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        io::Read::read_vectored(&mut &self.pipe, buffers)
    }

    #[inline]
    fn is_emptied_by_short(&self) -> bool {
        self.is_stream
    }
}

impl WriteFd for End<PipeWriter> {
    #[inline]
    fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &self.pipe, buffer)
    }

    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        io::Write::write_vectored(&mut &self.pipe, buffers)
    }

    #[inline]
    fn is_filled_by_short(&self) -> bool {
        self.is_stream
    }
}

/// Sets a descriptor to blocking or non-blocking mode, for all descriptors that share the open file, also in other
/// processes.
pub(super) fn set_blocking(fd: &impl AsFd, blocking: bool) -> io::Result<()> {
    // The call is fcntl(2), which works on any descriptor.
    SockRef::from(fd).set_nonblocking(!blocking)
}

/// Checks that a descriptor is a pipe, and that it was opened for reading, or for writing.
pub(super) fn check(fd: OwnedFd, access: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check_is_pipe(fd.into())?;
    let mode = sys::open_flags(fd.as_fd())? & libc::O_ACCMODE;
    if mode != access && mode != libc::O_RDWR {
        let verb = if access == libc::O_RDONLY { "reading" } else { "writing" };
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the pipe was not opened for {verb}"),
        ));
    }
    Ok(fd)
}

/// Checks that a file is a pipe.
pub(super) fn check_is_pipe(file: File) -> io::Result<OwnedFd> {
    if !file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file is not a pipe"));
    }
    Ok(file.into())
}
