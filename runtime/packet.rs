//! The way back of a result from one thread to another: for tasks that a [`Handle`] spawns, and
//! for calls on the blocking pool. The one half is with the join handle, the other with the work.
//!
//! [`Handle`]: super::Handle

use super::join_error::JoinError;
use super::tasks::TaskRef;
use super::{context, unwind};
use crate::task::Id;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Where the result is left, and who waits for it.
pub(crate) struct Packet<T> {
    state: Mutex<State<T>>,
    arrival: Condvar,
    control: Arc<Control>,
}

struct State<T> {
    result: Option<Result<T, JoinError>>,
    joiner: Option<Waker>,
}

/// What of the work can be seen and done without knowing the type of its result.
pub(crate) struct Control {
    id: Id,
    aborted: AtomicBool,
    finished: AtomicBool,
    /// The task that does the work, once it has been spawned.
    task: Mutex<Option<TaskRef>>,
}

/// The half that is with the work. Dropped without a result, it reports a cancellation.
pub(crate) struct Sender<T> {
    packet: Arc<Packet<T>>,
}

/// Makes a packet, and the half that will fill it.
pub(crate) fn packet<T>() -> (Sender<T>, Arc<Packet<T>>) {
    let control = Control {
        id: Id::away(),
        aborted: AtomicBool::new(false),
        finished: AtomicBool::new(false),
        task: Mutex::new(None),
    };
    let packet = Arc::new(Packet {
        state: Mutex::new(State { result: None, joiner: None }),
        arrival: Condvar::new(),
        control: Arc::new(control),
    });
    (Sender { packet: packet.clone() }, packet)
}

impl<T> Packet<T> {
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Takes the result, or leaves the waker.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        // Cloned before the lock: a foreign waker's clone is user code, and so is its drop below.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if let Some(result) = state.result.take() {
            // Before the result goes on its way, which a panic here would make it miss.
            drop(state);
            drop(waker);
            return Poll::Ready(result);
        }
        let earlier = state.joiner.replace(waker);
        drop(state);
        drop(earlier);
        Poll::Pending
    }

    /// Nobody waits any more.
    pub(crate) fn detach(&self) {
        let mut state = self.lock();
        let (result, joiner) = (state.result.take(), state.joiner.take());
        drop(state);
        unwind::contain(|| drop(result));
        unwind::contain(|| drop(joiner));
    }

    /// Blocks this thread until the result is there.
    pub(crate) fn wait(&self) -> Result<T, JoinError> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            state = self.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Asks the work to end: a task in its next turn, a call on the pool if it has not begun. Only the first
    /// call does anything, so that no number of them fills the inbox of a loop that does not turn.
    pub(crate) fn abort(&self) {
        if self.aborted.swap(true, Ordering::SeqCst) {
            return;
        }
        let task = *self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            context::abort(task);
        }
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    /// Tells which task does the work. Whichever of this and [`abort`](Control::abort) comes later
    /// sees the other.
    pub(crate) fn runs_as(&self, task: TaskRef) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        if self.is_aborted() {
            context::abort(task);
        }
    }
}

impl<T> Sender<T> {
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.packet.control
    }

    /// Leaves the result, and wakes who waits. Only the first result counts.
    pub(crate) fn send(&self, result: Result<T, JoinError>) {
        let mut state = self.packet.lock();
        if self.control().is_finished() {
            return;
        }
        state.result = Some(result);
        // After the result, and under the lock: a handle that is told that the work has finished finds the
        // result in its next poll.
        self.control().finished.store(true, Ordering::Release);
        let joiner = state.joiner.take();
        drop(state);
        self.packet.arrival.notify_all();
        if let Some(joiner) = joiner {
            super::waker::wake(joiner);
        }
    }

    /// Runs `f`, and leaves its result or its panic.
    pub(crate) fn run(&self, f: impl FnOnce() -> T) {
        if self.control().is_aborted() {
            // Gone before its result can be seen, as when it has run.
            drop(f);
            return self.send(Err(JoinError::cancelled(self.control().id)));
        }
        let result = catch_unwind(AssertUnwindSafe(f));
        self.send(result.map_err(|payload| JoinError::panic(self.control().id, payload)));
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if !self.control().is_finished() {
            self.send(Err(JoinError::cancelled(self.control().id)));
        }
    }
}

pin_project_lite::pin_project! {
    /// A future that leaves its result in a packet.
    pub(crate) struct Sending<F: Future> {
        #[pin]
        future: Option<F>,
        sender: Sender<F::Output>,
    }
}

impl<F: Future> Sending<F> {
    pub(crate) fn new(future: F, sender: Sender<F::Output>) -> Sending<F> {
        Sending { future: Some(future), sender }
    }
}

impl<F: Future> Future for Sending<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let id = this.sender.control().id;
        // Inside, the task goes by the name that its join handle knows.
        let local = context::with(|context| context.running.replace(id.bits()));
        let result = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
        context::with(|context| context.running.set(local));
        let result = match result {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JoinError::panic(id, payload)),
        };
        // The future is gone before its result can be seen.
        unwind::contain(|| this.future.set(None));
        this.sender.send(result);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::packet;
    use std::thread;

    #[test]
    fn the_work_has_not_finished_before_its_result_is_there() {
        let (sender, packet) = packet();
        let state = packet.lock();
        thread::scope(|scope| {
            scope.spawn(move || sender.send(Ok(7)));
            // Time enough for the other thread to come to the lock.
            for _ in 0..if cfg!(miri) { 10 } else { 10_000 } {
                assert!(!packet.control().is_finished(), "the result cannot be there");
                thread::yield_now();
            }
            drop(state);
        });
        assert!(packet.control().is_finished());
        assert_eq!(packet.wait().unwrap(), 7);
    }
}
