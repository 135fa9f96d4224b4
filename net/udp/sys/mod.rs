//! Many datagrams in one system call: the headers that recvmmsg(2) and sendmmsg(2) want, built and read.
//!
//! The law: headers live on the stack of one function here, for the time of one call. They point to
//! arrays beside them, that do not move, and to memory that the caller lends for longer than that;
//! each length said to the kernel is that of what is pointed to. The kernel writes what came, and how
//! much; nothing is believed of that beyond what there was room for. Nothing of it outlives the function,
//! so no type holds a pointer.
//!
//! The calls themselves are in `many.rs`, and one by one in `single.rs` for systems without them. What
//! they do to the headers is all this file knows, so that its tests need no socket.
#![expect(unsafe_code, reason = "the headers are C structures, full of pointers")]

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
mod many;
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "no_offload.rs")]
mod offload;
mod single;

use super::many::Outgoing;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
use libc::mmsghdr as Header;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
use many as calls;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
use single::{self as calls, Header};

use offload::{Control, is_coalescing};
pub(super) use offload::{can_segment, send_segmented, set_coalescing};
use socket2::{SockAddr, SockAddrStorage};
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::{io, ptr};

/// How many datagrams go in one call: more make each of them hardly cheaper, and the headers of so
/// many still fit on a stack, in some 15 KiB.
pub(super) const MOST: usize = 32;

/// A call that goes over headers, and says how many of them it has dealt with; the error is that of
/// the first.
// SAFETY: to be called with headers that point to what they say they do, and stay there.
type Call = unsafe fn(BorrowedFd<'_>, &mut [Header]) -> Outcome;

/// How many were dealt with, at least one; and an error that came behind them and would be lost otherwise.
pub(super) type Outcome = io::Result<(usize, Option<io::Error>)>;

/// What is known of a datagram that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) length: usize,
    pub(super) from: SocketAddr,
    pub(super) is_truncated: bool,
    /// Several of this size, in one.
    pub(super) segment_size: Option<NonZeroUsize>,
    /// Maybe several in one, and nobody knows where each of them ends.
    pub(super) is_unclear: bool,
}

/// How a datagram was put together, as its control messages say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "there is only one way")
)]
enum Segments {
    /// It was sent as it is.
    None,
    OfSize(NonZeroUsize),
    /// The message that would say it has been cut off.
    CutOff,
}

impl Arrival {
    pub(super) const NONE: Arrival = Arrival {
        length: 0,
        from: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        is_truncated: false,
        segment_size: None,
        is_unclear: false,
    };
}

/// Receives datagrams that are there, each into a piece of `memory` of `size` bytes, as many as there
/// is room for in `arrivals`, and at most [`MOST`].
pub(super) fn receive(
    socket: impl AsFd,
    memory: &mut [u8],
    size: usize,
    arrivals: &mut [Arrival],
) -> Outcome {
    receive_by(calls::receive, socket.as_fd(), memory, size, arrivals)
}

/// Sends datagrams in their order, at most [`MOST`].
pub(super) fn send<'a>(socket: impl AsFd, datagrams: impl Iterator<Item = Outgoing<'a>>) -> Outcome {
    send_by(calls::send, socket.as_fd(), datagrams)
}

fn receive_by(
    call: Call,
    socket: BorrowedFd<'_>,
    memory: &mut [u8],
    size: usize,
    arrivals: &mut [Arrival],
) -> Outcome {
    // Only what is used is initialised: for one datagram all of it would cost more than the call.
    let mut places = [const { MaybeUninit::<Place>::uninit() }; MOST];
    let mut headers = [const { MaybeUninit::<Header>::uninit() }; MOST];
    let pieces = memory.chunks_exact_mut(size).zip(&*arrivals);
    let mut count = 0;
    for ((piece, _), (place, header)) in pieces.zip(places.iter_mut().zip(&mut headers)) {
        let piece = libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: piece.len() };
        let place =
            place.write(Place { name: SockAddrStorage::zeroed(), control: MaybeUninit::uninit(), piece });
        let header = &mut header.write(empty_header()).msg_hdr;
        header.msg_name = (&raw mut place.name).cast();
        header.msg_namelen = size_of::<SockAddrStorage>() as _;
        header.msg_iov = &raw mut place.piece;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut place.control).cast();
        header.msg_controllen = size_of::<Control>() as _;
        count += 1;
    }
    // SAFETY: so many have been initialised above.
    let headers = unsafe { headers[..count].assume_init_mut() };
    // SAFETY: each header points to a name, a piece of memory and room for control messages of its
    // own, with their true lengths, all of which stay where they are.
    let (received, error) = unsafe { call(socket, headers) }?;
    for ((header, place), arrival) in headers.iter().zip(&places).zip(arrivals).take(received) {
        // SAFETY: there is a place for each header, initialised with it.
        let place = unsafe { place.assume_init_ref() };
        // SAFETY: the header still points to its control messages, and says how long they are.
        let (segment_size, is_unclear) = match unsafe { Control::segments(&header.msg_hdr) } {
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

/// What the header of one that is received points to.
struct Place {
    name: SockAddrStorage,
    /// The kernel writes there, and says how far.
    control: MaybeUninit<Control>,
    piece: libc::iovec,
}

fn send_by<'a>(call: Call, socket: BorrowedFd<'_>, datagrams: impl Iterator<Item = Outgoing<'a>>) -> Outcome {
    let mut names = [const { MaybeUninit::<SockAddr>::uninit() }; MOST];
    let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; MOST];
    let mut headers = [const { MaybeUninit::<Header>::uninit() }; MOST];
    let mut count = 0;
    // No further than that, not even to find that there are more.
    let places = headers.iter_mut().zip(names.iter_mut().zip(&mut pieces));
    for ((header, (name, piece)), datagram) in places.zip(datagrams) {
        // The kernel does not write there, whatever the type says.
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
    // SAFETY: so many have been initialised above.
    let headers = unsafe { headers[..count].assume_init_mut() };
    // SAFETY: each header points to data that is borrowed for longer than this, and to a name of its
    // own or to none, with their true lengths, and they stay where they are. They are only read.
    unsafe { call(socket, headers) }
}

/// Without a name, data or control messages.
fn empty_header() -> Header {
    // SAFETY: a structure of numbers and of pointers that may be null. Some systems have fields of
    // padding in it, so that it cannot be written down.
    unsafe { mem::zeroed() }
}

/// Who sent it. Some systems do not always say.
fn sender(name: &SockAddrStorage, length: libc::socklen_t) -> SocketAddr {
    if length == 0 || length > size_of::<SockAddrStorage>() as libc::socklen_t {
        return Arrival::NONE.from;
    }
    // SAFETY: the kernel has written an address of that length, or nothing to what was all zeros,
    // which is an address of no family; and such an address is but numbers, good to be copied.
    unsafe { SockAddr::new(ptr::read(name), length) }.as_socket().unwrap_or(Arrival::NONE.from)
}

#[cfg(test)]
#[path = "sys_tests.rs"]
mod tests;
