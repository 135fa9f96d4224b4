//! Measurements of time and of turns, on a machine that also does other work.
//!
//! Such a machine spoils a measurement now and then: it lets this process wait for its turn, or it is paused as a whole. A
//! fault of the code spoils each one. So what holds in one of a few measurements holds.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fmt::Debug;

const ATTEMPTS: usize = 5;

/// Repeats a measurement until its result is as claimed, and panics if that never happens.
#[track_caller]
pub(crate) fn holds_once<T: Debug>(mut measure: impl FnMut() -> T, is_as_claimed: impl Fn(&T) -> bool) {
    let mut measured = Vec::new();
    while measured.len() < ATTEMPTS {
        let result = measure();
        if is_as_claimed(&result) {
            return;
        }
        measured.push(result);
    }
    panic!("in no attempt as claimed: {measured:?}");
}

/// Does what [`holds_once`] does, for a measurement within a runtime.
pub(crate) async fn holds_once_in<T: Debug>(
    mut measure: impl AsyncFnMut() -> T,
    is_as_claimed: impl Fn(&T) -> bool,
) {
    let mut measured = Vec::new();
    while measured.len() < ATTEMPTS {
        let result = measure().await;
        if is_as_claimed(&result) {
            return;
        }
        measured.push(result);
    }
    panic!("in no attempt as claimed: {measured:?}");
}
