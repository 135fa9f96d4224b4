//! The tasks of one server, or of one HTTP/2 connection. They are counted, and none of them outlives it.

use crate::runtime::waker::WakerCell;
use crate::task::{self, AbortHandle};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The tasks of a server. They are aborted when this is dropped.
pub(crate) struct Connections {
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    tasks: RefCell<Slab<Option<AbortHandle>>>,
    spawned: Cell<u64>,
    panicked: Cell<u64>,
    /// `true` after the server has aborted its tasks: a task that ends unfinished from then on has not panicked.
    aborting: Cell<bool>,
    /// The waker of the server itself.
    waiter: WakerCell,
}

impl Connections {
    pub(crate) fn new() -> Connections {
        Connections { state: Rc::default() }
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let state = &self.state;
        state.spawned.set(state.spawned.get() + 1);
        // Insert before the spawn: if the runtime is shutting down, the task ends at once.
        let key = state.tasks.borrow_mut().insert(None);
        let permit = ConnectionPermit { state: state.clone(), key, finished: false };
        let task = task::spawn(ConnectionTask { future, permit });
        if let Some(abort) = state.tasks.borrow_mut().get_mut(key) {
            *abort = Some(task.abort_handle());
        }
    }

    pub(crate) async fn wait_for_fewer_than(&self, limit: usize) {
        poll_fn(|cx| {
            let are_fewer = || self.state.tasks.borrow().len() < limit;
            if are_fewer() {
                return Poll::Ready(());
            }
            self.state.waiter.leave(cx.waker());
            // Check again: the clone of a foreign waker is user code, during which a task may have ended.
            if are_fewer() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Aborts the remaining tasks, and returns their number. They end the next time they would run.
    pub(crate) fn abort(&self) -> u64 {
        self.state.aborting.set(true);
        let tasks = self.state.tasks.borrow();
        let left: Vec<AbortHandle> = tasks.iter().filter_map(|(_, abort)| abort.clone()).collect();
        drop(tasks);
        left.iter().for_each(AbortHandle::abort);
        left.len() as u64
    }

    pub(super) fn spawned(&self) -> u64 {
        self.state.spawned.get()
    }

    pub(super) fn panicked(&self) -> u64 {
        self.state.panicked.get()
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.abort();
    }
}

pin_project_lite::pin_project! {
    /// The future of a connection's task. The handler's future is dropped before the permit is released.
    struct ConnectionTask<F> {
        #[pin]
        future: F,
        permit: ConnectionPermit,
    }
}

/// The entry of a task in the table. It is removed when the task ends, in whatever way.
struct ConnectionPermit {
    state: Rc<State>,
    key: usize,
    finished: bool,
}

impl<F: Future<Output = ()>> Future for ConnectionTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        std::task::ready!(this.future.poll(cx));
        this.permit.finished = true;
        Poll::Ready(())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let state = &self.state;
        if !self.finished && !state.aborting.get() {
            state.panicked.set(state.panicked.get() + 1);
        }
        state.tasks.borrow_mut().remove(self.key);
        state.waiter.wake();
    }
}
