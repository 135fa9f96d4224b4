//! Regular files and directories, which are always ready and are waited for in other ways: epoll
//! refuses them, and so do the others, lest a program that works with one fails with another.
#![expect(unsafe_code, reason = "fstat, to know what a descriptor is")]

use super::syscall;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `EPERM` for a regular file or a directory, as epoll_ctl(2) has it.
pub(super) fn refuse(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // The kernel writes one `stat`.
    syscall!(fstat(fd.as_raw_fd(), status.as_mut_ptr()))?;
    // SAFETY: the call has succeeded, so it has filled the whole.
    let mode = unsafe { status.assume_init() }.st_mode;
    match mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFDIR => Err(io::Error::from_raw_os_error(libc::EPERM)),
        _ => Ok(()),
    }
}
