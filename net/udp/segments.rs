//! One piece of memory as many datagrams, and many datagrams as one: segmentation offload, with which
//! the way through the network stack is gone once for all of them.
//!
//! Only Linux has it, and there it depends on the kernel, on the device that the way goes out by, and
//! on the size. So who sends asks first; and where the answer is no, the datagrams are sent as
//! they would be by [`UdpSocket::send_many`].

use super::many::Outgoing;
use super::socket::{Socket, UdpSocket};
use super::sys;
use crate::runtime::io::reactor::Direction;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering::Relaxed};

/// Segments in one call; `UDP_MAX_SEGMENTS` of Linux before 6.9, which takes twice as many.
const MOST_SEGMENTS: usize = 64;

/// Bytes in one call: what fits into an IPv4 packet.
const MOST_BYTES: usize = 65_507;

impl UdpSocket {
    /// Sends data to the peer, as datagrams of `size` bytes, the last of which may be shorter. Gives how
    /// many bytes were sent: all, or a multiple of `size`; to send the rest, call again.
    ///
    /// On Linux it is one pass through the network stack (`UDP_SEGMENT`) for up to 64 datagrams and
    /// 64 kB. Where the system or the device cannot do that, or if a datagram is larger than the network
    /// takes in one packet, they are sent one by one. The receiver sees no difference. Of no data,
    /// nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// As [`send`](UdpSocket::send), of the first datagram.
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0; if it has to wait and no runtime is entered on this thread.
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
        self.io.async_io(Direction::Write, |io| self.segments(io, data, size, None)).await
    }

    /// Tries to send several datagrams from one buffer, without waiting; see
    /// [`send_segments`](UdpSocket::send_segments).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and as
    /// [`send_segments`](UdpSocket::send_segments).
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0.
    pub fn try_send_segments(&self, data: &[u8], size: usize) -> io::Result<usize> {
        self.io.try_io(Direction::Write, |io| self.segments(io, data, size, None))
    }

    /// As [`send_segments`](UdpSocket::send_segments), to an address.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// As [`send_to`](UdpSocket::send_to), of the first datagram.
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0; if it has to wait and no runtime is entered on this thread.
    pub async fn send_segments_to(&self, data: &[u8], size: usize, target: SocketAddr) -> io::Result<usize> {
        self.io.async_io(Direction::Write, |io| self.segments(io, data, size, Some(target))).await
    }

    /// Tries to send several datagrams from one buffer to an address, without waiting; see
    /// [`send_segments_to`](UdpSocket::send_segments_to).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and as
    /// [`send_segments_to`](UdpSocket::send_segments_to).
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0.
    pub fn try_send_segments_to(&self, data: &[u8], size: usize, target: SocketAddr) -> io::Result<usize> {
        self.io.try_io(Direction::Write, |io| self.segments(io, data, size, Some(target)))
    }

    /// Sets whether datagrams of one sender and one size that come together may be received as one
    /// (`UDP_GRO`). Off by default.
    ///
    /// Careful: once it is on, receive by [`recv_many`](UdpSocket::recv_many) only, with room for 64 kB
    /// each, and take the datagrams apart by [`Received::segments`](super::Received::segments). The
    /// other ways to receive do not tell where one ends.
    ///
    /// # Errors
    ///
    /// Returns [`Unsupported`](io::ErrorKind::Unsupported) on systems other than Linux, and `ENOPROTOOPT` before Linux
    /// 5.0. It can be left at that: then each datagram comes by itself.
    pub fn set_coalescing(&self, on: bool) -> io::Result<()> {
        sys::set_coalescing(self, on)
    }

    fn segments(&self, io: &Socket, data: &[u8], size: usize, to: Option<SocketAddr>) -> io::Result<usize> {
        assert!(size > 0, "data cannot be sent in segments of 0 bytes");
        if let Ok(segment) = u16::try_from(size)
            && size < data.len()
            && io.offload.is_usable(|| sys::can_segment(io))
        {
            let most = size * MOST_SEGMENTS.min((MOST_BYTES / size).max(1));
            match sys::send_segmented(io, &data[..data.len().min(most)], segment, to) {
                Err(error) if io.offload.is_refusal(&error) => {}
                sent => return sent,
            }
        }
        let pieces = data.chunks(size);
        let datagrams = pieces.clone().map(|data| Outgoing { data, to });
        let count = self.conclude(sys::send(io, datagrams))?;
        Ok(pieces.take(count).map(<[u8]>::len).sum())
    }
}

/// Whether a socket's data can be left to the kernel to cut up.
#[derive(Default)]
pub(super) struct Offload(AtomicU8);

const UNKNOWN: u8 = 0;
const USABLE: u8 = 1;
const REFUSED: u8 = 2;

impl Offload {
    fn is_usable(&self, ask: impl FnOnce() -> bool) -> bool {
        match self.0.load(Relaxed) {
            UNKNOWN => {
                let usable = ask();
                self.0.store(if usable { USABLE } else { REFUSED }, Relaxed);
                usable
            }
            known => known == USABLE,
        }
    }

    /// Whether an error means that it would go one by one.
    fn is_refusal(&self, error: &io::Error) -> bool {
        match error.raw_os_error() {
            // The device on the way cannot compute the sums; nor will it the next time.
            Some(libc::EIO | libc::ENOPROTOOPT | libc::EOPNOTSUPP) => {
                self.0.store(REFUSED, Relaxed);
                true
            }
            // This size is too large for the way.
            Some(libc::EINVAL | libc::EMSGSIZE) => true,
            _ => false,
        }
    }
}

/// An error that is to be told by the next call: its number.
#[derive(Default)]
pub(super) struct LeftOver(AtomicI32);

impl LeftOver {
    #[inline]
    pub(super) fn take(&self) -> Option<io::Error> {
        match self.0.load(Relaxed) {
            0 => None,
            _ => {
                Some(self.0.swap(0, Relaxed)).filter(|number| *number != 0).map(io::Error::from_raw_os_error)
            }
        }
    }

    pub(super) fn put(&self, error: &io::Error) {
        self.0.store(error.raw_os_error().unwrap_or(libc::EIO), Relaxed);
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "refusal_tests.rs"]
mod refusal_tests;
#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
