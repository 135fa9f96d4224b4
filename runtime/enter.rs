//! Guards that keep a runtime entered outside of its loop, after tokio's `enter`.
//!
//! On the thread of the runtime, a guard puts the runtime on the stack of those that are entered there, marked as one
//! whose loop does not turn (`enter_stack.rs`). On any other thread, where no task of it can run, a guard only says which
//! handle is the current one. Each guard is removed by its number, so guards may be dropped in any order.

use super::context::{self, EnteredContext};
use super::handle::{Handle, Runtime};
use crate::runtime::remote::blocking_call::{self, EnteredHome};
use std::fmt;
use std::marker::PhantomData;

/// A guard that keeps a runtime entered, returned by [`Runtime::enter`] and [`Handle::enter`].
///
/// Several guards may be dropped in any order. When one is dropped, the runtime that was entered last, and still is,
/// becomes the current one. A guard that is forgotten keeps its runtime entered until the runtime is dropped.
#[must_use = "dropped at once, it has no effect"]
pub struct EnterGuard<'a> {
    _entered: Place,
    handle: PhantomData<&'a Handle>,
}

enum Place {
    Own(#[expect(dead_code, reason = "its drop leaves the runtime")] EnteredContext),
    Other(#[expect(dead_code, reason = "its drop leaves the runtime")] EnteredHome),
}

impl Runtime {
    /// Enters the runtime on this thread until the guard is dropped. See [`Handle::enter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = runtime::Runtime::new()?;
    /// let guard = runtime.enter();
    /// let task = runtime::spawn(async { 42 });
    /// drop(guard);
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle().enter()
    }
}

impl Handle {
    /// Enters the runtime on this thread until the guard is dropped.
    ///
    /// On the thread of the runtime, [`spawn`](crate::spawn), [`Handle::current`] and all other functions then use this
    /// runtime, also outside of `block_on`. The tasks run when the runtime's `block_on` is called, which may be called
    /// while the guard exists. Sockets and timers need no guard, since they may be created anywhere.
    ///
    /// On any other thread, [`Handle::current`], [`Handle::try_current`] and
    /// [`spawn_blocking`](crate::task::spawn_blocking) use this runtime, unless a runtime of that thread is entered
    /// there. `spawn` panics, since the tasks of a runtime run on its own thread: use [`Handle::spawn`].
    ///
    /// A guard that is kept across an `.await` also applies to other tasks, so drop it before.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::Handle;
    ///
    /// # let runtime = runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// std::thread::spawn(move || {
    ///     let _guard = handle.enter();
    ///     assert_eq!(Handle::current().id(), handle.id());
    /// });
    /// # std::io::Result::Ok(())
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        let entered = match context::local(self.home().remote.id()) {
            Some(context) => Place::Own(context::enter_without_loop(&context)),
            None => Place::Other(blocking_call::enter(self.home().clone())),
        };
        EnterGuard { _entered: entered, handle: PhantomData }
    }
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnterGuard")
    }
}
