//! One call for many datagrams: recvmmsg(2) and sendmmsg(2), on Linux, FreeBSD and NetBSD.
//!
//! If an error occurs after some datagrams were received, Linux keeps it for the next call on the socket. If an error
//! occurs after some datagrams were sent, it is not reported; the caller gets it when it sends the rest, if the error
//! persists. Emulated kernels and filters may not have these calls: then the datagrams are transferred one by one.
#![expect(unsafe_code, reason = "recvmmsg and sendmmsg, which std and socket2 do not make")]

use super::single::{self, Header};
use crate::net::sys::{RECEIVE, SEND};
use crate::net::udp::message::Outcome;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{io, ptr};

/// # Safety
///
/// The memory that the headers point to must be valid for the call to write, in the lengths that the headers say.
// SAFETY: the function documents what the caller must guarantee.
pub(super) unsafe fn receive(socket: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    // SAFETY: the caller guarantees what the headers point to, and the slice guarantees their number.
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
            // SAFETY: the caller guarantees what the headers point to.
            error if is_missing(&error) => unsafe { single::receive(socket, headers) },
            error => Err(error),
        },
    }
}

/// # Safety
///
/// The memory that the headers point to must be valid for the call to read, in the lengths that the headers say.
// SAFETY: the function documents what the caller must guarantee.
pub(super) unsafe fn send(socket: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    // SAFETY: the caller guarantees what the headers point to, and the slice guarantees their number.
    let count =
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as _, SEND as _) };
    match usize::try_from(count) {
        Ok(count) => Ok((count, None)),
        Err(_) => match io::Error::last_os_error() {
            // SAFETY: the caller guarantees what the headers point to.
            error if is_missing(&error) => unsafe { single::send(socket, headers) },
            error => Err(error),
        },
    }
}

/// Returns `true` if the system does not have the call. Sandboxes answer unknown calls with `EPERM`. If it came from a
/// firewall for the first datagram, that datagram is refused again when it is sent by itself.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}
