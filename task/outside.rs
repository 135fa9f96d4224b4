//! The panic messages for code that needs a runtime and runs on a thread where none is entered.
//!
//! This file is at the lowest layer: tasks, timers and sockets use it, and do not know each other.

use super::origin::Origin;
use std::cell::Cell;
use std::fmt;

thread_local! {
    static MAKES_BLOCKING_CALL: Cell<bool> = const { Cell::new(false) };
}

/// Notes that this thread begins or ends a blocking call.
pub(crate) fn set_blocking(makes_call: bool) {
    MAKES_BLOCKING_CALL.set(makes_call);
}

/// Returns what the caller should do instead.
pub(crate) fn remedy() -> &'static str {
    if MAKES_BLOCKING_CALL.get() {
        "on a thread of spawn_blocking, take a handle along, or use Handle::current().spawn or block_on"
    } else {
        "call this inside block_on or #[runtime::main], or send it to one by Handle::spawn"
    }
}

/// Panics because `function` needs a runtime, and was called without one.
#[cold]
#[track_caller]
pub(crate) fn called(function: &str) -> ! {
    panic!("{function} was called outside of a runtime: {}", remedy())
}

/// Panics because `operation`, of an object that was created at `origin`, was polled without a runtime.
#[cold]
#[track_caller]
pub(crate) fn polled(operation: impl fmt::Display, origin: Origin) -> ! {
    let remedy = remedy();
    match origin.location() {
        Some(made) => panic!("{operation} was polled outside of a runtime: {remedy} (it was made at {made})"),
        None => panic!("{operation} was polled outside of a runtime: {remedy}"),
    }
}
