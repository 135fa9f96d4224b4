//! Descriptors and readiness: the reactor, and the way in which operations on a descriptor wait.
//!
//! ```text
//! registered (operations, waiting) ──► registration ──► source_cell, readiness
//!        │                                  │
//!        ├──► io_timeouts                   └──► reactor ──► selector
//!        └──► outside (threads without a runtime)
//! ```
//!
//! The reactor and the tasks do not know each other. Both know only `Waker`.

// The pipes are for splice(2).
#[cfg_attr(not(all(feature = "io-util", any(target_os = "linux", target_os = "android"))), allow(dead_code))]
pub(crate) mod buffer_pool;
pub(crate) mod contention;
pub(crate) mod interest;
pub(crate) mod io_timeouts;
mod outside;
pub(crate) mod reactor;
pub(crate) mod readiness;
pub(crate) mod registered;
pub(crate) mod registration;
pub(crate) mod source_cell;
pub(crate) mod throttle;
