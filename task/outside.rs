//! What is said where a runtime is needed, and none is entered on the thread.
//!
//! This is on the ground floor: tasks, timers and sockets say it, which do not know each other.

use super::origin::Origin;
use std::cell::Cell;
use std::fmt;

thread_local! {
    static MAKES_BLOCKING_CALL: Cell<bool> = const { Cell::new(false) };
}

/// Notes whether this thread makes a blocking call.
pub(crate) fn set_blocking(makes_call: bool) {
    MAKES_BLOCKING_CALL.set(makes_call);
}

/// What the caller should do instead.
pub(crate) fn remedy() -> &'static str {
    if MAKES_BLOCKING_CALL.get() {
        "on a thread of spawn_blocking, take a handle along, or use Handle::current().spawn or block_on"
    } else {
        "call this inside block_on or #[runtime::main], or send it to one by Handle::spawn"
    }
}

/// Panics: the caller needs a runtime, and has called a function without one.
#[cold]
#[track_caller]
pub(crate) fn called(function: &str) -> ! {
    panic!("{function} was called outside of a runtime: {}", remedy())
}

/// Panics: somebody has polled, without a runtime, an operation of something that was made at `origin`.
#[cold]
#[track_caller]
pub(crate) fn polled(operation: impl fmt::Display, origin: Origin) -> ! {
    let remedy = remedy();
    match origin.location() {
        Some(made) => panic!("{operation} was polled outside of a runtime: {remedy} (it was made at {made})"),
        None => panic!("{operation} was polled outside of a runtime: {remedy}"),
    }
}
