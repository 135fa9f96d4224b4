//! One buffer that is sent as many datagrams, and many datagrams that are received as one: segmentation offload, with
//! which the datagrams pass through the network stack only once for all of them. If the system cannot do it
//! (`offload.rs`), the datagrams are sent as [`UdpSocket::send_many`] would send them.

use super::message::Transmit;
use super::offload::most_bytes;
use super::socket::{UdpFd, UdpSocket};
use super::sys;
use crate::runtime::io::reactor::Direction;
use std::io;
use std::net::SocketAddr;

impl UdpSocket {
    /// Sends data to the peer as datagrams of `size` bytes, of which the last may be shorter. Returns how many bytes
    /// were sent: all, or a multiple of `size`. To send the rest, call again.
    ///
    /// On Linux, up to 64 datagrams and 64 kB pass through the network stack at once (`UDP_SEGMENT`). If the system or
    /// the device cannot do this, or if a datagram is larger than the network takes in one packet, they are sent one by
    /// one. The receiver sees no difference. If `data` is empty, nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`send`](UdpSocket::send), for the first datagram.
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0, or if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::net::UdpSocket;
    /// # runtime::block_on(async {
    /// # let (socket, peer) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    /// # socket.connect(peer.local_addr()?).await?;
    /// let data = [7; 3000];
    /// let mut sent = 0;
    /// while sent < data.len() {
    ///     sent += socket.send_segments(&data[sent..], 1200).await?;
    /// }
    /// # let mut buffer = [0; 1500];
    /// # for count in [1200, 1200, 600] {
    /// #     assert_eq!(peer.recv(&mut buffer).await?, count);
    /// # }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn send_segments(&self, data: &[u8], size: usize) -> io::Result<usize> {
        self.io.async_io(Direction::Write, |io| send(io, data, size, None)).await
    }

    /// Tries to send several datagrams from one buffer, without waiting; see
    /// [`send_segments`](UdpSocket::send_segments).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the same errors as
    /// [`send_segments`](UdpSocket::send_segments).
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0.
    pub fn try_send_segments(&self, data: &[u8], size: usize) -> io::Result<usize> {
        self.io.try_io(Direction::Write, |io| send(io, data, size, None))
    }

    /// Sends data to an address as datagrams of `size` bytes; see [`send_segments`](UdpSocket::send_segments).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`send_to`](UdpSocket::send_to), for the first datagram.
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0, or if the call has to wait, and there is [no runtime](crate::net#threads-without-a-runtime) to wait in.
    pub async fn send_segments_to(&self, data: &[u8], size: usize, target: SocketAddr) -> io::Result<usize> {
        self.io.async_io(Direction::Write, |io| send(io, data, size, Some(target))).await
    }

    /// Tries to send several datagrams from one buffer to an address, without waiting; see
    /// [`send_segments_to`](UdpSocket::send_segments_to).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the same errors as
    /// [`send_segments_to`](UdpSocket::send_segments_to).
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0.
    pub fn try_send_segments_to(&self, data: &[u8], size: usize, target: SocketAddr) -> io::Result<usize> {
        self.io.try_io(Direction::Write, |io| send(io, data, size, Some(target)))
    }

    /// Sets whether datagrams of one sender and one size that arrive together may be received as one (`UDP_GRO`). The
    /// default is `false`.
    ///
    /// Careful: when it is on, receive only with [`recv_many`](UdpSocket::recv_many), with room for 64 kB for each
    /// datagram, and take the datagrams apart with [`Received::segments`](super::Received::segments). The other methods
    /// that receive do not report where each datagram ends.
    ///
    /// # Errors
    ///
    /// Returns [`Unsupported`](io::ErrorKind::Unsupported) on systems other than Linux, and `ENOPROTOOPT` before Linux
    /// 5.0. The caller may ignore the error: each datagram is then received by itself.
    pub fn set_coalescing(&self, on: bool) -> io::Result<()> {
        sys::set_coalescing(self, on)
    }
}

fn send(socket: &UdpFd, data: &[u8], size: usize, to: Option<SocketAddr>) -> io::Result<usize> {
    assert!(size > 0, "data cannot be sent in segments of 0 bytes");
    if let Ok(segment) = u16::try_from(size)
        && size < data.len()
        && socket.offload.is_usable(|| sys::can_segment(socket))
    {
        match sys::send_segmented(socket, &data[..data.len().min(most_bytes(size))], segment, to) {
            Err(error) if socket.offload.is_refusal(&error) => {}
            sent => return sent,
        }
    }
    let pieces = data.chunks(size);
    let datagrams = pieces.clone().map(|data| Transmit { data, to });
    let count = socket.left_over.conclude(sys::send(socket, datagrams))?;
    Ok(pieces.take(count).map(<[u8]>::len).sum())
}

#[cfg(all(test, target_os = "linux"))]
#[path = "refusal_tests.rs"]
mod refusal_tests;
#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
