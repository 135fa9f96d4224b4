//! What a thread is told of itself and of the others.

use crate::runtime::handle::Handle;
use std::fmt;
use std::sync::Arc;

/// One of the threads that [`PerCore::run`](super::PerCore::run) has started, as it is told to itself.
///
/// A clone may go to its tasks, and to other threads.
///
/// # Examples
///
/// Work goes from one thread to another by its handle:
///
/// ```
/// use runtime::cores::PerCore;
///
/// let seen = PerCore::new().threads(3).run(async |core| {
///     let next = (core.index() + 1) % core.count();
///     core.handles()[next].spawn(async move { next }).await
/// })?;
/// let seen: Vec<usize> = seen.into_iter().flatten().collect();
/// // A thread that ends first takes its tasks along, so that some may have found nobody.
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
    /// Which of the threads it is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many threads there are.
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// The CPU to which the thread is pinned, if it is.
    pub fn cpu(&self) -> Option<usize> {
        self.cpu
    }

    /// Handles of all the threads' runtimes, by index: that of thread 2 is `handles()[2]`.
    ///
    /// All of them are there from the beginning. A thread that has ended drops what is sent to it.
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
