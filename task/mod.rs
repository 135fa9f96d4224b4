//! Tasks: spawning, awaiting and yielding.
//!
//! A task is a future that the runtime drives independently. [`spawn`] starts a task on this thread.
//! [`spawn_blocking`] runs a blocking call on another thread, so that the call does not block the loop.
//! Both return a [`JoinHandle`].

mod abort_on_drop;
#[doc(hidden)]
pub mod branches;
pub mod coop;
mod group;
mod id;
mod local_key;
mod local_set;
#[cfg(debug_assertions)]
pub(crate) mod origin;
#[cfg(not(debug_assertions))]
#[path = "origin_disabled.rs"]
pub(crate) mod origin;
pub(crate) mod outside;
mod scope;
mod tracker;
mod yield_now;

pub use crate::runtime::join::error::JoinError;
#[cfg(feature = "net")]
pub(crate) use crate::runtime::join::spawn::spawn_look_up;
pub use crate::runtime::join::spawn::{spawn, spawn_blocking};
pub use crate::runtime::join::{AbortHandle, JoinHandle};
pub use abort_on_drop::{AbortOnDrop, AbortOnDropHandle};
pub use coop::{Unconstrained, consume_budget, unconstrained};
pub use group::{JoinMap, JoinMapKeys, JoinSet};
pub use id::{Id, id, try_id};
pub use local_key::{AccessError, LocalKey};
pub use local_set::{LocalEnterGuard, LocalSet, spawn_local};
pub use scope::{Scope, ScopedHandle, scope, try_scope};
pub use tracker::{TaskTracker, TaskTrackerToken, TaskTrackerWaitFuture, TrackedFuture};
pub use yield_now::yield_now;

/// The types that belong to a [`TaskTracker`], under the path that they have in tokio-util.
pub mod task_tracker {
    pub use crate::task::tracker::{TaskTracker, TaskTrackerToken, TaskTrackerWaitFuture, TrackedFuture};
}

/// Futures of this module that programs name.
pub mod futures {
    pub use crate::task::local_key::TaskLocalFuture;
}
