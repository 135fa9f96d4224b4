//! Counts of what a runtime has done and holds.

/// What a runtime has done, and holds now. From [`Runtime::metrics`](crate::Runtime::metrics).
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
    /// How often the loop has looked at its inbox, its timers and its descriptors.
    pub turns: u64,
    /// How often a task, or the future of `block_on`, has been polled.
    pub polls: u64,
    /// Tasks that have not ended.
    pub num_alive_tasks: usize,
    /// Descriptors that are watched.
    pub io_sources: usize,
}

/// As tokio has them: by methods.
impl RuntimeMetrics {
    /// Tasks that have not ended; also a field.
    pub fn num_alive_tasks(&self) -> usize {
        self.num_alive_tasks
    }

    /// How many threads turn the loop: one.
    pub fn num_workers(&self) -> usize {
        1
    }
}
