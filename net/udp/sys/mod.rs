//! Many datagrams in one system call: the headers of recvmmsg(2) and sendmmsg(2) are built and read here.
//!
//! The rule for soundness: headers live on the stack of one function in this file, for the time of one call. They point
//! to arrays beside them, which do not move, and to memory that the caller lends for longer than that; each length
//! passed to the kernel is that of the memory pointed to. The kernel writes the datagrams and their lengths, which are
//! limited to the room that there was. No pointer outlives the function, so no type holds one.
//!
//! The calls themselves are in `many.rs`, and in `single.rs` for systems without them. This file knows only what they
//! do to the headers, so its tests need no socket.
#![expect(unsafe_code, reason = "the headers are C structures, full of pointers")]

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
mod many;
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "offload_unsupported.rs")]
mod offload;
mod single;

use super::message::{Arrival, MOST, Outcome, Segments, Transmit};
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
use many as calls;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
use single as calls;

use offload::{ControlBuffer, is_coalescing};
pub(super) use offload::{can_segment, send_segmented, set_coalescing};
use single::Header;
use socket2::{SockAddr, SockAddrStorage};
use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;

/// A call that processes headers, and returns how many of them it has processed, or the error of the first one.
// SAFETY: the caller must pass headers that point to valid memory of the lengths that they say, which does not move.
type TransferFn = unsafe fn(BorrowedFd<'_>, &mut [Header]) -> Outcome;

/// Receives the datagrams that are there, each into a piece of `memory` of `size` bytes, as many as `arrivals` has room
/// for, and at most [`MOST`].
pub(super) fn receive(
    socket: impl AsFd,
    memory: &mut [u8],
    size: usize,
    arrivals: &mut [Arrival],
) -> Outcome {
    receive_by(calls::receive, socket.as_fd(), memory, size, arrivals)
}

/// Sends datagrams in their order, at most [`MOST`].
pub(super) fn send<'a>(socket: impl AsFd, datagrams: impl Iterator<Item = Transmit<'a>>) -> Outcome {
    send_by(calls::send, socket.as_fd(), datagrams)
}

fn receive_by(
    call: TransferFn,
    socket: BorrowedFd<'_>,
    memory: &mut [u8],
    size: usize,
    arrivals: &mut [Arrival],
) -> Outcome {
    // Initialize only what is used: for one datagram, all of it would cost more than the call.
    let mut places = [const { MaybeUninit::<ReceivedMessage>::uninit() }; MOST];
    let mut headers = [const { MaybeUninit::<Header>::uninit() }; MOST];
    let pieces = memory.chunks_exact_mut(size).zip(&*arrivals);
    let mut count = 0;
    for ((piece, _), (place, header)) in pieces.zip(places.iter_mut().zip(&mut headers)) {
        let piece = libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: piece.len() };
        let place = place.write(ReceivedMessage {
            name: SockAddrStorage::zeroed(),
            control: MaybeUninit::uninit(),
            piece,
        });
        let header = &mut header.write(empty_header()).msg_hdr;
        header.msg_name = (&raw mut place.name).cast();
        header.msg_namelen = size_of::<SockAddrStorage>() as _;
        header.msg_iov = &raw mut place.piece;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut place.control).cast();
        header.msg_controllen = size_of::<ControlBuffer>() as _;
        count += 1;
    }
    // SAFETY: this many have been initialized above.
    let headers = unsafe { headers[..count].assume_init_mut() };
    // SAFETY: each header points to its own name, piece of memory and room for control messages, with their true
    // lengths, and none of these move.
    let (received, error) = unsafe { call(socket, headers) }?;
    for ((header, place), arrival) in headers.iter().zip(&places).zip(arrivals).take(received) {
        // SAFETY: there is a place for each header, and both were initialized together.
        let place = unsafe { place.assume_init_ref() };
        // SAFETY: the header still points to its control messages, and contains their length.
        let (segment_size, is_unclear) = match unsafe { ControlBuffer::segments(&header.msg_hdr) } {
            Segments::None => (None, false),
            Segments::OfSize(size) => (Some(size), false),
            Segments::CutOff => (None, is_coalescing(socket)),
        };
        *arrival = Arrival {
            length: usize::try_from(header.msg_len).unwrap_or(0).min(size),
            from: sender(&place.name, header.msg_hdr.msg_namelen),
            is_truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            segment_size,
            is_unclear,
        };
    }
    Ok((received.min(count), error))
}

/// The memory that the header of a received datagram points to.
struct ReceivedMessage {
    name: SockAddrStorage,
    /// The kernel writes control messages here, and sets their length in the header.
    control: MaybeUninit<ControlBuffer>,
    piece: libc::iovec,
}

fn send_by<'a>(
    call: TransferFn,
    socket: BorrowedFd<'_>,
    datagrams: impl Iterator<Item = Transmit<'a>>,
) -> Outcome {
    let mut names = [const { MaybeUninit::<SockAddr>::uninit() }; MOST];
    let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; MOST];
    let mut headers = [const { MaybeUninit::<Header>::uninit() }; MOST];
    let mut count = 0;
    // Take no more datagrams from the iterator than this, not even to check if there are more.
    let places = headers.iter_mut().zip(names.iter_mut().zip(&mut pieces));
    for ((header, (name, piece)), datagram) in places.zip(datagrams) {
        // The kernel does not write to this memory, although the type says so.
        let data =
            libc::iovec { iov_base: datagram.data.as_ptr().cast_mut().cast(), iov_len: datagram.data.len() };
        let header = &mut header.write(empty_header()).msg_hdr;
        if let Some(to) = datagram.to {
            let name = name.write(SockAddr::from(to));
            header.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_namelen = name.len();
        }
        header.msg_iov = piece.write(data);
        header.msg_iovlen = 1;
        count += 1;
    }
    if count == 0 {
        return Ok((0, None));
    }
    // SAFETY: this many have been initialized above.
    let headers = unsafe { headers[..count].assume_init_mut() };
    // SAFETY: each header points to data that is borrowed for longer than this call, and to its own name or to none,
    // with their true lengths, and none of these move. They are only read.
    unsafe { call(socket, headers) }
}

/// Creates a header without a name, data or control messages.
fn empty_header() -> Header {
    // SAFETY: the structure consists of numbers and of pointers that may be null. Some systems have padding fields in
    // it, so it cannot be written as a literal.
    unsafe { mem::zeroed() }
}

/// Returns the address of the sender, which some systems do not always report.
fn sender(name: &SockAddrStorage, length: libc::socklen_t) -> SocketAddr {
    if length == 0 || length > size_of::<SockAddrStorage>() as libc::socklen_t {
        return Arrival::NONE.from;
    }
    // SAFETY: the kernel has written an address of that length, or has written nothing to memory of all zeros, which is
    // an address of no family. Such an address consists only of numbers, so it may be copied.
    unsafe { SockAddr::new(ptr::read(name), length) }.as_socket().unwrap_or(Arrival::NONE.from)
}

#[cfg(test)]
#[path = "sys_tests.rs"]
mod tests;
