//! The type through which each thread learns about itself and the other threads.

use crate::runtime::handle::Handle;
use std::fmt;
use std::sync::Arc;

/// Describes one of the threads that [`PerCore::run`](super::PerCore::run) has started, and gives access to the
/// others.
///
/// Each thread gets its own `Core`. Clones of it may be passed to tasks and to other threads.
///
/// # Examples
///
/// A thread gives work to another thread through the handle of that thread's runtime:
///
/// ```
/// use runtime::cores::PerCore;
///
/// let seen = PerCore::new().threads(3).run(async |core| {
///     let next = (core.index() + 1) % core.count();
///     core.handles()[next].spawn(async move { next }).await
/// })?;
/// let seen: Vec<usize> = seen.into_iter().flatten().collect();
/// // A thread that ends drops its tasks, so some of the calls may have returned an error.
/// assert!(seen.len() <= 3);
/// # Ok::<(), runtime::cores::CoreError>(())
/// ```
#[derive(Clone)]
pub struct Core {
    pub(super) index: usize,
    pub(super) cpu: Option<usize>,
    pub(super) handles: Arc<[Handle]>,
}

impl Core {
    /// Returns the index of the thread. The first thread has the index 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the number of threads.
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Returns the CPU to which the thread is pinned, or `None` if it is not pinned.
    pub fn cpu(&self) -> Option<usize> {
        self.cpu
    }

    /// Returns the handles of the runtimes of all threads, by index: thread 2 has `handles()[2]`.
    ///
    /// All handles exist from the beginning. Work that is sent to a thread that has ended is dropped.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("index", &self.index)
            .field("count", &self.count())
            .field("cpu", &self.cpu)
            .finish()
    }
}
