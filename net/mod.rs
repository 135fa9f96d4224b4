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
//! direction at once, one of them gets an error of kind [`ResourceBusy`](std::io::ErrorKind::ResourceBusy). It may come
//! late while other threads wake tasks of these runtimes, because such a wake may hand the socket over.
//!
//! # Threads without a runtime
//!
//! A socket may also be polled on a thread that has no runtime, by the executor of another library. The runtime that the
//! socket is *bound* to, its home, then waits for it: the one that it is registered with, or else the one that was
//! entered when the socket was created. An accepted connection is bound to the runtime of its listener. The operation
//! itself is done on the thread that polls. Whenever it has to wait, that takes two messages between the threads, some
//! tens of microseconds.
//!
//! - The loop of the home has to turn, in [`block_on`](crate::Runtime::block_on): otherwise the operation waits forever.
//! - If the home has been dropped, or is dropped meanwhile, an operation that has to wait returns an error of kind
//!   [`Other`](std::io::ErrorKind::Other). It is not [`NotConnected`](std::io::ErrorKind::NotConnected), since the peer
//!   may still be there: a runtime that uses the socket later takes it over.
//! - The home counts the timeouts of a stream, on its clock. Callers that wait for a direction at the same time share one
//!   timeout, and one of them gets the error.
//! - A listener does not back off there after an error such as `EMFILE`.
//! - A socket that was created outside of a runtime, by `from_std` for example, and has never waited in one, is bound to
//!   none, and the operation panics. So do the methods of [`AsyncFd`] that take `&mut self`.
//!
//! [`TcpStream::connect`] needs a runtime on its thread, and so does everything that sleeps or spawns.
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
