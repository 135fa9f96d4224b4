//! The system call that sends datagrams, on systems without segments: that of quinn-udp, which knows their control
//! messages.

use ::quinn::udp::{Transmit, UdpSocketState};
use std::io;
use std::net::UdpSocket;

/// Makes one call. quinn-udp always sets a mark, if only that there is none. So a datagram without a mark that is
/// refused is sent again without any control message.
pub(super) fn send(socket: &UdpSocket, state: &UdpSocketState, transmit: &Transmit<'_>) -> io::Result<()> {
    match state.try_send(socket.into(), transmit) {
        Err(error)
            if transmit.ecn.is_none()
                && matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::ENOPROTOOPT)) =>
        {
            socket.send_to(transmit.contents, transmit.destination).map(drop)
        }
        result => result,
    }
}

/// Returns `false`: quinn-udp receives one datagram at a time on most of these systems, so more may be there.
pub(super) fn is_all(_count: usize, _most: usize) -> bool {
    false
}
