//! UDP: datagrams one by one, and many at once.
//!
//! [`UdpSocket`] is what it is in std and in tokio. Where one system call for each datagram is too
//! much, [`UdpSocket::recv_many`] fills a [`Batch`] with all that have come, and
//! [`UdpSocket::send_many`] sends a row of [`Outgoing`]; [`UdpSocket::send_segments`] sends one piece
//! of memory as datagrams of one size.

mod batch;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod device;
mod many;
mod options;
mod peek;
mod segments;
pub(super) mod socket;
#[cfg(feature = "tokio-io")]
mod spare;
mod sys;
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod traffic_class;

pub use batch::{Batch, Iter, Received};
pub use many::Outgoing;
pub use socket::UdpSocket;
