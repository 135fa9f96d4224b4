//! The runtime: one thread, one loop.
//!
//! [`Builder`] makes a [`Runtime`]; its [`block_on`](Runtime::block_on) turns the loop on the
//! calling thread until a future is ready. A [`Handle`] reaches it from other threads.
//!
//! ```text
//! executor, builder ─► context ─► { tasks, reactor, remote, blocking } ─► selector ─► libc
//! ```
//!
//! The reactor and the tasks do not know each other: they meet in `Waker`.

mod binding;
mod blocking;
mod blocking_call;
mod builder;
mod contention;
pub(crate) mod context;
#[cfg(feature = "cores")]
#[cfg_attr(docsrs, doc(cfg(feature = "cores")))]
pub mod cores;
mod deadlines;
pub(crate) mod enter_stack;
mod executor;
mod futile;
mod handle;
mod id;
pub(crate) mod interest;
pub(crate) mod join;
pub(crate) mod join_error;
mod known;
mod local;
// Pipes are for splice(2).
#[cfg_attr(not(all(feature = "io-util", any(target_os = "linux", target_os = "android"))), allow(dead_code))]
pub(crate) mod lending;
mod metrics;
pub(crate) mod mutex;
mod packet;
mod queue;
pub(crate) mod reactor;
mod recycled;
pub(crate) mod registered;
mod registration;
mod registry;
mod remote;
pub mod selector;
mod slots;
mod slow_polls;
pub(crate) mod spawn;
mod sync;
mod task;
mod task_ref;
mod tasks;
mod time_slice;
pub(crate) mod unwind;
pub(crate) mod waker;

pub use builder::Builder;
pub use handle::{Handle, Runtime, TryCurrentError, block_on};
pub use local::{LocalOptions, LocalRuntime, RuntimeFlavor};
pub use metrics::RuntimeMetrics;
