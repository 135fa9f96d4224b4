//! The blocking call that a thread of the pool makes: whose it is, and by which id it is known.
//!
//! No runtime is entered on such a thread, which can turn no loop. But what is called there may ask for the
//! handle of its runtime, and for its own id.

use crate::runtime::remote::Remote;
use crate::runtime::remote::blocking::Pool;
use crate::task::{Id, outside};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

/// What reaches a runtime from any thread.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) remote: Arc<Remote>,
    pub(crate) pool: Arc<Pool>,
}

struct Call {
    home: Home,
    id: Id,
}

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// The call is being made, until this is dropped.
pub(crate) struct Making {
    thread: PhantomData<*const ()>,
}

/// A call begins on this thread.
pub(crate) fn begin(home: Home, id: Id) -> Making {
    CALL.set(Some(Call { home, id }));
    outside::set_blocking(true);
    Making { thread: PhantomData }
}

impl Drop for Making {
    fn drop(&mut self) {
        outside::set_blocking(false);
        drop(CALL.take());
    }
}

/// Returns the runtime whose call this thread makes.
pub(crate) fn home() -> Option<Home> {
    with(|call| call.home.clone())
}

/// Returns the id of the call that this thread makes.
pub(crate) fn id() -> Option<Id> {
    with(|call| call.id)
}

/// There is none when the thread ends.
fn with<T>(f: impl FnOnce(&Call) -> T) -> Option<T> {
    CALL.try_with(|call| call.borrow().as_ref().map(f)).ok().flatten()
}
