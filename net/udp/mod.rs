//! UDP. [`UdpSocket`] is what it is in std and in tokio.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod device;
mod options;
pub(super) mod socket;
#[cfg(feature = "tokio-io")]
mod spare;
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

pub use socket::UdpSocket;
