//! The counts that a runtime reports about itself.

/// The counts returned by [`Runtime::metrics`](crate::Runtime::metrics): what a runtime has done so far, and what it
/// holds now.
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
}

/// These methods have the names of tokio's.
impl RuntimeMetrics {
    /// Returns the number of tasks that have not ended. It is the value of the field of the same name.
    pub fn num_alive_tasks(&self) -> usize {
        self.num_alive_tasks
    }

    /// Returns the number of threads that run the loop, which is always 1.
    pub fn num_workers(&self) -> usize {
        1
    }
}
