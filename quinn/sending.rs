//! What has been learned about sending through a socket, and what is done when the kernel refuses: segments are then
//! sent one by one, and marks are left out. This file does not know how datagrams are sent.
//!
//! Linux offers both to every socket, and finds out when a datagram is sent that the device cannot compute the
//! checksums of segments (`EIO`), that the route takes no segments of this size (`EINVAL`), or that a filter rejects
//! the control message with the mark. The errors are the same, so first the segments are given up, and then the mark.

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
}

impl Sending {
    pub(super) fn new(offered_segments: usize) -> Sending {
        Sending {
            offered_segments,
            most_segments: AtomicUsize::new(offered_segments),
            refuses_marks: AtomicBool::new(false),
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
    /// protocol recovers from that: the error of one route must not end a connection. If there is room for some of the
    /// segments only, all of them are sent again, since a peer ignores what it has received before.
    pub(super) fn send(
        &self,
        transmit: &Transmit<'_>,
        mut call: impl FnMut(&Transmit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
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
        for contents in transmit.contents.chunks(size) {
            lose(self.send_one(Transmit { contents, segment_size: None, ..transmit.clone() }, &mut call))?;
        }
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
