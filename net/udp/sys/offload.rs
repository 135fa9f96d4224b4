//! Segmentation offload on Linux: one buffer that is sent as many datagrams (`UDP_SEGMENT`, since 4.18), and many
//! datagrams that are received as one (`UDP_GRO`, since 5.0). See udp(7).
//!
//! The size of the segments is a control message of the datagram, see cmsg(3). Other options of a socket have control
//! messages, too. Linux writes those of `SOL_SOCKET` first (`__sock_recv_cmsgs`), then the size, then those of IP, and
//! cuts off those for which there is no room (`MSG_CTRUNC`). So there is room for all messages up to the size, and none
//! is needed for the others, some of which may be as long as an extension header of IPv6.
#![expect(unsafe_code, reason = "control messages, and options that socket2 does not know")]

use crate::net::sys::SEND;
use crate::net::udp::message::Segments;
use socket2::{MsgHdr, SockAddr, SockRef};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::{mem, ptr};

/// Room for control messages: 256 bytes. With their headers, a time stamp takes 32 of them; the three of
/// `SO_TIMESTAMPING` take 64 and their device 32; a count of lost datagrams, a mark, a priority, a state of Wi-Fi and
/// the size of segments take 24 each. That is 248.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct ControlBuffer {
    // The alignment is that of the header of a message.
    messages: [usize; 256 / size_of::<usize>()],
}

impl ControlBuffer {
    pub(super) const EMPTY: ControlBuffer = ControlBuffer { messages: [0; 256 / size_of::<usize>()] };

    /// Reads how a datagram is composed.
    ///
    /// # Safety
    ///
    /// The header must point to control messages of the length that it says.
    // SAFETY: the function documents what the caller must guarantee.
    pub(super) unsafe fn segments(header: &libc::msghdr) -> Segments {
        // SAFETY: this is only arithmetic.
        let whole_size = unsafe { libc::CMSG_LEN(size_of::<libc::c_int>() as _) };
        // SAFETY: the caller guarantees that the header is valid, and these macros read no further than the length in
        // it.
        let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
        let mut is_cut = header.msg_flags & libc::MSG_CTRUNC != 0;
        // SAFETY: the macros return null, or a pointer to a message in the buffer.
        while let Some(found) = unsafe { message.as_ref() } {
            let is_size = (found.cmsg_level, found.cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO);
            if is_size && found.cmsg_len >= whole_size as _ {
                // SAFETY: such a message contains a C int, which may be unaligned.
                let size = unsafe { libc::CMSG_DATA(message).cast::<libc::c_int>().read_unaligned() };
                let size = usize::try_from(size).ok().and_then(NonZeroUsize::new);
                return size.map_or(Segments::None, Segments::OfSize);
            }
            // A message that comes after the position of the size: only later messages were cut off.
            is_cut &= found.cmsg_level == libc::SOL_SOCKET || is_size;
            // SAFETY: as above.
            message = unsafe { libc::CMSG_NXTHDR(header, message) };
        }
        if is_cut { Segments::CutOff } else { Segments::None }
    }
}

/// Returns the bytes of a control message that contains the size of segments.
fn size_message(size: u16) -> [u8; SIZE_MESSAGE] {
    let mut control = ControlBuffer::EMPTY;
    // SAFETY: the structure consists of numbers and pointers that may be null; its padding cannot be written as a
    // literal.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = SIZE_MESSAGE as _;
    // SAFETY: there is room for a header and two bytes behind it, with the alignment of a header.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(&header);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as _) as _;
        libc::CMSG_DATA(message).cast::<u16>().write_unaligned(size);
    }
    let mut bytes = [0; SIZE_MESSAGE];
    for (bytes, word) in bytes.chunks_exact_mut(size_of::<usize>()).zip(control.messages) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

// SAFETY: this is only arithmetic.
const SIZE_MESSAGE: usize = unsafe { libc::CMSG_SPACE(size_of::<u16>() as _) } as usize;

/// Sends data as datagrams of a size, of which the last may be shorter. Sends all data or nothing.
pub(in super::super) fn send_segmented(
    socket: impl AsFd,
    data: &[u8],
    size: u16,
    to: Option<SocketAddr>,
) -> io::Result<usize> {
    let (buffers, control) = ([IoSlice::new(data)], size_message(size));
    let to = to.map(SockAddr::from);
    let header = MsgHdr::new().with_buffers(&buffers).with_control(&control);
    let header = match &to {
        Some(to) => header.with_addr(to),
        None => header,
    };
    SockRef::from(&socket).sendmsg(&header, SEND)
}

/// Returns `true` if the kernel supports segmentation. A kernel that does not would ignore the size, and send the data
/// as one datagram.
pub(in super::super) fn can_segment(socket: impl AsFd) -> bool {
    option(socket, libc::UDP_SEGMENT).is_ok()
}

/// Returns the value of an option of UDP.
fn option(socket: impl AsFd, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open while it is borrowed, and the value has the size that the length says.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_UDP,
            name,
            (&raw mut value).cast(),
            &mut length,
        )
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Returns `true` if several datagrams may be received as one.
pub(super) fn is_coalescing(socket: impl AsFd) -> bool {
    option(socket, libc::UDP_GRO).is_ok_and(|value| value != 0)
}

/// Sets whether several datagrams may be received as one.
pub(in super::super) fn set_coalescing(socket: impl AsFd, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    // SAFETY: as above.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds the messages that the kernel would write, one behind the other, and reads the size from them.
    fn segment_size(messages: &[(libc::c_int, libc::c_int, &[u8])]) -> Option<usize> {
        match segments(messages, 0) {
            Segments::OfSize(size) => Some(size.get()),
            Segments::None => None,
            Segments::CutOff => panic!("nothing was cut off"),
        }
    }

    /// Builds the same messages, and sets flags in the header.
    fn segments(messages: &[(libc::c_int, libc::c_int, &[u8])], flags: libc::c_int) -> Segments {
        let mut control = ControlBuffer::EMPTY;
        // SAFETY: as above.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        let mut length = 0;
        for (level, kind, data) in messages {
            // SAFETY: there is room for the messages of the tests, which is asserted.
            unsafe {
                let message = (&raw mut control).byte_add(length).cast::<libc::cmsghdr>();
                length += libc::CMSG_SPACE(data.len() as _) as usize;
                assert!(length <= size_of::<ControlBuffer>());
                (*message).cmsg_level = *level;
                (*message).cmsg_type = *kind;
                (*message).cmsg_len = libc::CMSG_LEN(data.len() as _) as _;
                ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(message), data.len());
            }
        }
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = length as _;
        header.msg_flags = flags;
        // SAFETY: the header points to the messages above.
        unsafe { ControlBuffer::segments(&header) }
    }

    #[test]
    fn the_size_of_segments_is_found_among_other_messages() {
        let size = (libc::SOL_UDP, libc::UDP_GRO, &1200_i32.to_ne_bytes()[..]);
        let stamp = (libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[7; 16][..]);
        assert_eq!(segment_size(&[]), None);
        assert_eq!(segment_size(&[size]), Some(1200));
        assert_eq!(segment_size(&[stamp]), None);
        assert_eq!(segment_size(&[stamp, size]), Some(1200));
        assert_eq!(segment_size(&[size, stamp]), Some(1200));
        for wrong in [0_i32, -1] {
            assert_eq!(segment_size(&[(libc::SOL_UDP, libc::UDP_GRO, &wrong.to_ne_bytes())]), None);
        }
    }

    #[test]
    fn messages_that_were_cut_off_before_the_size_are_reported() {
        let size = (libc::SOL_UDP, libc::UDP_GRO, &1200_i32.to_ne_bytes()[..]);
        let half_a_size = (libc::SOL_UDP, libc::UDP_GRO, &[7, 7][..]);
        let stamp = (libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[7; 16][..]);
        let address = (libc::IPPROTO_IP, libc::IP_PKTINFO, &[7; 12][..]);
        let of_size = Segments::OfSize(NonZeroUsize::new(1200).unwrap());
        for (messages, expected) in [
            (&[][..], Segments::CutOff),
            (&[stamp], Segments::CutOff),
            (&[stamp, half_a_size], Segments::CutOff),
            (&[stamp, address], Segments::None),
            (&[address], Segments::None),
            (&[stamp, size], of_size),
            (&[stamp, size, address], of_size),
        ] {
            assert_eq!(segments(messages, libc::MSG_CTRUNC), expected, "{messages:?}");
        }
    }

    #[test]
    fn the_size_to_send_is_one_message() {
        let bytes = size_message(0x1234);
        let mut control = ControlBuffer::EMPTY;
        // SAFETY: this many bytes fit into it, any bytes are valid, and the header is as above.
        let mut header: libc::msghdr = unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut control).cast(), bytes.len());
            mem::zeroed()
        };
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = bytes.len() as _;
        // SAFETY: the header points to one message.
        unsafe {
            let message = libc::CMSG_FIRSTHDR(&header);
            assert_eq!(((*message).cmsg_level, (*message).cmsg_type), (libc::SOL_UDP, libc::UDP_SEGMENT));
            assert_eq!((*message).cmsg_len as usize, libc::CMSG_LEN(2) as usize);
            assert_eq!(libc::CMSG_DATA(message).cast::<u16>().read_unaligned(), 0x1234);
            assert!(libc::CMSG_NXTHDR(&header, message).is_null());
        }
    }
}
