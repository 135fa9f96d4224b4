//! The values that a UDP socket and `sys` exchange: descriptions of datagrams, and the outcome of a call for many of them.
//! These are the lowest types of this folder, which know nothing of headers, sockets and buffers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The maximum number of datagrams in one call. A larger number would make each of them hardly cheaper, and the headers
/// for this many still fit on the stack, in some 15 KiB.
pub(super) const MOST: usize = 32;

/// A datagram to be sent.
#[derive(Clone, Copy)]
pub(super) struct Transmit<'a> {
    pub(super) data: &'a [u8],
    /// The address, or `None` for the peer that the socket is connected to.
    pub(super) to: Option<SocketAddr>,
}

/// The properties of a received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) length: usize,
    pub(super) from: SocketAddr,
    pub(super) is_truncated: bool,
    /// The size of each datagram, if several were received as one.
    pub(super) segment_size: Option<NonZeroUsize>,
    /// `true` if several datagrams may have been received as one, and it is not known where each of them ends.
    pub(super) is_unclear: bool,
}

impl Arrival {
    pub(super) const NONE: Arrival = Arrival {
        length: 0,
        from: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        is_truncated: false,
        segment_size: None,
        is_unclear: false,
    };
}

/// The segments that a received datagram consists of, according to its control messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "without offload, no datagram has segments")
)]
pub(super) enum Segments {
    /// The datagram is as it was sent.
    None,
    OfSize(NonZeroUsize),
    /// The control message that would tell has been cut off.
    CutOff,
}

/// The number of datagrams transferred, at least one; and an error that occurred after them and would be lost
/// otherwise.
pub(super) type Outcome = io::Result<(usize, Option<io::Error>)>;

/// The number of an error that occurred after datagrams which were reported, and that the next call returns.
#[derive(Default)]
pub(super) struct LeftOver(AtomicI32);

impl LeftOver {
    /// Returns the error that is left over from an earlier call, once.
    #[inline]
    pub(super) fn check(&self) -> io::Result<()> {
        match self.0.load(Relaxed) {
            0 => Ok(()),
            // Another thread may have taken it in the meantime.
            _ => match self.0.swap(0, Relaxed) {
                0 => Ok(()),
                number => Err(io::Error::from_raw_os_error(number)),
            },
        }
    }

    /// Returns the number of datagrams, and keeps the error that occurred after them.
    pub(super) fn conclude(&self, outcome: Outcome) -> io::Result<usize> {
        let (count, error) = outcome?;
        if let Some(error) = error {
            self.0.store(error.raw_os_error().unwrap_or(libc::EIO), Relaxed);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_after_datagrams_is_returned_once() {
        let left_over = LeftOver::default();
        assert!(left_over.check().is_ok());
        assert_eq!(left_over.conclude(Ok((2, None))).unwrap(), 2);
        assert!(left_over.check().is_ok());
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(left_over.conclude(Ok((3, Some(refused)))).unwrap(), 3);
        assert_eq!(left_over.check().unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
        assert!(left_over.check().is_ok());
    }
}
