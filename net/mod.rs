//! Sockets, and any other descriptor that the kernel can report on.
//!
//! [`TcpListener`] and [`TcpStream`] are what they are in std and in tokio; [`TcpSocket`] is what they
//! are made from when options are wanted, and [`serve`] is the loop that accepts. Features add UDP and
//! Unix sockets; and [`AsyncFd`] makes the same of a descriptor from elsewhere. Each owns its
//! descriptor and a registration with the runtime that uses it; the work is done by the system's own
//! calls, tried when the reactor says that they are worth it.
//!
//! A socket can be made anywhere. It *binds* to the runtime on whose thread it first has to wait,
//! and when it is used on another runtime's thread later, it moves there. Two runtimes may use it at once if one of
//! them reads and the other writes, as with the halves of a stream on two threads. If two wait for the same direction
//! at once, that is an error of kind [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) for one of them.
//!
//! Addresses are given as [`ToSocketAddrs`]. Only a name that is not an IP address leaves this
//! thread, for the system's resolver on the runtime's pool.
//!
//! What this module does not know: tasks, wakers in their seats, and the kernel's event queue. All
//! that is `runtime::io::registered`'s.

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
pub(crate) mod read_buf;
mod serve;
#[cfg(all(feature = "tokio-io", any(feature = "udp", feature = "unix")))]
mod spare;
mod sys;
pub mod tcp;
#[cfg(feature = "tokio-io")]
pub(crate) mod tokio_traits;
#[cfg(not(feature = "tokio-io"))]
#[path = "tokio_traits_absent.rs"]
pub(crate) mod tokio_traits;
pub(crate) mod transfer;
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
