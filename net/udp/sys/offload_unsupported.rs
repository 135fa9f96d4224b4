//! Segmentation offload for systems without it: datagrams are sent and received one by one.
#![expect(unsafe_code, reason = "the same signature as in offload.rs, where the function reads memory")]

use crate::net::udp::message::Segments;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// No control messages are requested.
#[derive(Clone, Copy)]
pub(super) struct ControlBuffer;

impl ControlBuffer {
    /// # Safety
    ///
    /// There are no requirements, since nothing is read.
    // SAFETY: the function documents what the caller must guarantee.
    pub(super) unsafe fn segments(_: &libc::msghdr) -> Segments {
        Segments::None
    }
}

pub(in super::super) fn send_segmented(
    _: impl AsFd,
    _: &[u8],
    _: u16,
    _: Option<SocketAddr>,
) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(in super::super) fn can_segment(_: impl AsFd) -> bool {
    false
}

pub(super) fn is_coalescing(_: impl AsFd) -> bool {
    false
}

pub(in super::super) fn set_coalescing(_: impl AsFd, on: bool) -> io::Result<()> {
    if on { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}
