//! Packets: how a result gets from one thread to another. Tasks that a [`Handle`] spawns and calls on the blocking
//! pool return their results in this way. The join handle holds the [`Packet`], the work holds its [`ResultSender`].
//!
//! [`Handle`]: crate::runtime::Handle

use crate::runtime::context;
use crate::runtime::executor::task_ref::TaskRef;
use crate::runtime::join::error::{JoinError, UnreadHook, drop_unread};
use crate::runtime::mutex::Mutex;
use crate::runtime::selector::Process;
use crate::runtime::unwind;
use crate::task::Id;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, PoisonError};
use std::task::{Context, Poll, Waker};

/// The place where the work leaves its result and the join handle leaves its waker.
pub(crate) struct Packet<T> {
    state: Mutex<State<T>>,
    arrival: Condvar,
    control: Arc<Control>,
}

struct State<T> {
    result: Option<Result<T, JoinError>>,
    join_waker: Option<Waker>,
}

/// The part of a packet that does not depend on the type of the result.
pub(crate) struct Control {
    id: Id,
    /// The process in which another thread does the work. In a child of that process there is no such thread. `None`
    /// if the work is done on the thread of the join handle.
    elsewhere: Option<Process>,
    aborted: AtomicBool,
    finished: AtomicBool,
    /// The task that does the work. `None` until it has been spawned.
    task: Mutex<Option<TaskRef>>,
    /// Called if the work panics and the join handle is dropped without having been ready.
    on_unread: Option<UnreadHook>,
}

/// The half of a packet that the work holds. If it is dropped before it has sent a result, the join handle gets a
/// cancellation.
pub(crate) struct ResultSender<T> {
    packet: Arc<Packet<T>>,
}

/// The payload of the panic by which [`SendOutput`] tells the executor that its future has panicked, after it has sent
/// that panic to the join handle.
pub(crate) struct PanicIsSent;

/// Makes a packet and its sender. `elsewhere` says that another thread does the work.
pub(crate) fn packet<T>(elsewhere: bool, on_unread: Option<UnreadHook>) -> (ResultSender<T>, Arc<Packet<T>>) {
    let control = Control {
        id: Id::remote(),
        elsewhere: elsewhere.then(Process::current),
        aborted: AtomicBool::new(false),
        finished: AtomicBool::new(false),
        task: Mutex::new(None),
        on_unread,
    };
    let packet = Arc::new(Packet {
        state: Mutex::new(State { result: None, join_waker: None }),
        arrival: Condvar::new(),
        control: Arc::new(control),
    });
    (ResultSender { packet: packet.clone() }, packet)
}

impl<T> Packet<T> {
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Takes the result if it has arrived. Otherwise leaves the waker.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        // Cloned before the lock is taken: cloning a foreign waker runs user code, and so does dropping it below.
        let waker = cx.waker().clone();
        let Some(mut state) = self.state.lock() else {
            unwind::drop(waker);
            return Poll::Ready(self.lost());
        };
        let result = state.result.take().or_else(|| self.control.is_lost().then(|| self.lost()));
        if let Some(result) = result {
            drop(state);
            unwind::drop(waker);
            return Poll::Ready(result);
        }
        let earlier = state.join_waker.replace(waker);
        drop(state);
        unwind::drop_each(earlier);
        Poll::Pending
    }

    /// Called when the join handle is dropped. Drops the result, if it has arrived, and the waker.
    pub(crate) fn detach(&self) {
        let Some(mut state) = self.state.lock() else { return };
        let (result, join_waker) = (state.result.take(), state.join_waker.take());
        drop(state);
        self.drop_unread(result);
        unwind::drop_each(join_waker);
    }

    fn drop_unread(&self, result: Option<Result<T, JoinError>>) {
        match result {
            Some(Err(error)) => drop_unread(error, self.control.on_unread.as_ref()),
            result => unwind::drop_each(result),
        }
    }

    /// Blocks this thread until the result has arrived.
    pub(crate) fn wait(&self) -> Result<T, JoinError> {
        let Some(mut state) = self.state.lock() else { return self.lost() };
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            state = self.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns the result of work that was left behind in the parent process.
    fn lost(&self) -> Result<T, JoinError> {
        Err(JoinError::cancelled(self.control.id))
    }
}

/// Drops a result that arrived after the join handle had been dropped.
impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let (result, join_waker) = (state.result.take(), state.join_waker.take());
        self.drop_unread(result);
        unwind::drop_each(join_waker);
    }
}

impl Control {
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire) || self.is_lost()
    }

    /// Returns whether this process is a child of the one in which the work is done.
    fn is_lost(&self) -> bool {
        self.elsewhere.is_some_and(|process| !process.is_current())
    }

    /// Aborts the work: a task ends the next time it would run, a call on the pool is not made if it has not begun.
    /// Only the first call of this function has an effect, so that repeated calls do not fill the inbox of a loop that
    /// is not running.
    pub(crate) fn abort(&self) {
        if self.aborted.swap(true, Ordering::SeqCst) {
            return;
        }
        let task = self.task.lock().and_then(|task| *task);
        if let Some(task) = task {
            context::abort(task);
        }
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    /// Sets the task that does the work. If this runs at the same time as [`abort`](Control::abort), the later one of
    /// the two sees the effect of the other.
    pub(crate) fn runs_as(&self, task: TaskRef) {
        if let Some(mut place) = self.task.lock() {
            *place = Some(task);
        }
        if self.is_aborted() {
            context::abort(task);
        }
    }
}

impl<T> ResultSender<T> {
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.packet.control
    }

    /// Leaves the result, and wakes the task or the thread that waits for it. Only the first result counts.
    pub(crate) fn send(&self, result: Result<T, JoinError>) {
        let Some(mut state) = self.packet.state.lock() else {
            return unwind::drop(result);
        };
        if self.control().finished.load(Ordering::Relaxed) {
            drop(state);
            return unwind::drop(result);
        }
        state.result = Some(result);
        // Set after the result, and under the lock: when the join handle sees that the work has finished, it finds the
        // result in its next poll.
        self.control().finished.store(true, Ordering::Release);
        let join_waker = state.join_waker.take();
        drop(state);
        self.packet.arrival.notify_all();
        if let Some(join_waker) = join_waker {
            crate::runtime::waker::wake(join_waker);
        }
    }

    /// Sends the error for work that has panicked.
    fn panicked(&self, payload: Box<dyn Any + Send>) {
        self.send(Err(JoinError::panic(self.control().id, payload)));
    }
}

impl<T> Drop for ResultSender<T> {
    fn drop(&mut self) {
        if !self.control().is_finished() {
            self.send(Err(JoinError::cancelled(self.control().id)));
        }
    }
}

/// A blocking call that sends its result to a packet. The closure is dropped before the result can be seen, even if
/// the call is never made.
pub(crate) struct Calling<F, T> {
    call: Option<F>,
    /// Shared, so that the caller can send the reason if no thread can be started for the call.
    sender: Arc<ResultSender<T>>,
}

impl<F: FnOnce() -> T, T> Calling<F, T> {
    pub(crate) fn new(call: F, sender: Arc<ResultSender<T>>) -> Calling<F, T> {
        Calling { call: Some(call), sender }
    }

    /// Makes the call, unless it has been aborted.
    pub(crate) fn run(mut self) {
        if !self.sender.control().is_aborted()
            && let Some(call) = self.call.take()
        {
            match catch_unwind(AssertUnwindSafe(call)) {
                Ok(result) => self.sender.send(Ok(result)),
                Err(payload) => self.sender.panicked(payload),
            }
        }
    }
}

impl<F, T> Drop for Calling<F, T> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take()
            && let Some(payload) = unwind::catch(|| drop(call))
        {
            self.sender.panicked(payload);
        }
    }
}

pin_project_lite::pin_project! {
    /// A future that sends its output to a packet. The future is dropped before the output can be seen, even if it is
    /// dropped before it is ready. If dropping it panics, the panic is the result.
    pub(crate) struct SendOutput<F: Future> {
        #[pin]
        future: Option<F>,
        sender: ResultSender<F::Output>,
    }

    impl<F: Future> PinnedDrop for SendOutput<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let id = this.sender.control().id;
            if let Some(payload) = named(id, || unwind::catch(|| this.future.set(None))) {
                this.sender.panicked(payload);
            }
        }
    }
}

impl<F: Future> SendOutput<F> {
    pub(crate) fn new(future: F, sender: ResultSender<F::Output>) -> SendOutput<F> {
        SendOutput { future: Some(future), sender }
    }
}

impl<F: Future> Future for SendOutput<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let id = this.sender.control().id;
        context::with(|context| context.sent_as.set(id.bits()));
        let result = named(id, || catch_unwind(AssertUnwindSafe(|| future.poll(cx))));
        if matches!(result, Ok(Poll::Pending)) {
            return Poll::Pending;
        }
        let dropped = named(id, || unwind::catch(|| this.future.set(None)));
        match (result, dropped) {
            // If both the poll and the drop panic, the first panic is the result.
            (Err(payload), dropped) => {
                dropped.into_iter().for_each(unwind::discard);
                this.sender.panicked(payload);
                resume_unwind(Box::new(PanicIsSent));
            }
            (Ok(output), Some(payload)) => {
                unwind::drop(output);
                this.sender.panicked(payload);
                resume_unwind(Box::new(PanicIsSent));
            }
            (Ok(Poll::Ready(output)), None) => this.sender.send(Ok(output)),
            (Ok(Poll::Pending), None) => {}
        }
        Poll::Ready(())
    }
}

/// Calls `f`, and meanwhile lets the running task have the id that its join handle knows. `f` does not panic.
fn named<R>(id: Id, f: impl FnOnce() -> R) -> R {
    let outer = context::try_with(|context| context.running.replace(id.bits()));
    let result = f();
    if let Some(outer) = outer {
        context::try_with(|context| context.running.set(outer));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::packet;
    use std::thread;

    #[test]
    fn the_work_has_not_finished_before_its_result_is_there() {
        let (sender, packet) = packet(true, None);
        let state = packet.state.lock();
        thread::scope(|scope| {
            scope.spawn(move || sender.send(Ok(7)));
            // This gives the other thread enough time to reach the lock.
            for _ in 0..if cfg!(miri) { 10 } else { 10_000 } {
                assert!(!packet.control().is_finished(), "the result cannot have arrived");
                thread::yield_now();
            }
            drop(state);
        });
        assert!(packet.control().is_finished());
        assert_eq!(packet.wait().unwrap(), 7);
    }
}
