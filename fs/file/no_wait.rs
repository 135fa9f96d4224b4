//! Reading from a file without waiting for the disk: preadv2(2) with `RWF_NOWAIT`, which reads what the kernel has in
//! memory. Such a read takes as long as copying the bytes, so the loop makes it itself, and no thread of the pool is
//! woken for it.
//!
//! Linux has the flag since 4.14, and each file system may refuse it. Those in memory (tmpfs, /proc) do. Linux 5.9 and
//! 5.10 may return 0 before the end of the file, see preadv2(2), so the end is always asked for by an ordinary read.

#![expect(unsafe_code, reason = "preadv2 is a foreign function")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// True while reads without waiting are tried for a file.
pub(super) struct NoWait(AtomicBool);

/// The most bytes that the loop copies at once, which takes some tens of microseconds.
const MAX_BYTES: usize = 128 * 1024;

impl NoWait {
    pub(super) fn new() -> NoWait {
        NoWait(AtomicBool::new(true))
    }

    /// Gives up such reads. Another descriptor shares the position, and the kernel lets each read wait until a read of
    /// the other one has ended.
    pub(super) fn disable(&self) {
        self.0.store(false, Relaxed);
    }

    /// Returns `false` if no read without waiting is tried any more.
    pub(super) fn is_enabled(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Reads at the position of the file. Returns `None` if only a read that may wait can tell the result: the bytes
    /// are not in memory, the file is at its end, or there is an error.
    pub(super) fn read(&self, file: &File, buffer: &mut [u8]) -> Option<usize> {
        if !self.is_enabled() {
            return None;
        }
        let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len().min(MAX_BYTES) };
        // The offset -1 stands for the position of the file. It is passed in two halves.
        let (offset, flags) = (-1 as libc::c_long, libc::RWF_NOWAIT);
        // SAFETY: the descriptor is open, and the kernel writes to the buffer, whose length it is given.
        let count = unsafe {
            libc::syscall(libc::SYS_preadv2, file.as_raw_fd(), &raw const part, 1, offset, offset, flags)
        };
        match usize::try_from(count) {
            Ok(0) => None,
            Ok(count) => Some(count),
            Err(_) => {
                let errno = io::Error::last_os_error().raw_os_error();
                if !matches!(errno, Some(libc::EAGAIN | libc::EINTR)) {
                    self.disable();
                }
                None
            }
        }
    }
}
