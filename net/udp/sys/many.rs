//! One call for many datagrams: recvmmsg(2) and sendmmsg(2), of Linux, FreeBSD and NetBSD.
//!
//! An error behind datagrams that have come is kept by Linux for the next call on the socket. One
//! behind datagrams that were sent is not told; whoever sends the rest gets it then, if it lasts.
//! Emulated kernels and filters may not have the calls: then it goes one by one.
#![expect(unsafe_code, reason = "recvmmsg and sendmmsg, which std and socket2 do not make")]

use super::{Header, Outcome, single};
use crate::net::sys::{RECEIVE, SEND};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{io, ptr};

/// # Safety
///
/// What the headers point to must be there for the call to write, in the lengths that they say.
// SAFETY: as its own documentation says.
pub(super) unsafe fn receive(socket: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    // SAFETY: the caller vouches for what the headers point to, and the slice for how many they are.
    let count = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            headers.len() as _,
            RECEIVE as _,
            ptr::null_mut(),
        )
    };
    match usize::try_from(count) {
        Ok(count) => Ok((count, None)),
        Err(_) => match io::Error::last_os_error() {
            // SAFETY: the caller vouches.
            error if is_missing(&error) => unsafe { single::receive(socket, headers) },
            error => Err(error),
        },
    }
}

/// # Safety
///
/// What the headers point to must be there for the call to read, in the lengths that they say.
// SAFETY: as its own documentation says.
pub(super) unsafe fn send(socket: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    // SAFETY: the caller vouches for what the headers point to, and the slice for how many they are.
    let count =
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as _, SEND as _) };
    match usize::try_from(count) {
        Ok(count) => Ok((count, None)),
        Err(_) => match io::Error::last_os_error() {
            // SAFETY: the caller vouches.
            error if is_missing(&error) => unsafe { single::send(socket, headers) },
            error => Err(error),
        },
    }
}

/// `EPERM` is what sandboxes say of calls that they do not know. If it was a firewall's word on the first
/// datagram, that one is refused again by itself.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}
