//! The system calls that move bytes within the kernel: splice(2) through a pipe, and sendfile(2) from a file.
//!
//! The pipes come from the buffer pool of the loop. A copy holds a pipe only while there are bytes in it.

#![expect(unsafe_code, reason = "splice, sendfile, F_SETPIPE_SZ and sigaction are foreign functions")]

use crate::runtime::context;
use crate::runtime::io::buffer_pool;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

/// The capacity of a pipe in bytes. This is the most that a process without privileges may set, see pipe(7). A pipe
/// takes up memory only for the bytes that are in it. With a capacity of 64 KiB, a copy takes nearly twice the time.
const PIPE_SIZE: i32 = 1 << 20;

/// The maximum number of bytes that one system call is asked to move.
const MAX_COUNT: usize = 1 << 20;

/// A pipe from the buffer pool of the loop. On drop it returns to the pool if it is empty, and is closed otherwise.
pub(super) struct SplicePipe {
    ends: Option<buffer_pool::PooledPipe>,
    /// The number of bytes in the pipe.
    level: usize,
}

impl SplicePipe {
    /// Takes a pipe of the pool. Returns `None` if all pipes are in use, or if the process has no more descriptors.
    pub(super) fn take() -> Option<SplicePipe> {
        let lent = context::try_with(|context| context.buffer_pool.borrow_mut().get_pipe(make)).flatten();
        lent.map(|ends| SplicePipe { ends: Some(ends), level: 0 })
    }

    fn ends(&mut self) -> &mut buffer_pool::PooledPipe {
        self.ends.as_mut().expect("a pipe has both ends until it is dropped")
    }

    /// Returns the number of bytes in the pipe.
    pub(super) fn level(&self) -> usize {
        self.level
    }

    /// Moves bytes from `source` into the pipe. Returns 0 at the end of the source. The pipe must be empty, so that
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) means that the source has no bytes.
    pub(super) fn fill(&mut self, source: BorrowedFd<'_>) -> io::Result<usize> {
        debug_assert_eq!(self.level, 0, "the room in a pipe that is not empty is unknown");
        let count = splice(source, self.ends().writer.as_fd(), MAX_COUNT)?;
        self.level += count;
        Ok(count)
    }

    /// Moves as many bytes from the pipe as `sink` accepts. The pipe must not be empty, so that
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) means that the sink has no room.
    pub(super) fn drain(&mut self, sink: BorrowedFd<'_>) -> io::Result<usize> {
        debug_assert_ne!(self.level, 0, "splice(2) from an empty pipe fails with WouldBlock");
        let level = self.level;
        // Careful: ask for exactly the number of bytes in the pipe. If the call asks for more, the socket delays the
        // last segment and waits for the rest, as it does with MSG_MORE.
        let count = splice(self.ends().reader.as_fd(), sink, level)?;
        self.level -= count;
        Ok(count)
    }

    /// Reads all bytes of the pipe into user space.
    pub(super) fn read_all(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.level];
        self.ends().reader.read_exact(&mut bytes)?;
        self.level = 0;
        Ok(bytes)
    }
}

impl Drop for SplicePipe {
    fn drop(&mut self) {
        if let (Some(ends), 0) = (self.ends.take(), self.level) {
            context::try_with(|context| context.buffer_pool.borrow_mut().put_pipe(ends));
        }
    }
}

/// Creates a pipe of [`PIPE_SIZE`].
fn make() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    // SAFETY: the descriptor is open. The call fails if the user has reached the limit on pages for pipes. The pipe
    // then keeps its default capacity, which works too.
    unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_SIZE) };
    Ok((reader, writer))
}

fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    // SAFETY: both descriptors are open while they are borrowed, and both offsets may be null.
    let moved = unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), count, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Writes up to `count` bytes of a file to a socket or a pipe by sendfile(2), starting at `offset`. Returns 0 at the
/// end of the file.
pub(super) fn send_file(to: BorrowedFd<'_>, file: &File, offset: u64, count: u64) -> io::Result<usize> {
    let mut offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let count = usize::try_from(count).unwrap_or(MAX_COUNT).min(MAX_COUNT);
    // SAFETY: both descriptors are open, and the offset is one number, which the kernel updates.
    let sent = unsafe { libc::sendfile(to.as_raw_fd(), file.as_raw_fd(), &mut offset, count) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Returns `true` if the error means that the system cannot move bytes between these descriptors, or does not have the
/// call. The bytes are then read and written instead.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP))
}

/// Returns `true` if the kernel may be asked to move bytes. It must not be asked if a `SIGPIPE` would end the process.
pub(super) fn is_available() -> bool {
    !sigpipe_is_fatal()
}

/// Returns `true` if a `SIGPIPE` would end the process. Unlike send(2), splice(2) has no flag that prevents the signal.
/// Programs in Rust ignore it from the start.
fn sigpipe_is_fatal() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call changes nothing, and `action` has room for the action that it returns.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: `action` was zeroed, and all zeros are a valid value: it consists of numbers, a pointer that may be null
    // and a set of bits.
    asked != 0 || unsafe { action.assume_init() }.sa_sigaction == libc::SIG_DFL
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Runs a test with a pipe inside of a runtime, since the pipe comes from its buffer pool.
    fn in_a_loop(test: impl FnOnce(SplicePipe)) {
        crate::block_on(async { test(SplicePipe::take().unwrap()) });
    }

    #[test]
    fn bytes_go_through_and_the_end_is_seen() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (mut out, sink) = io::pipe().unwrap();
        in_a_loop(|mut pipe| {
            writer.write_all(b"through").unwrap();
            assert_eq!(pipe.fill(reader.as_fd()).unwrap(), 7);
            assert_eq!(pipe.drain(sink.as_fd()).unwrap(), 7);
            assert_eq!(pipe.level(), 0);
            let error = pipe.fill(reader.as_fd()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "neither end of the pipe is non-blocking");
            drop((writer, sink));
            assert_eq!(pipe.fill(reader.as_fd()).unwrap(), 0);
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            assert_eq!(text, "through");
        });
    }

    #[test]
    fn bytes_that_a_sink_refuses_are_read_back() {
        let (reader, mut writer) = io::pipe().unwrap();
        in_a_loop(|mut pipe| {
            writer.write_all(b"read back").unwrap();
            pipe.fill(reader.as_fd()).unwrap();
            let append = std::fs::OpenOptions::new().append(true).open("/dev/null").unwrap();
            assert!(
                is_refusal(&pipe.drain(append.as_fd()).unwrap_err()),
                "EINVAL for a file opened for appending"
            );
            assert_eq!(pipe.read_all().unwrap(), b"read back");
        });
    }

    #[test]
    fn sigpipe_is_ignored_in_a_rust_program() {
        assert!(!sigpipe_is_fatal());
    }
}
