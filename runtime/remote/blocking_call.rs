//! The blocking call that a thread of the pool runs: the runtime that it belongs to, and its id.
//!
//! No runtime is entered on such a thread, which does not run a loop. But code in the call may ask for the handle of
//! its runtime and for the id of the call.

use crate::runtime::enter_stack::EnterStack;
use crate::runtime::remote::Remote;
use crate::runtime::remote::blocking::Pool;
use crate::task::{Id, outside};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
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
    /// The runtimes of other threads that are entered on this thread, for code that asks for a handle.
    static ENTERED: EnterStack<Home> = const { EnterStack::new() };
}

/// A guard that keeps the runtime of another thread entered on this thread.
pub(crate) struct EnteredHome {
    /// `None` if the thread ends.
    number: Option<u64>,
    thread: PhantomData<*const ()>,
}

/// Enters a runtime that belongs to another thread.
pub(crate) fn enter(home: Home) -> EnteredHome {
    let number = ENTERED.try_with(|stack| stack.push(Rc::new(home), false)).ok();
    EnteredHome { number, thread: PhantomData }
}

impl Drop for EnteredHome {
    fn drop(&mut self) {
        let left =
            self.number.and_then(|number| ENTERED.try_with(|stack| stack.remove(number)).ok().flatten());
        drop(left);
    }
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

/// Returns the runtime of another thread that was entered last on this thread, or else the runtime whose call this
/// thread runs.
pub(crate) fn home() -> Option<Home> {
    let entered = ENTERED.try_with(EnterStack::top).ok().flatten();
    entered.map(|(home, _)| Home::clone(&home)).or_else(|| with(|call| call.home.clone()))
}

/// Returns the id of the call that this thread runs.
pub(crate) fn id() -> Option<Id> {
    with(|call| call.id)
}

/// Calls `f` with the call that this thread runs, if there is one. There is none while the thread ends.
fn with<T>(f: impl FnOnce(&BlockingCall) -> T) -> Option<T> {
    CALL.try_with(|call| call.borrow().as_ref().map(f)).ok().flatten()
}
