//! The system calls that neither std nor socket2 makes: the credentials of a peer, the open flags of a descriptor, and
//! reads that report a mark.
#![expect(unsafe_code, reason = "getsockopt for the credentials of a peer, and fcntl(F_GETFL)")]

use super::cred::UCred;
use crate::net::sys::{recv_vectored, uninit_slices};
use socket2::{Domain, MaybeUninitSlice, Socket, Type};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Creates a socket that is non-blocking and close-on-exec.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn socket(kind: Type) -> io::Result<Socket> {
    Socket::new(Domain::UNIX, kind.nonblocking(), None)
}

/// Creates a socket that is non-blocking and close-on-exec, which takes more calls on macOS.
#[cfg(target_vendor = "apple")]
pub(super) fn socket(kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// `true` if [`receive`] reports marks.
pub(super) const REPORTS_MARKS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Reads from a stream. Returns the number of bytes, and `true` if the read has ended at a mark: control messages are
/// not requested, and are dropped.
#[inline]
pub(super) fn receive(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<(usize, bool)> {
    receive_into(fd, uninit_slices(buffers))
}

/// Reads into memory that need not be initialized; see [`receive`].
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

/// Returns the access mode and the status flags of a descriptor, see fcntl(2).
pub(super) fn open_flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: the descriptor is open while it is borrowed, and nothing is written to memory.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags),
    }
}

/// Returns the credentials of the peer: `SO_PEERCRED`, see unix(7).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let found = option(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, libc::ucred { pid: 0, uid: 0, gid: 0 })?;
    Ok(UCred { pid: Some(found.pid), uid: found.uid, gid: found.gid })
}

/// Returns the credentials of the peer: `SO_PEERCRED`, see getsockopt(2).
#[cfg(target_os = "openbsd")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let empty = libc::sockpeercred { uid: 0, gid: 0, pid: 0 };
    let found = option(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, empty)?;
    Ok(UCred { pid: Some(found.pid), uid: found.uid, gid: found.gid })
}

/// Returns the credentials of the peer: `LOCAL_PEEREID`, see unix(4).
#[cfg(target_os = "netbsd")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let empty = libc::unpcbid { unp_pid: 0, unp_euid: 0, unp_egid: 0 };
    let found = option(fd, 0, libc::LOCAL_PEEREID, empty)?;
    Ok(UCred { pid: Some(found.unp_pid), uid: found.unp_euid, gid: found.unp_egid })
}

/// Returns the credentials of the peer: getpeereid(3), and `LOCAL_PEERPID`.
#[cfg(target_vendor = "apple")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let pid = option(fd, libc::SOL_LOCAL, libc::LOCAL_PEERPID, 0)?;
    let (uid, gid) = effective_ids(fd)?;
    Ok(UCred { pid: Some(pid), uid, gid })
}

/// Returns the credentials of the peer: getpeereid(3), and the process from `LOCAL_PEERCRED`, see unix(4).
#[cfg(target_os = "freebsd")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    // SAFETY: the structure consists of numbers and one null pointer, for which all zeros are a valid value.
    let empty: libc::xucred = unsafe { std::mem::zeroed() };
    let found = option(fd, 0, libc::LOCAL_PEERCRED, empty)?;
    // SAFETY: the kernel fills in the process; before FreeBSD 13 it left the zeros.
    let pid = unsafe { found.cr_pid__c_anonymous_union.cr_pid };
    let (uid, gid) = effective_ids(fd)?;
    Ok(UCred { pid: Some(pid).filter(|pid| *pid != 0), uid, gid })
}

/// Returns the credentials of the peer: getpeereid(3), which does not report the process.
#[cfg(target_os = "dragonfly")]
pub(super) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let (uid, gid) = effective_ids(fd)?;
    Ok(UCred { pid: None, uid, gid })
}

#[cfg(any(target_vendor = "apple", target_os = "freebsd", target_os = "dragonfly"))]
fn effective_ids(fd: BorrowedFd<'_>) -> io::Result<(libc::uid_t, libc::gid_t)> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the descriptor is open while it is borrowed, and the kernel writes to both numbers, which have the right
    // types.
    match unsafe { libc::getpeereid(fd.as_raw_fd(), &mut uid, &mut gid) } {
        0 => Ok((uid, gid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns the value of a socket option, which is a structure of plain numbers. The fields that the kernel does not
/// write are those of `value`.
#[cfg(not(target_os = "dragonfly"))]
fn option<T: Copy>(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, mut value: T) -> io::Result<T> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has the size that `length` says, and callers pass the type that belongs to the option.
    match unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length) } {
        0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}
