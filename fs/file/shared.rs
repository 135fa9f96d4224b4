//! The state that a file and its operations share: the descriptor, the buffers, and the queue of the operations.
//!
//! An operation owns everything that it touches. So it may go on after the caller has dropped its future, and the
//! descriptor is closed when the last operation has ended.

use super::buffers::Buffers;
use super::no_wait::NoWait;
use super::queue::Queue;
use crate::runtime::context;
use crate::runtime::join::spawn::spawn_by_home;
use crate::runtime::mutex::Mutex;
use crate::task::JoinHandle;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub(super) struct Shared {
    pub(super) std: File,
    /// Locked by an operation while it runs, and by the loop only if no operation runs.
    pub(super) buffers: Mutex<Buffers>,
    pub(super) no_wait: NoWait,
    /// True if another descriptor may share the position. Reading ahead would move the position of that one, too.
    is_cloned: AtomicBool,
}

/// A file on the side of the loop.
pub(super) struct Operations {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
}

impl Operations {
    pub(super) fn new(std: File) -> Operations {
        let (buffers, no_wait, is_cloned) = (Mutex::default(), NoWait::new(), AtomicBool::new(false));
        let shared = Arc::new(Shared { std, buffers, no_wait, is_cloned });
        Operations { shared, queue: Arc::default() }
    }

    /// Starts an operation on behalf of the function `function`. It runs when those before it have ended.
    pub(super) fn start<T: Send + 'static>(
        &self,
        function: &str,
        operation: impl FnOnce(&mut Buffers, &File) -> io::Result<T> + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        self.start_as(false, function, operation)
    }

    /// Starts a write. If the runtime ends, the write is finished first.
    pub(super) fn start_write(
        &self,
        function: &str,
        operation: impl FnOnce(&mut Buffers, &File) -> io::Result<()> + Send + 'static,
    ) -> JoinHandle<io::Result<()>> {
        self.start_as(true, function, operation)
    }

    fn start_as<T: Send + 'static>(
        &self,
        is_write: bool,
        function: &str,
        operation: impl FnOnce(&mut Buffers, &File) -> io::Result<T> + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        let shared = self.shared.clone();
        let write = is_write.then(|| context::home().map(|home| home.pool.writes.begin()));
        spawn_by_home(
            function,
            |home, job| self.queue.push(home, job),
            move || {
                // Both are dropped before the result can be seen, so that the file can then be taken apart.
                let (shared, _write) = (shared, write);
                match shared.buffers.lock() {
                    Some(mut buffers) => operation(&mut buffers, &shared.std),
                    None => Err(io::Error::new(
                        ErrorKind::ResourceBusy,
                        "the file was in use when this process was forked, and cannot be used in it",
                    )),
                }
            },
        )
    }

    /// Notes that there is another descriptor with the same position.
    pub(super) fn set_cloned(&self) {
        self.shared.is_cloned.store(true, Relaxed);
        self.shared.no_wait.disable();
    }

    /// Returns whether more may be read than the caller asks for. That is not needed where the kernel's memory can be
    /// read at once.
    pub(super) fn reads_ahead(&self) -> bool {
        !self.shared.is_cloned.load(Relaxed) && !self.shared.no_wait.is_enabled()
    }
}
