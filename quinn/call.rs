//! The system call that sends datagrams, on Linux: sendmsg(2) with control messages, see cmsg(3).
//!
//! quinn-udp has such a call too. But after an `EINVAL` it sends again by itself, without the mark for congestion
//! notification, and leaves out all later marks, although segments are a frequent reason for that error. And it marks
//! datagrams that are to have no mark, so nothing could be sent where marks are refused. Here each call is made once
//! and as it was asked for, and `sending.rs` decides what follows.
//!
//! The messages are built as bytes: a length of the word's size, two C integers, the data, and padding to a whole word.
//! The kernel copies them before it reads them, so they need no alignment.

use ::quinn::udp::{BATCH_SIZE, Transmit, UdpSocketState};
use socket2::{MsgHdr, SockAddr, SockRef};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The size of the head of a message.
const HEAD: usize = size_of::<libc::cmsghdr>();
const WORD: usize = size_of::<usize>();
const _: () = assert!(HEAD == 16 && WORD == 8, "the head is one word, and two integers");

/// Room for three messages: a mark, the size of the segments, and a local address of IPv6.
const ROOM: usize = 24 + 24 + 40;

/// Makes one call, and repeats it if a signal interrupts it.
pub(super) fn send(socket: &UdpSocket, _: &UdpSocketState, transmit: &Transmit<'_>) -> io::Result<()> {
    let mut control = Control { bytes: [0; ROOM], length: 0 };
    if let Some(mark) = transmit.ecn {
        let mark = libc::c_int::from(mark as u8).to_ne_bytes();
        // A socket of IPv6 sends IPv4 packets to such addresses, for which the option of IPv4 counts.
        match transmit.destination {
            SocketAddr::V6(to) if to.ip().to_ipv4_mapped().is_none() => {
                control.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &mark);
            }
            _ => control.push(libc::IPPROTO_IP, libc::IP_TOS, &mark),
        }
    }
    if let Some(size) = transmit.segment_size.and_then(|size| u16::try_from(size).ok())
        && usize::from(size) < transmit.contents.len()
    {
        control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
    }
    match transmit.src_ip {
        // `in_pktinfo`: an interface, the local address, and an address that counts only on receipt.
        Some(IpAddr::V4(from)) => {
            let mut info = [0; 12];
            info[4..8].copy_from_slice(&from.octets());
            control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        }
        // `in6_pktinfo`: the local address, and an interface.
        Some(IpAddr::V6(from)) => {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&from.octets());
            control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        None => {}
    }
    let (buffers, to) = ([IoSlice::new(transmit.contents)], SockAddr::from(transmit.destination));
    let header = MsgHdr::new().with_addr(&to).with_buffers(&buffers);
    let header = match control.bytes() {
        [] => header,
        bytes => header.with_control(bytes),
    };
    loop {
        match SockRef::from(socket).sendmsg(&header, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}

/// Returns `true` if a call that has received this many datagrams, and could have received `most`, has taken all that
/// were there: recvmmsg(2), by which quinn-udp receives, has then found none.
pub(super) fn is_all(count: usize, most: usize) -> bool {
    count < most.min(BATCH_SIZE)
}

/// Control messages, one behind the other.
struct Control {
    bytes: [u8; ROOM],
    length: usize,
}

impl Control {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let message = &mut self.bytes[self.length..];
        message[..8].copy_from_slice(&(HEAD + data.len()).to_ne_bytes());
        message[8..12].copy_from_slice(&level.to_ne_bytes());
        message[12..16].copy_from_slice(&kind.to_ne_bytes());
        message[HEAD..HEAD + data.len()].copy_from_slice(data);
        self.length += HEAD + data.len().next_multiple_of(WORD);
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
