//! Reading and writing without waiting, on a descriptor that is not set to do so.
//!
//! `O_NONBLOCK` is no property of a descriptor but of the open file behind it, which is shared: with the
//! shell, with whatever runs beside us, and with whatever comes after, which would find it set. So each
//! call asks for itself: on a socket by `MSG_DONTWAIT`, on Linux by `RWF_NOWAIT`, see preadv2(2), which
//! pipes know. Where the system does not know it, poll(2) is asked right before. Then the call does not
//! wait either, unless another process takes just then what was there; and what is written is as much
//! as there must be room for in a pipe if there is any.
//!
//! A terminal knows no such call, and a write to it waits for all of its bytes, whatever poll(2) has
//! said. It can be opened once more, though: an open file of our own, which may be non-blocking.
#![expect(unsafe_code, reason = "calls that say for themselves that they must not wait")]

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Such a piece fits in if any does: a pipe is reported to have room if it has for so many (`PIPE_BUF`,
/// at least this by POSIX, and so on some systems).
const PIECE: usize = 512;

/// How a descriptor is to be used.
#[derive(Debug)]
pub(super) enum Manner {
    /// As it is: a file, which never lets one wait for long, or a terminal opened to be non-blocking.
    Direct,
    Socket,
    /// A pipe, or a device. It is known whether the call can say not to wait.
    Waits(AtomicBool),
}

impl Manner {
    /// What a descriptor is to be used by, and how. `is_read`, or else it is written.
    pub(super) fn of(file: File, is_read: bool) -> (File, Manner) {
        if file.is_terminal()
            && let Ok(own) = reopen(&file, is_read)
        {
            return (own, Manner::Direct);
        }
        let manner = Manner::of_type(&file);
        (file, manner)
    }

    fn of_type(file: &File) -> Manner {
        match file.metadata().map(|data| data.file_type()) {
            Ok(kind) if kind.is_socket() => Manner::Socket,
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => Manner::Waits(AtomicBool::new(true)),
            _ => Manner::Direct,
        }
    }

    /// Reads what is there.
    pub(super) fn read(&self, file: &File, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Manner::Direct => (&*file).read(buffer),
            // SAFETY: the descriptor is open, and `buffer` has room for as much as it is long.
            Manner::Socket => count(unsafe {
                libc::recv(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
            }),
            Manner::Waits(asks) => asking(asks, || read_nowait(file, buffer)).unwrap_or_else(|| {
                poll(file.as_fd(), libc::POLLIN)?;
                (&*file).read(buffer)
            }),
        }
    }

    /// Writes what there is room for.
    pub(super) fn write(&self, file: &File, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Manner::Direct => (&*file).write(buffer),
            // SAFETY: the descriptor is open, and `buffer` is as long as it says.
            Manner::Socket => count(unsafe {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                libc::send(file.as_raw_fd(), buffer.as_ptr().cast(), buffer.len(), flags)
            }),
            Manner::Waits(asks) => asking(asks, || write_nowait(file, buffer)).unwrap_or_else(|| {
                poll(file.as_fd(), libc::POLLOUT)?;
                (&*file).write(&buffer[..buffer.len().min(PIECE)])
            }),
        }
    }
}

/// Opens a terminal once more.
fn reopen(terminal: &File, is_read: bool) -> io::Result<File> {
    let path = path_of(terminal)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let own = File::options().read(is_read).write(!is_read).custom_flags(flags).open(path)?;
    // Whatever is there, it must be the same.
    let (before, now) = (terminal.metadata()?, own.metadata()?);
    match before.rdev() == now.rdev() && own.is_terminal() {
        true => Ok(own),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Makes a call that says not to wait. None if that is not known here, now and ever after.
fn asking(asks: &AtomicBool, call: impl FnOnce() -> io::Result<usize>) -> Option<io::Result<usize>> {
    if !asks.load(Relaxed) {
        return None;
    }
    match call() {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::EPERM)
            ) =>
        {
            asks.store(false, Relaxed);
            None
        }
        result => Some(result),
    }
}

/// [`WouldBlock`](io::ErrorKind::WouldBlock) unless a call would not wait now.
fn poll(fd: BorrowedFd<'_>, events: i16) -> io::Result<()> {
    let mut asked = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: it is one entry, which the kernel writes to.
    match unsafe { libc::poll(&mut asked, 1, 0) } {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        // An error or a hang-up is for the call to tell.
        1.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A standard descriptor, which is there for as long as the program is.
pub(super) fn standard(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: std opens those that are closed at the start, and takes them for open, too.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

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

    /// The number of a terminal's other side, see ioctl_tty(2). The crate `libc` has no name for it there.
    #[cfg(target_os = "android")]
    const TIOCGPTN: libc::Ioctl = 0x8004_5430_u32 as libc::Ioctl;

    /// Also where the terminal's name is not known, as in many a container.
    pub(super) fn path_of(terminal: &File) -> io::Result<PathBuf> {
        let mut number: libc::c_uint = 0;
        // SAFETY: it sets one number.
        match unsafe { libc::ioctl(terminal.as_raw_fd(), TIOCGPTN, &mut number) } {
            // The side of a terminal's emulator: opened once more, it would be another terminal.
            0 => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(format!("/proc/self/fd/{}", terminal.as_raw_fd()).into()),
        }
    }

    /// Where the file is, and no offset.
    const HERE: libc::off_t = -1;

    pub(super) fn read_nowait(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: the descriptor is open, and the one buffer has room for as much as it says.
        count(unsafe { libc::preadv2(file.as_raw_fd(), &buffer, 1, HERE, libc::RWF_NOWAIT) })
    }

    pub(super) fn write_nowait(file: &File, buffer: &[u8]) -> io::Result<usize> {
        let buffer = libc::iovec { iov_base: buffer.as_ptr().cast_mut().cast(), iov_len: buffer.len() };
        // SAFETY: the descriptor is open, and the kernel only reads the one buffer.
        count(unsafe { libc::pwritev2(file.as_raw_fd(), &buffer, 1, HERE, libc::RWF_NOWAIT) })
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod without_nowait {
    use super::*;
    use std::ffi::{CStr, OsStr};
    use std::os::unix::ffi::OsStrExt;

    /// As ttyname(3) has it.
    pub(super) fn path_of(terminal: &File) -> io::Result<PathBuf> {
        let mut name = [0; 256];
        // SAFETY: the array is as long as said, and ends with a zero if the call succeeds.
        match unsafe { libc::ttyname_r(terminal.as_raw_fd(), name.as_mut_ptr(), name.len()) } {
            // SAFETY: as said.
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

    fn manner(fd: impl Into<OwnedFd>, asks: bool) -> (File, Manner) {
        let file = File::from(fd.into());
        match Manner::of_type(&file) {
            Manner::Waits(_) => (file, Manner::Waits(AtomicBool::new(asks))),
            other => (file, other),
        }
    }

    /// Both ways: asking the call not to wait, where that is known, and poll(2) before.
    #[test]
    fn a_pipe_that_blocks_is_read_and_filled_without_waiting() {
        for asks in [true, false] {
            let (reader, writer) = io::pipe().unwrap();
            let ((reader, how_to_read), (writer, how_to_write)) =
                (manner(reader, asks), manner(writer, asks));
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
    fn a_socket_that_blocks_likewise() {
        let (a, b) = UnixStream::pair().unwrap();
        let ((a, how), (b, _)) = (manner(a, true), manner(b, true));
        assert!(matches!(how, Manner::Socket));
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
        let how = Manner::of_type(&null);
        assert_eq!((how.read(&null, &mut [0; 9]).unwrap(), how.write(&null, &[0; 9]).unwrap()), (0, 9));
        let own = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        let how = Manner::of_type(&own);
        assert!(matches!(how, Manner::Direct));
        assert_eq!(how.read(&own, &mut [0; 9]).unwrap(), 9);
    }
}
