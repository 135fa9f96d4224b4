//! The system calls that neither std nor socket2 makes: who a peer is, how a descriptor was
//! opened, and whether a read ends at a mark.
#![expect(unsafe_code, reason = "getsockopt of who the peer is, and fcntl(F_GETFL); one call each")]

use super::cred::UCred;
use crate::net::sys::{recv_vectored, uninit_slices};
use socket2::{Domain, MaybeUninitSlice, Socket, Type};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Makes a socket that does not block and is closed on exec.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn socket(kind: Type) -> io::Result<Socket> {
    Socket::new(Domain::UNIX, kind.nonblocking(), None)
}

/// Makes a socket that does not block and is closed on exec, for which macOS needs more calls.
#[cfg(target_vendor = "apple")]
pub(super) fn socket(kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether [`receive`] tells of marks.
pub(super) const TELLS_OF_MARKS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Reads from a stream, and tells whether that has ended at a mark: what came along with the bytes was not
/// asked for, and is thrown away.
#[inline]
pub(super) fn receive(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<(usize, bool)> {
    receive_into(fd, uninit_slices(buffers))
}

/// As [`receive`], into memory that need not be initialised.
#[cfg(feature = "tokio-io")]
pub(super) fn receive_uninit(
    fd: BorrowedFd<'_>,
    room: &mut [std::mem::MaybeUninit<u8>],
) -> io::Result<(usize, bool)> {
    receive_into(fd, &mut [MaybeUninitSlice::new(room)])
}

fn receive_into(fd: BorrowedFd<'_>, buffers: &mut [MaybeUninitSlice<'_>]) -> io::Result<(usize, bool)> {
    recv_vectored(fd, buffers).map(|(count, flags)| (count, flags & libc::MSG_CTRUNC != 0))
}

/// How a descriptor was opened: its access mode and status flags, see fcntl(2).
pub(super) fn open_flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: the descriptor is open while it is borrowed, and nothing is written to memory.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags),
    }
}

/// Who is at the other end: `SO_PEERCRED`, see unix(7).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let told = option(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, libc::ucred { pid: 0, uid: 0, gid: 0 })?;
    Ok(UCred { pid: Some(told.pid), uid: told.uid, gid: told.gid })
}

/// Who is at the other end: `SO_PEERCRED`, see getsockopt(2).
#[cfg(target_os = "openbsd")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let nobody = libc::sockpeercred { uid: 0, gid: 0, pid: 0 };
    let told = option(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, nobody)?;
    Ok(UCred { pid: Some(told.pid), uid: told.uid, gid: told.gid })
}

/// Who is at the other end: `LOCAL_PEEREID`, see unix(4).
#[cfg(target_os = "netbsd")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let nobody = libc::unpcbid { unp_pid: 0, unp_euid: 0, unp_egid: 0 };
    let told = option(fd, 0, libc::LOCAL_PEEREID, nobody)?;
    Ok(UCred { pid: Some(told.unp_pid), uid: told.unp_euid, gid: told.unp_egid })
}

/// Who is at the other end: getpeereid(3), and `LOCAL_PEERPID`.
#[cfg(target_vendor = "apple")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let pid = option(fd, libc::SOL_LOCAL, libc::LOCAL_PEERPID, 0)?;
    let (uid, gid) = effective_ids(fd)?;
    Ok(UCred { pid: Some(pid), uid, gid })
}

/// Who is at the other end: getpeereid(3), and the process from `LOCAL_PEERCRED`, see unix(4).
#[cfg(target_os = "freebsd")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    // SAFETY: a structure of numbers and one null pointer, for which all zeros are a value.
    let nobody: libc::xucred = unsafe { std::mem::zeroed() };
    let told = option(fd, 0, libc::LOCAL_PEERCRED, nobody)?;
    // SAFETY: the kernel fills in the process; before FreeBSD 13 it left the zeros.
    let pid = unsafe { told.cr_pid__c_anonymous_union.cr_pid };
    let (uid, gid) = effective_ids(fd)?;
    Ok(UCred { pid: Some(pid).filter(|pid| *pid != 0), uid, gid })
}

/// Who is at the other end: getpeereid(3), which does not tell the process.
#[cfg(target_os = "dragonfly")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let (uid, gid) = effective_ids(fd)?;
    Ok(UCred { pid: None, uid, gid })
}

#[cfg(any(target_vendor = "apple", target_os = "freebsd", target_os = "dragonfly"))]
fn effective_ids(fd: BorrowedFd<'_>) -> io::Result<(libc::uid_t, libc::gid_t)> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the descriptor is open while it is borrowed, and both numbers are written as such.
    match unsafe { libc::getpeereid(fd.as_raw_fd(), &mut uid, &mut gid) } {
        0 => Ok((uid, gid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads a socket option, which is a structure of plain numbers. `value` is what is there if the kernel
/// knows less of it.
#[cfg(not(target_os = "dragonfly"))]
fn option<T: Copy>(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, mut value: T) -> io::Result<T> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has the room that `length` says, and callers name the option whose type it is.
    match unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length) } {
        0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}
