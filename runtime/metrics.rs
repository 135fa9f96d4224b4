//! The counts that a runtime reports about itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The counts returned by [`Runtime::metrics`](crate::Runtime::metrics) and
/// [`Handle::metrics`](crate::Handle::metrics): what a runtime has done so far, and what it holds now.
///
/// # Examples
///
/// ```
/// let runtime = runtime::Runtime::new().unwrap();
/// runtime.block_on(runtime::task::yield_now());
/// let metrics = runtime.metrics();
/// assert_eq!((metrics.num_alive_tasks, metrics.io_sources), (0, 0));
/// assert_eq!(metrics.polls, 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeMetrics {
    /// The number of times that the loop has checked its messages, timers and descriptors.
    pub turns: u64,
    /// The number of times that a task, or the future of `block_on`, has been polled.
    pub polls: u64,
    /// The number of tasks that have not ended.
    pub num_alive_tasks: usize,
    /// The number of descriptors that are registered with the runtime.
    pub io_sources: usize,
    /// The number of messages from other threads that the loop has not taken yet: wakes, aborts, and tasks to spawn.
    pub global_queue_depth: usize,
}

/// The counts of a runtime for other threads, as they were when its loop last went to sleep, or some turns ago. A reader
/// may get some of them from before and some from after an update.
#[derive(Default)]
pub(crate) struct Published {
    turns: AtomicU64,
    polls: AtomicU64,
    num_alive_tasks: AtomicUsize,
    io_sources: AtomicUsize,
}

impl Published {
    #[inline]
    pub(crate) fn set(&self, counts: RuntimeMetrics) {
        self.turns.store(counts.turns, Relaxed);
        self.polls.store(counts.polls, Relaxed);
        self.num_alive_tasks.store(counts.num_alive_tasks, Relaxed);
        self.io_sources.store(counts.io_sources, Relaxed);
    }

    pub(crate) fn get(&self, global_queue_depth: usize) -> RuntimeMetrics {
        RuntimeMetrics {
            turns: self.turns.load(Relaxed),
            polls: self.polls.load(Relaxed),
            num_alive_tasks: self.num_alive_tasks.load(Relaxed),
            io_sources: self.io_sources.load(Relaxed),
            global_queue_depth,
        }
    }
}

/// These methods have the names of tokio's.
impl RuntimeMetrics {
    /// Returns the number of tasks that have not ended. It is the value of the field of the same name.
    pub fn num_alive_tasks(&self) -> usize {
        self.num_alive_tasks
    }

    /// Returns the number of messages from other threads that the loop has not taken yet. It is the value of the field of
    /// the same name.
    pub fn global_queue_depth(&self) -> usize {
        self.global_queue_depth
    }

    /// Returns the number of threads that run the loop, which is always 1.
    pub fn num_workers(&self) -> usize {
        1
    }
}
