//! UDP: single datagrams, and many at once.
//!
//! [`UdpSocket`] corresponds to the types of the same name in std and in tokio. If one system call for each datagram is
//! too expensive, [`UdpSocket::recv_many`] fills a [`Batch`] with all datagrams that have arrived, and
//! [`UdpSocket::send_many`] sends a sequence of [`Outgoing`]; [`UdpSocket::send_segments`] sends one buffer as
//! datagrams of one size.

mod batch;
mod many;
mod message;
mod offload;
mod options;
mod outgoing;
mod peek;
mod segments;
pub(super) mod socket;
mod sys;

pub use batch::{Batch, Iter, Received};
pub use outgoing::Outgoing;
pub use socket::UdpSocket;
