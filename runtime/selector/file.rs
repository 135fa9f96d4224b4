//! Regular files and directories. They are always ready, so programs wait for them in other ways. epoll
//! refuses them, and so do the other selectors here, so that a program that works with one selector also
//! works with the others.
#![expect(unsafe_code, reason = "fstat, to know what a descriptor is")]

use super::syscall;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Fails with `EPERM` for a regular file or a directory, as epoll_ctl(2) does.
pub(super) fn refuse(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // The kernel writes one `stat`.
    syscall!(fstat(fd.as_raw_fd(), status.as_mut_ptr()))?;
    // SAFETY: the call has succeeded, so it has filled the whole structure.
    let mode = unsafe { status.assume_init() }.st_mode;
    match mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFDIR => Err(io::Error::from_raw_os_error(libc::EPERM)),
        _ => Ok(()),
    }
}
