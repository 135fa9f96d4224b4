//! Tokio's names for local runtimes. Every runtime of this library is one: its tasks need not be `Send`.

use super::builder::Builder;
use super::handle::{Handle, Runtime};
use super::join::JoinHandle;
use std::io;

/// A runtime whose tasks need not be `Send`. This is another name for [`Runtime`], whose tasks never need to be.
pub type LocalRuntime = Runtime;

/// Options for [`Builder::build_local`]. There are no options yet.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LocalOptions {}

/// The kind of a runtime, returned by [`Handle::runtime_flavor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// A runtime whose loop runs on a single thread. There is no other kind.
    CurrentThread,
}

impl Handle {
    /// Returns the kind of the runtime, which is always [`CurrentThread`](RuntimeFlavor::CurrentThread).
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        RuntimeFlavor::CurrentThread
    }
}

impl Builder {
    /// Makes the runtime, in the same way as [`build`](Builder::build). It exists so that code written for tokio
    /// compiles.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`build`](Builder::build).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::runtime::{Builder, LocalOptions, LocalRuntime};
    ///
    /// let runtime: LocalRuntime =
    ///     Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    /// let task = runtime.spawn_local(async { std::rc::Rc::new(42) });
    /// assert_eq!(*runtime.block_on(task).unwrap(), 42);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn build_local(&mut self, _options: LocalOptions) -> io::Result<LocalRuntime> {
        self.build()
    }
}

impl Runtime {
    /// Spawns a task, in the same way as [`spawn`](Runtime::spawn).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn(future)
    }
}
