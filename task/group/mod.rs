//! Groups of tasks whose outputs are collected: [`JoinSet`], and [`JoinMap`], whose tasks have keys.
//!
//! ```text
//!  JoinSet, JoinMap ─► Members: the join handles, and which of them have ended ─► Queue
//!                                      task: Member { future, Notice } ──────────────┘
//! ```
//!
//! A group does not look for the tasks that have ended: each task puts its key into the queue of the group when it
//! ends. So a task costs the same in a group of any size.

mod join_map;
mod join_set;
mod members;
mod queue;

pub use join_map::{JoinMap, JoinMapKeys};
pub use join_set::JoinSet;
