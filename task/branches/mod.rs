//! The parts that the macros `join!`, `try_join!` and `pin!` expand to.
//!
//! This module is public because the expansions are code of other crates. It is not meant to be used in any other way,
//! and may change at any time.

// The macros do as little as they can: they number the branches, and give each its own code where the caller's
// function needs it. `order.rs` decides which branch is polled, and `maybe_done.rs` keeps the outputs.
//
// The expansions reach everything by a path that begins with `$crate`, also what every prelude has: the caller may have
// types, macros and modules of the same names. They call methods only of the types of this module, where an inherent
// method takes precedence over those of the caller's traits.

mod join;
mod maybe_done;
mod order;
mod pinned;

pub use maybe_done::MaybeDone;
pub use order::Join;
pub use pinned::field;
pub use std::future::poll_fn;
pub use std::pin::{Pin, pin};
pub use std::result::Result::{Err, Ok};
pub use std::task::Poll;
pub use std::{compile_error, concat, stringify, unreachable};
