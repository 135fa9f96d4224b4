//! QUIC: the runtime and the sockets for the crate `quinn`.
//!
//! An endpoint of quinn is created with an instance of [`Runtime`], and then runs on the loop of this thread. Its
//! connections are tasks like any other, its timers follow the clock of the runtime, which a test can
//! [pause](crate::time::pause), and its socket sends and receives many datagrams with one system call.
//!
//! A feature of quinn chooses the cryptography: `rustls-ring` or `rustls-aws-lc-rs`. The feature `runtime-tokio` of quinn
//! is not needed, so `Cargo.toml` contains
//!
//! ```toml
//! quinn = { version = "0.11", default-features = false, features = ["rustls-ring"] }
//! runtime = { path = "../runtime", features = ["quinn"] }
//! ```
//!
//! # Examples
//!
//! `Endpoint::server` and `Endpoint::client` look for tokio, and return the error *no async runtime found*. Call
//! `Endpoint::new` instead. The example `quic_echo` in the folder `examples-web` of the repository is a whole program.
//!
//! ```
//! use quinn::{Endpoint, EndpointConfig, ServerConfig};
//! use std::io;
//! use std::net::UdpSocket;
//! use std::sync::Arc;
//!
//! fn server(crypto: ServerConfig, config: EndpointConfig) -> io::Result<Endpoint> {
//!     let socket = UdpSocket::bind("[::]:4433")?;
//!     Endpoint::new(config, Some(crypto), socket, Arc::new(runtime::quinn::Runtime))
//! }
//!
//! fn client(config: EndpointConfig) -> io::Result<Endpoint> {
//!     let socket = UdpSocket::bind("[::]:0")?;
//!     Endpoint::new(config, None, socket, Arc::new(runtime::quinn::Runtime))
//! }
//! ```
//!
//! A connection ends without a word to its peer if its runtime is dropped. Before that, close the endpoint, and give the
//! peers a moment to learn of it:
//!
//! ```
//! use runtime::time::{Duration, timeout};
//!
//! async fn shut_down(endpoint: quinn::Endpoint) {
//!     endpoint.close(quinn::VarInt::from_u32(0), b"shutting down");
//!     let _ = timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
//! }
//! ```
//!
//! # Several threads
//!
//! Endpoints, connections and streams may be used on any thread. But quinn starts a task when an endpoint is created, and
//! when a connection is begun or accepted. With [`Runtime`], this has to happen on a thread on which a runtime is entered.
//! The connection then runs there, beside an endpoint on another thread.
//!
//! [`Handle`] implements the trait `quinn::Runtime` as well. An endpoint that gets a handle runs on the runtime of this
//! handle, with all its connections, whichever thread calls its methods:
//!
//! ```
//! use quinn::{Endpoint, EndpointConfig};
//! use std::net::UdpSocket;
//! use std::sync::Arc;
//!
//! fn client_of(handle: runtime::Handle, config: EndpointConfig) -> std::io::Result<Endpoint> {
//!     Endpoint::new(config, None, UdpSocket::bind("[::]:0")?, Arc::new(handle))
//! }
//! ```
//!
//! # Errors of the socket
//!
//! A datagram that cannot be sent counts as lost on the way, which the protocol recovers from. If the device refuses
//! to cut up a buffer into datagrams, its datagrams are sent one by one, and quinn is told to pass no more than one at a
//! time. If the kernel refuses the mark for congestion notification (ECN), the datagrams are sent without it.
//!
//! An error that an earlier datagram has caused, such as a refused port, neither ends the endpoint nor takes the place of
//! another datagram. An error of receiving that remains ends the endpoint: `Endpoint::accept` returns `None`,
//! `Endpoint::connect` an error, and its connections are lost.

// This file implements the traits of quinn. The socket is in `socket.rs`, and its wait for room in `poller.rs`. Errors
// are handled in `sending.rs` and `receiving.rs`, which know no descriptor. The system call that sends is in `call.rs`.
// quinn-udp, on which quinn depends anyway, sets the options of a socket and receives. Nothing here knows the protocol.

#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "call_unsupported.rs")]
mod call;
mod poller;
mod receiving;
mod sending;
mod socket;

use crate::runtime::Handle;
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
/// It stands for the runtime that is entered on the current thread. For an endpoint that other threads use, pass a
/// [`Handle`] instead.
///
/// # Panics
///
/// The methods of quinn that start a task panic if no runtime is entered on this thread: `Endpoint::new`,
/// `Endpoint::connect` and `Incoming::accept`. The last two hold a lock of the endpoint then, which the panic poisons, so
/// the endpoint is lost.
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

/// An endpoint with a handle runs on the runtime of the handle, whichever thread calls its methods. Once that runtime has
/// been dropped, the endpoint is closed: `Endpoint::accept` returns `None`, and `Endpoint::connect` an error.
impl ::quinn::Runtime for Handle {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Runtime.new_timer(deadline)
    }

    #[track_caller]
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        drop(Handle::spawn(self, future));
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Runtime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        Runtime.now()
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
