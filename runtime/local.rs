//! Names of tokio's for what every runtime here is: one whose tasks need not be `Send`.

use super::builder::Builder;
use super::handle::{Handle, Runtime};
use super::join::JoinHandle;
use std::io;

/// A runtime whose tasks need not be `Send`, as all are.
pub type LocalRuntime = Runtime;

/// What [`Builder::build_local`] may be told: nothing so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LocalOptions {}

/// What kind of runtime a [`Handle`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// One thread turns the loop: the only kind there is.
    CurrentThread,
}

impl Handle {
    /// The kind of the runtime: always [`CurrentThread`](RuntimeFlavor::CurrentThread).
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        RuntimeFlavor::CurrentThread
    }
}

impl Builder {
    /// As [`build`](Builder::build). Accepted so that porting is a rename.
    ///
    /// # Errors
    ///
    /// As [`build`](Builder::build).
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
    /// The same as [`spawn`](Runtime::spawn).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn(future)
    }
}
