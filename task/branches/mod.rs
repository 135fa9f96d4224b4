//! The parts that the macros `select!`, `join!`, `try_join!` and `pin!` expand to.
//!
//! This module is public because the expansions are code of other crates. It is not meant to be used in any other way,
//! and may change at any time.

// The macros do as little as they can: they number the branches, and give each its own code where the caller's
// function needs it. `order.rs` decides which branch is polled, `maybe_done.rs` keeps the outputs of a join, and
// `outputs.rs` has the types of the outputs of a `select!`.
//
// The expansions reach everything by a path that begins with `$crate`, also what every prelude has: the caller may have
// types, macros and modules of the same names. They call methods only of the types of this module, where an inherent
// method takes precedence over those of the caller's traits.

mod join;
mod maybe_done;
mod order;
#[cfg(feature = "macros")]
mod outputs;
mod pinned;
#[cfg(feature = "macros")]
mod select;

pub use maybe_done::MaybeDone;
pub use order::{Branch, Join, Select};
#[cfg(feature = "macros")]
pub use outputs::*;
pub use pinned::field;
#[cfg(feature = "macros")]
pub use runtime_macros::select_misuse;
pub use std::future::{Future, IntoFuture, poll_fn};
pub use std::option::Option::{None, Some};
pub use std::pin::{Pin, pin};
pub use std::result::Result::{Err, Ok};
pub use std::task::Poll;
pub use std::{compile_error, concat, stringify, unreachable};

/// Panics because no branch of a `select!` is left that could be chosen.
#[cold]
#[track_caller]
pub fn no_branch_left() -> ! {
    panic!(
        "all branches of select! are disabled, by their conditions or because their outputs do not match, and there \
         is no `else` branch"
    )
}
