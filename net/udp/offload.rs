//! The state of the system's segmentation offload: when data may be sent as segments, and how much at once.
//!
//! Only Linux has it, and there it depends on the kernel, on the device through which the datagrams leave, and on the
//! size. So the first send asks the kernel, and a refusal is kept. The calls themselves are in `sys`.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The maximum number of segments in one call: `UDP_MAX_SEGMENTS` of Linux before 6.9, which takes twice as many.
const MOST_SEGMENTS: usize = 64;

/// The maximum number of bytes in one call: the most that fits into an IPv4 packet.
const MOST_BYTES: usize = 65_507;

/// Returns the maximum number of bytes that one call sends in segments of a size.
pub(super) fn most_bytes(size: usize) -> usize {
    size * MOST_SEGMENTS.min((MOST_BYTES / size).max(1))
}

/// Records if the kernel can cut up the data of a socket.
#[derive(Default)]
pub(super) struct Offload(AtomicU8);

const UNKNOWN: u8 = 0;
const USABLE: u8 = 1;
const REFUSED: u8 = 2;

impl Offload {
    /// Returns `true` if the kernel can cut up data, and asks if it is not known.
    pub(super) fn is_usable(&self, ask: impl FnOnce() -> bool) -> bool {
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
    pub(super) fn is_refusal(&self, error: &io::Error) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_sends_as_many_segments_as_the_kernel_takes() {
        assert_eq!([1, 1000, 1023].map(most_bytes), [64, 64_000, 64 * 1023]);
        assert_eq!([1024, 1500, 65_507].map(most_bytes), [63 * 1024, 43 * 1500, 65_507]);
        assert_eq!(most_bytes(65_535), 65_535, "the kernel refuses it");
    }

    #[test]
    fn a_size_that_is_too_large_does_not_affect_other_sizes() {
        let offload = Offload::default();
        assert!(offload.is_usable(|| true));
        for error in [libc::EINVAL, libc::EMSGSIZE] {
            assert!(offload.is_refusal(&io::Error::from_raw_os_error(error)));
            assert!(offload.is_usable(|| panic!("it is known")));
        }
        for error in [libc::ECONNREFUSED, libc::EAGAIN, libc::ENOBUFS] {
            assert!(!offload.is_refusal(&io::Error::from_raw_os_error(error)));
        }
    }
}
