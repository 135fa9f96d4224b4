//! The runtime: one loop on one thread, which runs tasks, timers and sockets.
//!
//! [`Builder`] makes a [`Runtime`]. Its method [`block_on`](Runtime::block_on) runs the loop on the calling thread
//! until a future is ready. Other threads reach the runtime through a [`Handle`].

// The layers of the folder, each of which names only those to its right (`tests/layering.rs`):
//
// executor, builder ─► context ─► { tasks, reactor, remote, blocking } ─► selector ─► libc
//
// The reactor and the tasks do not know each other: the only link between them is a `Waker`.

mod builder;
pub(crate) mod context;
#[cfg(feature = "cores")]
#[cfg_attr(docsrs, doc(cfg(feature = "cores")))]
pub mod cores;
mod enter;
pub(crate) mod enter_stack;
pub(crate) mod executor;
mod guest;
mod handle;
pub(crate) mod id;
pub(crate) mod io;
pub(crate) mod join;
mod local;
mod metrics;
pub(crate) mod mutex;
pub(crate) mod remote;
pub(crate) mod rng;
pub mod selector;
pub(crate) mod slots;
pub(crate) mod unwind;
pub(crate) mod waker;
#[cfg(feature = "fs")]
pub(crate) mod writes;
#[cfg(not(feature = "fs"))]
#[path = "writes_unsupported.rs"]
pub(crate) mod writes;

pub use builder::{Builder, UnhandledPanic};
pub use enter::EnterGuard;
pub use handle::{Handle, Id, Runtime, TryCurrentError, block_on};
pub use local::{LocalOptions, LocalRuntime, RuntimeFlavor};
pub use metrics::RuntimeMetrics;
pub use rng::RngSeed;
