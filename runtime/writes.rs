//! The writes to files that a runtime has accepted and that its pool has not finished.
//!
//! A write to a file returns as soon as its bytes have been copied, and a thread of the pool writes them. A program
//! that does not flush its last write would lose it if it ended at once. So a runtime that is dropped waits for these
//! writes, for a limited time. It waits for no other call of the pool.

use crate::runtime::selector::Process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The maximum time for which the drop of a runtime waits for writes. A disk that is only slow has finished by then. A
/// write to a pipe that nobody reads never does.
const MAX_WAIT: Duration = Duration::from_secs(10);

pub(crate) struct Writes(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified when no write is left.
    end: Condvar,
    process: Process,
}

#[derive(Default)]
struct State {
    count: usize,
    is_abandoned: bool,
}

/// A guard that exists until a write has ended, or has been dropped.
pub(crate) struct Write(Arc<Shared>);

impl Writes {
    pub(crate) fn new() -> Writes {
        let process = Process::current();
        Writes(Arc::new(Shared { state: Mutex::default(), end: Condvar::new(), process }))
    }

    pub(crate) fn begin(&self) -> Write {
        if self.0.process.is_current() {
            self.0.lock().count += 1;
        }
        Write(self.0.clone())
    }

    /// Lets [`wait`](Writes::wait) return at once.
    pub(crate) fn abandon(&self) {
        if self.0.process.is_current() {
            self.0.lock().is_abandoned = true;
        }
    }

    /// Waits until no write is left, but no longer than some seconds. In a forked child, which has no threads that
    /// write, it returns at once.
    pub(crate) fn wait(&self) {
        if self.0.process.is_current() {
            let is_left = |state: &mut State| state.count > 0 && !state.is_abandoned;
            drop(self.0.end.wait_timeout_while(self.0.lock(), MAX_WAIT, is_left));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if self.0.process.is_current() {
            let mut state = self.0.lock();
            // A write that began in the parent of a forked child is not counted there.
            state.count = state.count.saturating_sub(1);
            if state.count == 0 {
                self.0.end.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn a_wait_ends_with_the_last_write() {
        let writes = Writes::new();
        writes.wait();
        let (first, second) = (writes.begin(), writes.begin());
        drop(first);
        let (ended, has_ended) = mpsc::channel();
        let waiting = {
            let writes = Writes(writes.0.clone());
            thread::spawn(move || {
                writes.wait();
                has_ended.try_recv()
            })
        };
        thread::yield_now();
        ended.send(()).unwrap();
        drop(second);
        assert_eq!(waiting.join().unwrap(), Ok(()), "not before the second write had ended");
    }

    #[test]
    fn nobody_waits_for_abandoned_writes() {
        let writes = Writes::new();
        let write = writes.begin();
        writes.abandon();
        let start = Instant::now();
        writes.wait();
        assert!(start.elapsed() < MAX_WAIT / 2);
        drop(write);
    }
}
