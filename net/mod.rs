//! Sockets, and any other descriptor whose readiness the kernel can report.
//!
//! [`TcpListener`] and [`TcpStream`] correspond to the types of the same names in std and in tokio. [`TcpSocket`] sets
//! options before a socket is connected or listens, and [`serve`] runs the loop that accepts connections. Features add
//! UDP and Unix sockets. [`AsyncFd`] makes any other descriptor usable in the same way. Each of these types owns its
//! descriptor and a registration with the runtime that uses it. An operation makes the usual system call on the
//! descriptor, and waits while the descriptor is not ready.
//!
//! A socket can be created on any thread. It *binds* to the runtime on whose thread it first has to wait, and if it is
//! used on the thread of another runtime later, it moves there. Two runtimes may use a socket at once if one of them
//! reads and the other one writes, as with the halves of a stream on two threads. If two runtimes wait for the same
//! direction at once, one of them gets an error of kind [`ResourceBusy`](std::io::ErrorKind::ResourceBusy).
//!
//! Addresses are given as [`ToSocketAddrs`]. IP addresses are parsed on this thread; names are looked up by the
//! system's resolver, on the thread pool of the runtime.

// This module knows nothing of tasks, wakers, and the event queue of the kernel: `runtime::io::registered` does.

mod accept_backoff;
mod addr;
mod async_fd;
mod backoff;
#[cfg(any(feature = "udp", feature = "unix"))]
mod datagram;
#[cfg(feature = "io-util")]
pub(crate) mod fd_traits;
mod halves;
mod interest;
mod listening;
mod methods;
mod option_values;
#[cfg(feature = "tokio-io")]
mod read_buf;
#[cfg(all(feature = "tokio-io", any(feature = "udp", feature = "unix")))]
mod recv_buf;
pub(crate) mod serve;
mod stream_traits;
mod sys;
pub mod tcp;
#[cfg(feature = "tokio-io")]
mod tokio_traits;
#[cfg(not(feature = "tokio-io"))]
#[path = "tokio_traits_disabled.rs"]
mod tokio_traits;
mod transfer;
#[cfg(feature = "udp")]
#[cfg_attr(docsrs, doc(cfg(feature = "udp")))]
pub mod udp;
#[cfg(feature = "unix")]
#[cfg_attr(docsrs, doc(cfg(feature = "unix")))]
pub mod unix;

pub use addr::{ToSocketAddrs, lookup_host};
pub use async_fd::{AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError};
pub use serve::{Accept, Drain, Draining, Serve, Served, serve};
pub use tcp::listener::{Incoming, TcpListener};
pub use tcp::socket::TcpSocket;
pub use tcp::stream::TcpStream;
#[cfg(feature = "udp")]
#[cfg_attr(docsrs, doc(cfg(feature = "udp")))]
pub use udp::UdpSocket;
#[cfg(feature = "unix")]
#[cfg_attr(docsrs, doc(cfg(feature = "unix")))]
pub use unix::{datagram::UnixDatagram, listener::UnixListener, socket::UnixSocket, stream::UnixStream};
