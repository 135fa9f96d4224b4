//! Sockets, and any other descriptor that the kernel can report on.
//!
//! [`TcpListener`] and [`TcpStream`] are what they are in std and in tokio, [`TcpSocket`] is what they
//! are made from when options are wanted, and [`AsyncFd`] makes the same of a descriptor from elsewhere. Each owns its descriptor and a registration with the
//! runtime that uses it; the work is done by std's own system calls, tried when the reactor says
//! that they are worth it.
//!
//! A socket can be made anywhere. It *binds* to the runtime on whose thread it first has to wait,
//! and when it is used on another runtime's thread later, it moves there. Used by two at once it is
//! an error of kind [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) for one of them.
//!
//! Addresses are given as [`ToSocketAddrs`]. Only a name that is not an IP address leaves this
//! thread, for the system's resolver on the runtime's pool.
//!
//! What this module does not know: tasks, wakers in their seats, and the kernel's event queue. All
//! that is `runtime::registered`'s.

mod addr;
mod async_fd;
mod interest;
mod methods;
mod pace;
mod sys;
pub mod tcp;
pub(crate) mod transfer;

pub use addr::{ToSocketAddrs, lookup_host};
pub use async_fd::{AsyncFd, AsyncFdReadyGuard, TryIoError};
pub use tcp::listener::{Incoming, TcpListener};
pub use tcp::socket::TcpSocket;
pub use tcp::stream::TcpStream;
