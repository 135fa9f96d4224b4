//! QUIC: the runtime and the sockets for the crate `quinn`.
//!
//! An endpoint of quinn is created with an instance of [`Runtime`], and then runs on the loop of this thread. Its
//! connections are tasks like any other, its timers follow the clock of the runtime, which a test can
//! [pause](crate::time::pause), and its socket sends and receives many datagrams with one system call.
//!
//! The cryptography is chosen by the features of quinn in the `Cargo.toml` of the program. The feature
//! `runtime-tokio` of quinn is not needed:
//!
//! ```toml
//! quinn = { version = "0.11", default-features = false, features = ["rustls-ring"] }
//! runtime = { version = "0.1", features = ["quinn"] }
//! ```
//!
//! # Examples
//!
//! Instead of `Endpoint::server` and `Endpoint::client`, which look for a runtime of their own, call `Endpoint::new`:
//!
//! ```
//! use std::net::UdpSocket;
//! use std::sync::Arc;
//!
//! fn server(crypto: quinn::ServerConfig, config: quinn::EndpointConfig) -> std::io::Result<quinn::Endpoint> {
//!     let socket = UdpSocket::bind("[::]:4433")?;
//!     quinn::Endpoint::new(config, Some(crypto), socket, Arc::new(runtime::quinn::Runtime))
//! }
//!
//! fn client(config: quinn::EndpointConfig) -> std::io::Result<quinn::Endpoint> {
//!     let socket = UdpSocket::bind("[::]:0")?;
//!     quinn::Endpoint::new(config, None, socket, Arc::new(runtime::quinn::Runtime))
//! }
//! ```
//!
//! # Errors of the socket
//!
//! A datagram that cannot be sent counts as lost on the way, which the protocol recovers from. If the device refuses
//! to cut up a buffer into datagrams, its datagrams are sent one by one, and quinn is told to pass no more than one at a
//! time. If the kernel refuses the mark for congestion notification (ECN), the datagrams are sent without it. An error
//! that an earlier datagram has caused, such as a refused port, does not end the endpoint. An error that remains does.

// The front door: what quinn asks a runtime for. The socket is in `socket.rs`, and how it waits for room in `poller.rs`.
// What becomes of errors is decided in `sending.rs` and `receiving.rs`, which know no descriptor. The system call that
// sends is in `call.rs`. Setting the options of a socket and receiving are done by quinn-udp, which quinn depends on
// anyway. Nothing here knows the protocol.

#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "call_unsupported.rs")]
mod call;
mod poller;
mod receiving;
mod sending;
mod socket;

use crate::task;
use crate::time::{self, Sleep, sleep_until};
use ::quinn::{AsyncTimer, AsyncUdpSocket};
use socket::Socket;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// The runtime to pass to `quinn::Endpoint::new`. It corresponds to `quinn::TokioRuntime`.
///
/// It stands for the runtime that is entered on the current thread. An endpoint has to be created, connected and
/// accepted from on such a thread.
///
/// # Panics
///
/// The methods of quinn that start a task panic if no runtime is entered on this thread: `Endpoint::new`,
/// `Endpoint::connect` and `Incoming::accept`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runtime;

impl ::quinn::Runtime for Runtime {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(sleep_until(deadline.into()))
    }

    #[track_caller]
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        drop(task::spawn(future));
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket::new(socket)?))
    }

    fn now(&self) -> Instant {
        time::Instant::now().into_std()
    }
}

impl AsyncTimer for Sleep {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        Sleep::reset(self, deadline.into());
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Future::poll(self, cx)
    }
}
