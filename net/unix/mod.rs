//! Unix sockets: between processes of one machine, by way of its file system.

pub(super) mod datagram;
mod patience;
#[cfg(feature = "tokio-io")]
mod spare;
