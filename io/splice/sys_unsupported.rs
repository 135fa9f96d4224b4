//! Replaces `sys.rs` on systems without the splice(2) and sendfile(2) of Linux. There, all bytes go through a buffer.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

/// A pipe to splice through. No value of this type can exist, since the system has no splice(2).
pub(super) struct SplicePipe(Infallible);

impl SplicePipe {
    pub(super) fn take() -> Option<SplicePipe> {
        None
    }

    pub(super) fn level(&self) -> usize {
        match self.0 {}
    }

    pub(super) fn fill(&mut self, _: BorrowedFd<'_>) -> io::Result<usize> {
        match self.0 {}
    }

    pub(super) fn drain(&mut self, _: BorrowedFd<'_>) -> io::Result<usize> {
        match self.0 {}
    }

    pub(super) fn read_all(self) -> io::Result<Vec<u8>> {
        match self.0 {}
    }
}

pub(super) fn send_file(_: BorrowedFd<'_>, _: &File, _: u64, _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

pub(super) fn is_available() -> bool {
    false
}
