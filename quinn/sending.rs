//! The knowledge about sending through one socket. When the kernel refuses to send, segments are sent one by one from
//! then on, or marks are left out. This file does not know how datagrams are sent.
//!
//! Linux offers both to every socket, and finds out when a datagram is sent that the device cannot compute the
//! checksums of segments (`EIO`), that the route takes no segments of this size (`EINVAL`), or that a filter rejects
//! the control message with the mark. The errors are the same, so first the segments are given up, and then the mark.
//!
//! The kernel may also report an error of an earlier datagram, once, and sends nothing then.

use super::receiving::concerns_an_earlier_datagram;
use ::quinn::udp::Transmit;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Records what the kernel refuses to do for a socket.
pub(super) struct Sending {
    /// The maximum number of segments according to the kernel.
    offered_segments: usize,
    /// The same number, or 1 if segments have been refused.
    most_segments: AtomicUsize,
    refuses_marks: AtomicBool,
    /// `true` if the latest batch that was sent one by one is to be sent again, because there was no room for all of it.
    is_batch_cut: AtomicBool,
}

impl Sending {
    pub(super) fn new(offered_segments: usize) -> Sending {
        Sending {
            offered_segments,
            most_segments: AtomicUsize::new(offered_segments),
            refuses_marks: AtomicBool::new(false),
            is_batch_cut: AtomicBool::new(false),
        }
    }

    /// Returns the maximum number of segments that quinn should pass at once.
    pub(super) fn most_segments(&self) -> usize {
        self.most_segments.load(Relaxed)
    }

    /// Sends datagrams by a system call that takes them as they are, with their mark and with segments.
    ///
    /// # Errors
    ///
    /// Returns only [`WouldBlock`](io::ErrorKind::WouldBlock). Another error means that a datagram is lost, and the
    /// protocol recovers from that: the error of one route must not end a connection.
    pub(super) fn send(
        &self,
        transmit: &Transmit<'_>,
        mut call: impl FnMut(&Transmit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        // If the error was about an earlier datagram, the second call does not meet it.
        let mut call = |transmit: &Transmit<'_>| match call(transmit) {
            Err(error) if concerns_an_earlier_datagram(&error) => call(transmit),
            result => result,
        };
        let size = transmit.segment_size.filter(|size| (1..transmit.contents.len()).contains(size));
        let Some(size) = size else { return lose(self.send_one(transmit.clone(), &mut call)) };
        if self.most_segments() > 1 {
            let mut transmit = transmit.clone();
            transmit.ecn = transmit.ecn.filter(|_| !self.refuses_marks.load(Relaxed));
            match call(&transmit) {
                Err(error) if is_refusal(&error) => self.most_segments.store(1, Relaxed),
                // The route now takes only smaller packets. The last segment may be one.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {}
                result => return lose(result),
            }
        }
        self.send_singly(transmit, size, &mut call)
    }

    /// Sends segments as datagrams of their own.
    ///
    /// # Errors
    ///
    /// If there is room for some of them only, returns [`WouldBlock`](io::ErrorKind::WouldBlock), and all of them are
    /// sent again: a peer ignores what it has received before. If there is no room for all of them then either, the rest
    /// counts as lost. Otherwise, a socket that never has so much room would send the first ones forever.
    fn send_singly(
        &self,
        transmit: &Transmit<'_>,
        size: usize,
        call: &mut impl FnMut(&Transmit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        for (sent, contents) in transmit.contents.chunks(size).enumerate() {
            match self.send_one(Transmit { contents, segment_size: None, ..transmit.clone() }, call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if sent > 0 && self.is_batch_cut.fetch_not(Relaxed) {
                        Ok(())
                    } else {
                        Err(error)
                    };
                }
                // Some kernels report a segment that is too long for the route by `EINVAL`. Segments of another size
                // may be sent.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    self.most_segments.store(self.offered_segments, Relaxed);
                }
                _ => {}
            }
        }
        self.is_batch_cut.store(false, Relaxed);
        Ok(())
    }

    /// Sends one datagram, without its mark if that is refused.
    fn send_one(
        &self,
        mut transmit: Transmit<'_>,
        call: &mut impl FnMut(&Transmit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.refuses_marks.load(Relaxed) {
            transmit.ecn = None;
        }
        match call(&transmit) {
            Err(error) if transmit.ecn.is_some() && is_refusal(&error) => {
                transmit.ecn = None;
                call(&transmit)?;
                // It was the mark. Segments may have been given up for the same reason.
                self.refuses_marks.store(true, Relaxed);
                self.most_segments.store(self.offered_segments, Relaxed);
                Ok(())
            }
            result => result,
        }
    }
}

/// Returns `true` if the kernel may have refused a control message.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::ENOPROTOOPT | libc::EOPNOTSUPP))
}

/// Ignores errors that mean that a datagram was lost.
fn lose(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "sending_tests.rs"]
mod tests;
