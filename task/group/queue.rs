//! The queue through which tasks tell their group that they have ended.
//!
//! The task that awaits the group leaves its waker here. The first task that ends takes and wakes it; those that end
//! before the group is polled again only add their keys. So there is one wake for a batch of tasks, and the group then
//! takes all keys at once.
//!
//! The queue has a mutex, since blocking calls and tasks of other runtimes end on other threads. It does not know what
//! a key means.

use super::members::Key;
use crate::runtime::mutex::Mutex;
use crate::runtime::waker;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ended: VecDeque<Key>,
    waker: Option<Waker>,
}

impl Queue {
    /// Takes all keys into `taken`, which is empty. Returns `false` if there are none.
    pub(super) fn take(&self, taken: &mut VecDeque<Key>) -> bool {
        debug_assert!(taken.is_empty());
        if let Some(mut state) = self.state.lock() {
            std::mem::swap(&mut state.ended, taken);
        }
        !taken.is_empty()
    }

    /// Takes all keys into `taken`, which is empty. If there are none, leaves the waker and returns `false`.
    pub(super) fn take_or_wait(&self, taken: &mut VecDeque<Key>, waker: &Waker) -> bool {
        if self.take(taken) {
            return true;
        }
        // Cloned before the lock is taken: cloning a foreign waker runs user code, and so does dropping it below.
        let waker = waker.clone();
        let Some(mut state) = self.state.lock() else {
            waker::discard(waker);
            return false;
        };
        let unused = if state.ended.is_empty() {
            state.waker.replace(waker)
        } else {
            std::mem::swap(&mut state.ended, taken);
            Some(waker)
        };
        drop(state);
        waker::discard_each(unused);
        !taken.is_empty()
    }

    fn push(&self, key: Key) {
        let Some(mut state) = self.state.lock() else { return };
        state.ended.push_back(key);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker::wake(waker);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        waker::discard_each(self.state.get_mut().waker.take());
    }
}

/// Puts its key into the queue when it is dropped, however the task that owns it ends.
pub(super) struct Notice {
    queue: Arc<Queue>,
    key: Key,
}

impl Notice {
    pub(super) fn new(queue: &Arc<Queue>, key: Key) -> Notice {
        Notice { queue: queue.clone(), key }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.queue.push(self.key);
    }
}
