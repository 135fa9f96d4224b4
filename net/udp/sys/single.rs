//! Many datagrams with one call for each: recvmsg(2) and sendmsg(2), which every system has.
//!
//! An error that occurs after some datagrams were transferred has been taken off the socket, so it is returned to the
//! caller, which reports it next time.
#![expect(unsafe_code, reason = "recvmsg and sendmsg, with the headers that are shared with recvmmsg")]

use crate::net::sys::{RECEIVE, SEND};
use crate::net::udp::message::Outcome;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
pub(super) use libc::mmsghdr as Header;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The structure that systems with recvmmsg(2) call `mmsghdr`.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd")))]
pub(super) struct Header {
    pub(super) msg_hdr: libc::msghdr,
    pub(super) msg_len: usize,
}

/// # Safety
///
/// The memory that the headers point to must be valid for the call to write, in the lengths that the headers say.
// SAFETY: the function documents what the caller must guarantee.
pub(super) unsafe fn receive(socket: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    one_by_one(headers, |header| {
        // SAFETY: the caller guarantees what the header points to.
        unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header.msg_hdr, RECEIVE) }
    })
}

/// # Safety
///
/// The memory that the headers point to must be valid for the call to read, in the lengths that the headers say.
// SAFETY: the function documents what the caller must guarantee.
pub(super) unsafe fn send(socket: BorrowedFd<'_>, headers: &mut [Header]) -> Outcome {
    one_by_one(headers, |header| {
        // SAFETY: the caller guarantees what the header points to.
        unsafe { libc::sendmsg(socket.as_raw_fd(), &header.msg_hdr, SEND) }
    })
}

fn one_by_one(headers: &mut [Header], mut call: impl FnMut(&mut Header) -> isize) -> Outcome {
    for (n, header) in headers.iter_mut().enumerate() {
        match call(header) {
            -1 => {
                return match io::Error::last_os_error() {
                    error if n == 0 => Err(error),
                    error if error.kind() == io::ErrorKind::WouldBlock => Ok((n, None)),
                    error => Ok((n, Some(error))),
                };
            }
            length => header.msg_len = length as _,
        }
    }
    Ok((headers.len(), None))
}
