//! The executor: futures of hyper become tasks of the runtime on whose thread they are spawned.

use crate::task;

/// Spawns the futures of hyper as tasks on this thread.
///
/// The futures need not be `Send`. The HTTP/2 server of hyper spawns one for each request, its HTTP/2 client one for
/// each connection.
///
/// # Examples
///
/// ```
/// use hyper::server::conn::http2;
/// use runtime::hyper::{Executor, Timer};
///
/// let mut builder = http2::Builder::new(Executor);
/// builder.timer(Timer);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> ::hyper::rt::Executor<F> for Executor
where
    F: Future + 'static,
    F::Output: 'static,
{
    /// Spawns the future, with [`spawn`](crate::spawn).
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    fn execute(&self, future: F) {
        drop(task::spawn(future));
    }
}
