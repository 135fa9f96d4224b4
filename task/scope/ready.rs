//! The queue of the children of a scope that were woken, and their wakers.
//!
//! A waker may be used on any thread, so the queue has a mutex. This file does not know the futures of the children: here
//! they are numbers.

use crate::runtime::mutex::Mutex;
use crate::runtime::waker;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Wake, Waker};

/// The children that were woken, from any thread, and the waker of the task of the scope.
#[derive(Default)]
pub(super) struct Ready {
    state: Mutex<ReadyState>,
}

#[derive(Default)]
struct ReadyState {
    queue: VecDeque<Arc<ChildWaker>>,
    waker: Option<Waker>,
    is_closed: bool,
}

impl Ready {
    /// Takes all children that were woken into `batch`, which is empty.
    pub(super) fn take(&self, batch: &mut VecDeque<Arc<ChildWaker>>) {
        if let Some(mut state) = self.state.lock() {
            mem::swap(&mut state.queue, batch);
        }
    }

    /// Leaves the waker. Returns `false` if a child has been woken already.
    pub(super) fn wait(&self, waker: &Waker) -> bool {
        // Cloned before the lock is taken: cloning a foreign waker runs user code, and so does dropping it below.
        let waker = waker.clone();
        let Some(mut state) = self.state.lock() else {
            waker::discard(waker);
            return true;
        };
        let is_waiting = state.queue.is_empty();
        let unused = if is_waiting { state.waker.replace(waker) } else { Some(waker) };
        drop(state);
        waker::discard_each(unused);
        is_waiting
    }

    fn push(&self, child: Arc<ChildWaker>) {
        let Some(mut state) = self.state.lock() else { return };
        if state.is_closed {
            return;
        }
        state.queue.push_back(child);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker::wake(waker);
        }
    }

    /// Drops what is queued, since it refers to this queue, and queues nothing any more.
    pub(super) fn close(&self) {
        let Some(mut state) = self.state.lock() else { return };
        state.is_closed = true;
        let (queue, waker) = (mem::take(&mut state.queue), state.waker.take());
        drop(state);
        drop(queue);
        waker::discard_each(waker);
    }
}

/// The waker of a child.
pub(super) struct ChildWaker {
    ready: Arc<Ready>,
    pub(super) index: usize,
    is_queued: AtomicBool,
}

impl ChildWaker {
    pub(super) fn new(ready: &Arc<Ready>, index: usize) -> Arc<ChildWaker> {
        Arc::new(ChildWaker { ready: ready.clone(), index, is_queued: AtomicBool::new(false) })
    }

    /// Notes that the child is about to be polled: a wake from now on queues it again.
    pub(super) fn begin_poll(&self) {
        self.is_queued.store(false, SeqCst);
    }
}

impl Wake for ChildWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, SeqCst) {
            self.ready.push(self.clone());
        }
    }
}
