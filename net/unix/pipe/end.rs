//! One end of a pipe, as it is read or written: std's, and what a short transfer says of it.

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
    /// Whether a short transfer has found the pipe empty, or filled it. So it is with a pipe that was made
    /// here. One from elsewhere may be written in packets (`O_DIRECT`, see pipe(2)), which are read one at
    /// a time; and one that is unchecked may be a terminal.
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

/// Sets whether operations on a descriptor block: for all who share the open file, also in other processes.
pub(super) fn set_blocking(fd: &impl AsFd, blocking: bool) -> io::Result<()> {
    // It is fcntl(2), whatever the descriptor is.
    SockRef::from(fd).set_nonblocking(!blocking)
}

/// Makes sure that a descriptor is a pipe, and was opened so that it can be read, or written.
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

/// Makes sure that a file is a pipe.
pub(super) fn check_is_pipe(file: File) -> io::Result<OwnedFd> {
    if !file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file is not a pipe"));
    }
    Ok(file.into())
}
