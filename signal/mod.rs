//! Signals of the operating system: streams of them, Ctrl-C, and the shutdown of a program.
//!
//! | | |
//! |---|---|
//! | [`shutdown`] | is ready when the program should end: at the first `SIGINT` or `SIGTERM`. A second one ends the process |
//! | [`ctrl_c`] | is ready at the next `SIGINT` |
//! | [`unix::signal`] | returns a stream of signals of one kind, such as `SIGHUP` |
//!
//! # Examples
//!
//! A server that shuts down in order when it is told to end:
//!
//! ```no_run
//! use runtime::net::{TcpListener, serve};
//! use runtime::signal;
//! use std::time::Duration;
//!
//! #[runtime::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:7000").await?;
//!     serve(listener)
//!         .graceful(signal::shutdown(), Duration::from_secs(10))
//!         .run(async |_stream, _peer| { /* answer */ })
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! # What is not lost
//!
//! A stream returns one item for all signals that have arrived since its last item. So an item stands for at least one
//! signal, and however many signals arrive at once, no kind of signal is lost.
//!
//! A stream sees the signals that arrive while it exists. A signal that arrives while there is no stream for its kind,
//! but has been one on this thread before, is kept: the next stream that is created on this thread returns it at once.
//! So a loop that calls [`ctrl_c`] again in each pass of a `select!` misses no Ctrl-C between two passes. This differs
//! from tokio, where such a signal is lost. Lost are:
//!
//! - a signal that arrives before its kind was first listened for: it has its default effect;
//! - a signal that another stream of the same thread has received, for a stream that was created after that;
//! - a signal that arrives before the first stream for its kind on a thread, for the streams of that thread.
//!
//! # The effect on the process
//!
//! The first stream for a kind installs a handler, which replaces the default effect of the signal **until the process
//! ends**. The signal then no longer ends the process, even after all streams have been dropped, and after the runtime
//! has been. A program that may still work for long after a [`ctrl_c`] should use [`shutdown`], or call
//! [`std::process::exit`] at the second one.
//!
//! The handler does nothing but write to atomic variables and to one descriptor for each stream. It is installed by the
//! crate signal-hook-registry, and calls the handler that was there before. There is no further thread: each stream has
//! a descriptor, which the runtime watches that polls the stream. When a stream is dropped, the process keeps its
//! descriptor for the next one. So the number of these descriptors is the largest number of streams that existed at
//! the same time.
//!
//! # Several threads, and children
//!
//! Streams may be used by any number of runtimes on any number of threads. Each stream sees each signal.
//!
//! A child of fork(2) inherits the handlers. It sees the signals that are sent to the child, and its parent does not.
//! It may create streams in a runtime of its own, and go on with those that it has inherited, whose pending signals it
//! inherits too. If another thread of its parent was creating the first stream for any kind during the fork, the child
//! cannot listen for further kinds, and gets an error. A program that is executed by the child starts without these
//! handlers.

// Four files know only a part each: `kind.rs` has the numbers, `listeners.rs` the descriptors, `handler.rs` what runs
// when a signal arrives, and `stop_state.rs` what the first and the second request to end do. Streams (`unix.rs`) and
// the shutdown (`shutdown.rs`) count signals, and use a listener only to wait.
//
// ```text
// signal ─► handler ─► stop_state, arrivals ─► listeners ─► eventfd ─► the reactor of the stream's runtime
// ```

mod handler;
mod kind;
mod listeners;
mod shutdown;
mod stop_state;
pub mod unix;

pub use shutdown::{Shutdown, shutdown};

use crate::runtime::io::registered::Owner;
use crate::task::origin::Origin;
use std::io;
use unix::{Signal, SignalKind};

/// Waits for a `SIGINT`, which Ctrl-C sends.
///
/// The first poll begins to listen. If a stream or a call of this function has listened for `SIGINT` on this thread
/// before, and another one has arrived since, the future is ready at once.
///
/// From the first poll on, Ctrl-C does not end the process any more, until the process ends: see
/// [`signal`](crate::signal#the-effect-on-the-process).
///
/// # Cancel safety
///
/// This function is cancel safe. A signal that arrives after the future has been dropped is returned by the next call
/// on the same thread.
///
/// # Errors
///
/// Returns the errors of [`unix::signal`].
///
/// # Panics
///
/// Panics if it has to wait and no runtime is entered on this thread.
///
/// # Examples
///
/// ```no_run
/// use runtime::signal;
///
/// #[runtime::main]
/// async fn main() -> std::io::Result<()> {
///     runtime::spawn(async { /* work */ });
///     signal::ctrl_c().await?;
///     println!("the work is cancelled here, since main returns");
///     Ok(())
/// }
/// ```
#[cfg_attr(debug_assertions, track_caller)]
pub fn ctrl_c() -> impl Future<Output = io::Result<()>> {
    let origin = Origin::caller();
    async move { Signal::new(SignalKind::interrupt(), Owner::CtrlC, origin)?.wait().await }
}
