//! Reads and writes that do not block, on a descriptor in blocking mode.
//!
//! `O_NONBLOCK` is not a property of the descriptor but of the open file behind it, see open(2). The open file is
//! shared with the shell, with programs that run at the same time and with programs that run later, and all of them
//! would find the flag set. So each single call is made with a flag that keeps it from blocking: `MSG_DONTWAIT` on a
//! socket and, on Linux, `RWF_NOWAIT`, which pipes support, see preadv2(2). If the system does not support the flag,
//! poll(2) is called right before the read or the write. The call can then block only if another process takes the
//! bytes or the room in between. A write after poll(2) is limited to the room that poll(2) guarantees in a pipe.
//!
//! A terminal supports neither flag, and a write to it blocks until all bytes are written, whatever poll(2) has
//! reported. But a terminal can be opened again. This makes a new open file, which no other program shares and which
//! can be non-blocking.
#![expect(unsafe_code, reason = "reads and writes with a flag against blocking are foreign functions")]

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The longest write after poll(2), in bytes. poll(2) reports a pipe as writable if it has room for `PIPE_BUF` bytes.
/// POSIX guarantees that this is at least 512, and on some systems it is no more.
const MAX_PIECE: usize = 512;

/// The way in which a descriptor is read or written without blocking.
#[derive(Debug)]
pub(super) enum Access {
    /// By plain calls: a regular file, on which no call blocks for long, or a terminal opened in non-blocking mode.
    Direct,
    /// By calls with `MSG_DONTWAIT`.
    Socket,
    /// By calls with `RWF_NOWAIT`, or after poll(2): a pipe, or a device. The flag is `false` once a call has shown
    /// that `RWF_NOWAIT` is not supported.
    Blocking(AtomicBool),
}

impl Access {
    /// Returns the file through which a descriptor is read (if `is_read` is true) or written, and the way to do that.
    pub(super) fn of(file: File, is_read: bool) -> (File, Access) {
        if file.is_terminal()
            && let Ok(own) = reopen(&file, is_read)
        {
            return (own, Access::Direct);
        }
        let access = Access::of_type(&file);
        (file, access)
    }

    fn of_type(file: &File) -> Access {
        match file.metadata().map(|data| data.file_type()) {
            Ok(kind) if kind.is_socket() => Access::Socket,
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => Access::Blocking(AtomicBool::new(true)),
            _ => Access::Direct,
        }
    }

    /// Reads the bytes that are available.
    pub(super) fn read(&self, file: &File, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Access::Direct => (&*file).read(buffer),
            // SAFETY: the descriptor is open, and `buffer` is valid for writes of its length.
            Access::Socket => count(unsafe {
                libc::recv(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
            }),
            Access::Blocking(has_nowait) => try_nowait(has_nowait, || read_nowait(file, buffer))
                .unwrap_or_else(|| {
                    poll(file.as_fd(), libc::POLLIN)?;
                    (&*file).read(buffer)
                }),
        }
    }

    /// Writes as many bytes as there is room for.
    pub(super) fn write(&self, file: &File, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Access::Direct => (&*file).write(buffer),
            // SAFETY: the descriptor is open, and `buffer` is valid for reads of its length.
            Access::Socket => count(unsafe {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                libc::send(file.as_raw_fd(), buffer.as_ptr().cast(), buffer.len(), flags)
            }),
            Access::Blocking(has_nowait) => try_nowait(has_nowait, || write_nowait(file, buffer))
                .unwrap_or_else(|| {
                    poll(file.as_fd(), libc::POLLOUT)?;
                    (&*file).write(&buffer[..buffer.len().min(MAX_PIECE)])
                }),
        }
    }
}

/// Opens a terminal again, in non-blocking mode.
fn reopen(terminal: &File, is_read: bool) -> io::Result<File> {
    let path = path_of(terminal)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let own = File::options().read(is_read).write(!is_read).custom_flags(flags).open(path)?;
    // Check that the path has led to the same terminal.
    let (before, now) = (terminal.metadata()?, own.metadata()?);
    match before.rdev() == now.rdev() && own.is_terminal() {
        true => Ok(own),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Makes a call with `RWF_NOWAIT`. Returns `None` if the flag is not supported. All later calls then return `None` at
/// once.
fn try_nowait(
    has_nowait: &AtomicBool,
    call: impl FnOnce() -> io::Result<usize>,
) -> Option<io::Result<usize>> {
    if !has_nowait.load(Relaxed) {
        return None;
    }
    match call() {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::EPERM)
            ) =>
        {
            has_nowait.store(false, Relaxed);
            None
        }
        result => Some(result),
    }
}

/// Asks poll(2) whether a read or a write would block now. Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if it
/// would.
fn poll(fd: BorrowedFd<'_>, events: i16) -> io::Result<()> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: the array has one entry, to which the kernel may write.
    match unsafe { libc::poll(&mut entry, 1, 0) } {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        // After an error or a hang-up, the read or the write that follows returns it.
        1.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Borrows a standard descriptor, which is open until the end of the program.
pub(super) fn standard(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: if a standard descriptor is closed at the start, std opens it. std itself relies on these descriptors
    // being open.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Turns the result of a system call into a number of bytes, or into the error in `errno`.
fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
use nowait::{path_of, read_nowait, write_nowait};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use without_nowait::{path_of, read_nowait, write_nowait};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod nowait {
    use super::*;
    #[cfg(target_os = "linux")]
    use libc::TIOCGPTN;

    /// The request for the number of the other side of a terminal, see ioctl_tty(2). The crate `libc` does not define
    /// it for Android.
    #[cfg(target_os = "android")]
    const TIOCGPTN: libc::Ioctl = 0x8004_5430_u32 as libc::Ioctl;

    /// Returns a path at which the terminal can be opened again. This path also works if the name of the terminal is
    /// not known, as in many containers.
    pub(super) fn path_of(terminal: &File) -> io::Result<PathBuf> {
        let mut number: libc::c_uint = 0;
        // SAFETY: the call sets one number.
        match unsafe { libc::ioctl(terminal.as_raw_fd(), TIOCGPTN, &mut number) } {
            // This is the side of the terminal emulator. Opening it again would create another terminal.
            0 => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(format!("/proc/self/fd/{}", terminal.as_raw_fd()).into()),
        }
    }

    /// The offset that stands for the current position of the file, see preadv2(2).
    const CURRENT_POSITION: libc::off_t = -1;

    pub(super) fn read_nowait(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: the descriptor is open, and the one buffer is valid for writes of its length.
        count(unsafe { libc::preadv2(file.as_raw_fd(), &buffer, 1, CURRENT_POSITION, libc::RWF_NOWAIT) })
    }

    pub(super) fn write_nowait(file: &File, buffer: &[u8]) -> io::Result<usize> {
        let buffer = libc::iovec { iov_base: buffer.as_ptr().cast_mut().cast(), iov_len: buffer.len() };
        // SAFETY: the descriptor is open, and the one buffer is valid for reads. The kernel does not write to it.
        count(unsafe { libc::pwritev2(file.as_raw_fd(), &buffer, 1, CURRENT_POSITION, libc::RWF_NOWAIT) })
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod without_nowait {
    use super::*;
    use std::ffi::{CStr, OsStr};
    use std::os::unix::ffi::OsStrExt;

    /// Returns the path of the terminal, by ttyname(3).
    pub(super) fn path_of(terminal: &File) -> io::Result<PathBuf> {
        let mut name = [0; 256];
        // SAFETY: the array has the given length, and contains a string with a zero at its end if the call succeeds.
        match unsafe { libc::ttyname_r(terminal.as_raw_fd(), name.as_mut_ptr(), name.len()) } {
            // SAFETY: the call has succeeded.
            0 => Ok(OsStr::from_bytes(unsafe { CStr::from_ptr(name.as_ptr()) }.to_bytes()).into()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    pub(super) fn read_nowait(_: &File, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    pub(super) fn write_nowait(_: &File, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind::WouldBlock;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn access(fd: impl Into<OwnedFd>, has_nowait: bool) -> (File, Access) {
        let file = File::from(fd.into());
        match Access::of_type(&file) {
            Access::Blocking(_) => (file, Access::Blocking(AtomicBool::new(has_nowait))),
            other => (file, other),
        }
    }

    /// Tests both ways: a call with `RWF_NOWAIT`, where the system supports it, and poll(2) before the call.
    #[test]
    fn a_pipe_in_blocking_mode_is_read_and_filled_without_blocking() {
        for has_nowait in [true, false] {
            let (reader, writer) = io::pipe().unwrap();
            let ((reader, how_to_read), (writer, how_to_write)) =
                (access(reader, has_nowait), access(writer, has_nowait));
            let mut buffer = [0; 4096];
            assert_eq!(how_to_read.read(&reader, &mut buffer).unwrap_err().kind(), WouldBlock);
            let mut written = 0;
            let error = loop {
                match how_to_write.write(&writer, &[7; 4096]) {
                    Ok(count) => written += count,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), WouldBlock);
            assert!(written >= 4096, "{written}");
            let mut read = 0;
            while let Ok(count) = how_to_read.read(&reader, &mut buffer) {
                assert!(buffer[..count].iter().all(|byte| *byte == 7));
                read += count;
            }
            assert_eq!(read, written);
            drop(writer);
            assert_eq!(how_to_read.read(&reader, &mut buffer).unwrap(), 0, "the end");
        }
    }

    #[test]
    fn a_socket_in_blocking_mode_is_read_and_filled_without_blocking() {
        let (a, b) = UnixStream::pair().unwrap();
        let ((a, how), (b, _)) = (access(a, true), access(b, true));
        assert!(matches!(how, Access::Socket));
        assert_eq!(how.read(&a, &mut [0; 10]).unwrap_err().kind(), WouldBlock);
        while how.write(&b, &[7; 4096]).is_ok() {}
        assert_eq!(how.write(&b, &[7; 4096]).unwrap_err().kind(), WouldBlock);
        assert_eq!(how.read(&a, &mut [0; 10]).unwrap(), 10);
        drop(b);
        while how.read(&a, &mut [0; 4096]).unwrap() > 0 {}
        assert_eq!(how.write(&a, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn files_and_the_null_device_are_always_ready() {
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        let how = Access::of_type(&null);
        assert_eq!((how.read(&null, &mut [0; 9]).unwrap(), how.write(&null, &[0; 9]).unwrap()), (0, 9));
        let own = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        let how = Access::of_type(&own);
        assert!(matches!(how, Access::Direct));
        assert_eq!(how.read(&own, &mut [0; 9]).unwrap(), 9);
    }
}
