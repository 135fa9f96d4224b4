//! A pipe with which one thread makes a descriptor of another thread readable, where there is no eventfd: on
//! all systems but Linux, and where Linux refuses it. See pipe(2).
//!
//! The pipe is emptied after each event. A full pipe is readable, so a write that finds no room has nothing
//! left to do.
#![expect(unsafe_code, reason = "fcntl, for which std has no call on a pipe")]

use super::syscall;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

pub(crate) struct NotifierPipe {
    reader: PipeReader,
    writer: PipeWriter,
}

impl NotifierPipe {
    pub(crate) fn new() -> io::Result<NotifierPipe> {
        let (reader, writer) = io::pipe()?;
        for fd in [reader.as_fd(), writer.as_fd()] {
            // Only numbers are passed. A new pipe has no other flags that must be kept.
            syscall!(fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK))?;
        }
        Ok(NotifierPipe { reader, writer })
    }

    /// Makes the pipe readable.
    pub(crate) fn notify(&self) {
        while let Err(error) = (&self.writer).write(&[1])
            && error.kind() == io::ErrorKind::Interrupted
        {}
    }

    /// Makes the pipe unreadable again.
    pub(crate) fn empty(&self) {
        let mut buffer = [0; 512];
        loop {
            match (&self.reader).read(&mut buffer) {
                Ok(count) if count == buffer.len() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The read returned less than there was room for, or `EAGAIN`: the pipe is empty.
                _ => return,
            }
        }
    }
}

impl AsFd for NotifierPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(pipe: &NotifierPipe) -> bool {
        let mut pollfd = libc::pollfd { fd: pipe.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // The kernel reads one entry, and writes to it.
        syscall!(poll(&raw mut pollfd, 1, 0)).unwrap() == 1
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no poll")]
    fn a_pipe_that_is_never_emptied_stays_readable_and_never_blocks() {
        let pipe = NotifierPipe::new().unwrap();
        assert!(!is_readable(&pipe));
        for _ in 0..200_000 {
            pipe.notify();
        }
        assert!(is_readable(&pipe));
        pipe.empty();
        assert!(!is_readable(&pipe));
        pipe.notify();
        assert!(is_readable(&pipe));
    }
}
