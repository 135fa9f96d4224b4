//! One buffer that is sent as many datagrams, and many datagrams that are received as one: segmentation offload, with
//! which the datagrams pass through the network stack only once for all of them.
//!
//! Only Linux has it, and there it depends on the kernel, on the device through which the datagrams leave, and on the
//! size. So the first send asks the kernel; and if it cannot, the datagrams are sent as [`UdpSocket::send_many`] would
//! send them.

use super::many::Outgoing;
use super::socket::{Socket, UdpSocket};
use super::sys;
use crate::runtime::io::reactor::Direction;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering::Relaxed};

/// The maximum number of segments in one call: `UDP_MAX_SEGMENTS` of Linux before 6.9, which takes twice as many.
const MOST_SEGMENTS: usize = 64;

/// The maximum number of bytes in one call: the most that fits into an IPv4 packet.
const MOST_BYTES: usize = 65_507;

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
    /// Panics if `size` is 0, or if the call has to wait and no runtime is entered on this thread.
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
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and the same errors as
    /// [`send_segments`](UdpSocket::send_segments).
    ///
    /// # Panics
    ///
    /// Panics if `size` is 0.
    pub fn try_send_segments(&self, data: &[u8], size: usize) -> io::Result<usize> {
        self.io.try_io(Direction::Write, |io| self.segments(io, data, size, None))
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
    /// Panics if `size` is 0, or if the call has to wait and no runtime is entered on this thread.
    pub async fn send_segments_to(&self, data: &[u8], size: usize, target: SocketAddr) -> io::Result<usize> {
        self.io.async_io(Direction::Write, |io| self.segments(io, data, size, Some(target))).await
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
        self.io.try_io(Direction::Write, |io| self.segments(io, data, size, Some(target)))
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

/// Records if the kernel can cut up the data of a socket.
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

    /// Returns `true` if an error means that the data can be sent as single datagrams instead.
    fn is_refusal(&self, error: &io::Error) -> bool {
        match error.raw_os_error() {
            // The device cannot compute the checksums, and will not be able to next time.
            Some(libc::EIO | libc::ENOPROTOOPT | libc::EOPNOTSUPP) => {
                self.0.store(REFUSED, Relaxed);
                true
            }
            // The size is too large for the network path.
            Some(libc::EINVAL | libc::EMSGSIZE) => true,
            _ => false,
        }
    }
}

/// The number of an error that the next call returns.
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
