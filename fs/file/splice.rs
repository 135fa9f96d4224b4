//! The traits by which `splice` takes a file (feature `io-util`).
//!
//! splice(2) and sendfile(2) wait for the disk, and would block the loop. So a file lends its descriptor to neither of
//! them: it refuses as a descriptor does between which the kernel cannot move bytes, and the bytes go through a buffer.

use super::File;
use crate::net::fd_traits::sealed::{PollReadFd, PollWriteFd};
use crate::net::fd_traits::{AsyncReadFd, AsyncWriteFd, Operation};
use std::io;
use std::task::{Context, Poll};

impl AsyncReadFd for File {}

impl PollReadFd for File {
    fn poll_read_fd(&self, _: &mut Context<'_>, _: Operation<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)))
    }
}

impl AsyncWriteFd for File {}

impl PollWriteFd for File {
    fn poll_write_fd(&self, _: &mut Context<'_>, _: Operation<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)))
    }
}
