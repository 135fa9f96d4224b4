//! Tasks: spawn them, await them, and let others have their turn.
//!
//! A task is a future that the runtime drives by itself. [`spawn`] starts one on this thread;
//! [`spawn_blocking`] makes a call that would stop the loop on another. Either gives a
//! [`JoinHandle`].

pub mod coop;
mod id;
mod local_set;
#[cfg(debug_assertions)]
pub(crate) mod origin;
#[cfg(not(debug_assertions))]
#[path = "origin_absent.rs"]
pub(crate) mod origin;
pub(crate) mod outside;
mod yield_now;

pub use crate::runtime::join::error::JoinError;
#[cfg(feature = "net")]
pub(crate) use crate::runtime::join::spawn::spawn_look_up;
pub use crate::runtime::join::spawn::{spawn, spawn_blocking};
pub use crate::runtime::join::{AbortHandle, JoinHandle};
pub use coop::{Unconstrained, consume_budget, unconstrained};
pub use id::{Id, id, try_id};
pub use local_set::{LocalEnterGuard, LocalSet, spawn_local};
pub use yield_now::yield_now;
