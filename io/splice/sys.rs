//! The system calls that move bytes within the kernel: splice(2) through a pipe, and sendfile(2) from a file.
//!
//! The pipes come from the buffer pool of the loop, and are held as long as there are bytes in them.
#![expect(unsafe_code, reason = "splice, sendfile, the size of a pipe, what a signal does")]

use crate::runtime::context;
use crate::runtime::io::buffer_pool;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

/// The capacity of a pipe in bytes. It is the most that a process without privileges may ask for, see pipe(7). A pipe
/// takes up memory only for the bytes in it. With 64 KiB the same bytes take nearly twice the time.
const PIPE_SIZE: i32 = 1 << 20;

/// The number of bytes that one call may move.
const MOST: usize = 1 << 20;

/// A pipe of the buffer pool, and how many bytes are in it. It goes back to the pool on drop if it is empty.
pub(super) struct Pipe {
    ends: Option<buffer_pool::PooledPipe>,
    level: usize,
}

impl Pipe {
    /// Returns `None` if all pipes of the pool are in use, or the process has no descriptors left.
    pub(super) fn take() -> Option<Pipe> {
        let lent = context::try_with(|context| context.buffer_pool.borrow_mut().get_pipe(make)).flatten();
        lent.map(|ends| Pipe { ends: Some(ends), level: 0 })
    }

    fn ends(&mut self) -> &mut buffer_pool::PooledPipe {
        self.ends.as_mut().expect("it has both ends until it is dropped")
    }

    /// Returns how many bytes are in the pipe.
    pub(super) fn level(&self) -> usize {
        self.level
    }

    /// Moves bytes from the source into the pipe. Returns how many; 0 at the end of the source. The pipe has to be
    /// empty, so that [`WouldBlock`](io::ErrorKind::WouldBlock) is about the source.
    pub(super) fn fill(&mut self, source: BorrowedFd<'_>) -> io::Result<usize> {
        debug_assert_eq!(self.level, 0, "a pipe that is not empty may have no room left");
        let count = splice(source, self.ends().writer.as_fd(), MOST)?;
        self.level += count;
        Ok(count)
    }

    /// Moves bytes from the pipe to the sink, as many as it takes. Returns how many. The pipe must not be empty, so that
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) is about the sink.
    pub(super) fn drain(&mut self, sink: BorrowedFd<'_>) -> io::Result<usize> {
        debug_assert_ne!(self.level, 0, "an empty pipe says that it would block");
        let level = self.level;
        // Careful: asked for more than there is, a socket waits for the rest, as it does with MSG_MORE.
        let count = splice(self.ends().reader.as_fd(), sink, level)?;
        self.level -= count;
        Ok(count)
    }

    /// Reads all bytes in the pipe.
    pub(super) fn read_all(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.level];
        self.ends().reader.read_exact(&mut bytes)?;
        self.level = 0;
        Ok(bytes)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let (Some(ends), 0) = (self.ends.take(), self.level) {
            context::try_with(|context| context.buffer_pool.borrow_mut().put_pipe(ends));
        }
    }
}

fn make() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    // SAFETY: the descriptor is open. If the user has no more of such pages, the pipe keeps its usual size, and works.
    unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_SIZE) };
    Ok((reader, writer))
}

fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    // SAFETY: both descriptors are open while they are borrowed, and there are no offsets.
    let moved = unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), count, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Writes bytes of a file to a socket or a pipe by sendfile(2). Returns how many; 0 at the end of the file.
pub(super) fn send_file(to: BorrowedFd<'_>, file: &File, offset: u64, count: u64) -> io::Result<usize> {
    let mut offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let count = usize::try_from(count).unwrap_or(MOST).min(MOST);
    // SAFETY: both descriptors are open, and the offset is one number, which the kernel counts up.
    let sent = unsafe { libc::sendfile(to.as_raw_fd(), file.as_raw_fd(), &mut offset, count) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Returns whether an error says that the system does not move these bytes, or none at all. Then they are read and
/// written.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP))
}

/// Returns whether the kernel may move bytes here. It may not where a `SIGPIPE` would end the process.
pub(super) fn is_available() -> bool {
    !sigpipe_is_deadly()
}

/// Returns whether a `SIGPIPE` would end the process: there is no flag that keeps splice(2) from raising it,
/// as there is for send(2). Programs in Rust have it ignored from the start.
fn sigpipe_is_deadly() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is changed, and `action` has the room for what is asked.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: a structure of numbers, a null pointer and a set of bits may be all zeros.
    asked != 0 || unsafe { action.assume_init() }.sa_sigaction == libc::SIG_DFL
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Pipes are lent by a loop.
    fn in_a_loop(test: impl FnOnce(Pipe)) {
        crate::block_on(async { test(Pipe::take().unwrap()) });
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
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "though no end of it is non-blocking");
            drop((writer, sink));
            assert_eq!(pipe.fill(reader.as_fd()).unwrap(), 0);
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            assert_eq!(text, "through");
        });
    }

    #[test]
    fn what_a_sink_refuses_is_brought_up() {
        let (reader, mut writer) = io::pipe().unwrap();
        in_a_loop(|mut pipe| {
            writer.write_all(b"brought up").unwrap();
            pipe.fill(reader.as_fd()).unwrap();
            let append = std::fs::OpenOptions::new().append(true).open("/dev/null").unwrap();
            assert!(is_refusal(&pipe.drain(append.as_fd()).unwrap_err()), "EINVAL for what appends");
            assert_eq!(pipe.read_all().unwrap(), b"brought up");
        });
    }

    #[test]
    fn in_a_program_of_rust_sigpipe_is_not_deadly() {
        assert!(!sigpipe_is_deadly());
    }
}
