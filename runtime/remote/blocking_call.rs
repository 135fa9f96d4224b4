//! The blocking call that a thread of the pool runs: the runtime that it belongs to, and its id.
//!
//! No runtime is entered on such a thread, which does not run a loop. But code in the call may ask for the handle of
//! its runtime and for the id of the call.

use crate::runtime::remote::Remote;
use crate::runtime::remote::blocking::Pool;
use crate::task::{Id, outside};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

/// The parts of a runtime that can be used from any thread.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) remote: Arc<Remote>,
    pub(crate) pool: Arc<Pool>,
}

struct BlockingCall {
    home: Home,
    id: Id,
}

thread_local! {
    static CALL: RefCell<Option<BlockingCall>> = const { RefCell::new(None) };
}

/// A guard that exists while the call runs.
pub(crate) struct Making {
    thread: PhantomData<*const ()>,
}

/// Notes that a call begins on this thread.
pub(crate) fn begin(home: Home, id: Id) -> Making {
    CALL.set(Some(BlockingCall { home, id }));
    outside::set_blocking(true);
    Making { thread: PhantomData }
}

impl Drop for Making {
    fn drop(&mut self) {
        outside::set_blocking(false);
        drop(CALL.take());
    }
}

/// Returns the runtime whose call this thread runs.
pub(crate) fn home() -> Option<Home> {
    with(|call| call.home.clone())
}

/// Returns the id of the call that this thread runs.
pub(crate) fn id() -> Option<Id> {
    with(|call| call.id)
}

/// Calls `f` with the call that this thread runs, if there is one. There is none while the thread ends.
fn with<T>(f: impl FnOnce(&BlockingCall) -> T) -> Option<T> {
    CALL.try_with(|call| call.borrow().as_ref().map(f)).ok().flatten()
}
