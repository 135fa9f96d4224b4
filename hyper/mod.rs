//! A server of HTTP, and the traits by which hyper and the libraries that are built on it use a runtime.
//!
//! - [`serve_http`] serves a service of hyper or tower, such as a `Router` of axum, on HTTP/1.1 and HTTP/2, with time
//!   limits, a limit on connections, and a graceful shutdown.
//! - [`Executor`] and [`Timer`] are what hyper's builders ask for.
//! - The streams of [`net`](crate::net) and [`io`](crate::io) have hyper's traits [`Read`](::hyper::rt::Read) and
//!   [`Write`](::hyper::rt::Write), and need no wrapper. [`TokioIo`] and [`FuturesIo`] adapt the streams of other crates.
#![cfg_attr(
    feature = "hyper-client",
    doc = "- [`Connector`] opens the connections of hyper-util's pooled client (feature `hyper-client`)."
)]

// This module is built on `net`, `time` and `task`, and knows nothing of the loop. In its files, `::hyper` is the crate.

mod adapters;
#[cfg(feature = "hyper-client")]
mod connector;
mod executor;
mod server;
mod streams;
mod timer;
mod uninit;

pub use adapters::{FuturesIo, TokioIo};
#[cfg(feature = "hyper-client")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper-client")))]
pub use connector::{Connecting, Connector};
pub use executor::Executor;
pub use server::{
    BodyTimeout, ByFunction, Handshake, HttpServer, HyperService, IntoService, NoHandshake, Parts,
    RequestTasks, TimedBody, Tower, TowerFuture, TowerService, UpgradePermit, downcast, serve_http,
};
pub use timer::Timer;
