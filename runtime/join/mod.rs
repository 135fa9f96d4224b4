//! Join handles: they await the output of a task, or abort the task.

pub(crate) mod error;
pub(crate) mod packet;
pub(crate) mod spawn;

use crate::runtime::context::{self, Context as Runtime};
use crate::runtime::executor::task::BoxedTask;
use crate::runtime::executor::task_ref::TaskRef;
use crate::runtime::executor::tasks::Joined;
use crate::runtime::join::error::JoinError;
use crate::runtime::join::packet::{Control, Packet};
use crate::runtime::remote;
use crate::runtime::waker;
use crate::task::{Id, coop};
use std::any::Any;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Awaits the output of a task. Dropping the handle detaches the task, which then continues to run on its own.
///
/// The handle is returned by [`spawn`](crate::spawn), [`spawn_blocking`](crate::task::spawn_blocking) and
/// [`Handle::spawn`](crate::Handle::spawn). It resolves to the output of the task, or to a [`JoinError`] if the task
/// panicked or was aborted.
///
/// # Cancel safety
///
/// Awaiting a `&mut JoinHandle` is cancel safe: the output stays with the task until a poll of the handle returns it.
///
/// # Panics
///
/// Polling the handle panics after it has returned the output. Polling a handle from [`spawn`](crate::spawn) panics on
/// any thread but the one that owns the runtime. Handles from [`Handle::spawn`](crate::Handle::spawn) and
/// [`spawn_blocking`](crate::task::spawn_blocking) may be awaited on any thread.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(async { 6 * 7 });
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
pub struct JoinHandle<T> {
    work: Work<T>,
    erase: Erase<T>,
}

/// Converts the place for an output into the form in which a task of any type takes it. The function is made when the
/// task is spawned, where the output is known to be `'static`. So nothing that uses the handle needs that bound.
type Erase<T> = for<'a> fn(&'a mut Option<T>) -> &'a mut (dyn Any + 'static);

fn erase<T: 'static>(output: &mut Option<T>) -> &mut (dyn Any + 'static) {
    output
}

enum Work<T> {
    /// A task that was spawned on its own thread. Once the output has been returned, it is the [ended](TaskRef::ended)
    /// reference to a task of any kind.
    Local(TaskRef),
    /// Work whose output arrives through a packet, possibly from another thread.
    Remote(Arc<Packet<T>>),
}

impl<T: 'static> JoinHandle<T> {
    #[inline]
    pub(crate) fn local(of: TaskRef) -> JoinHandle<T> {
        JoinHandle { work: Work::Local(of), erase }
    }

    pub(crate) fn remote(packet: Arc<Packet<T>>) -> JoinHandle<T> {
        JoinHandle { work: Work::Remote(packet), erase }
    }
}

impl<T> JoinHandle<T> {
    /// Aborts the task. The task is dropped on its own thread the next time it would run. The handle then returns an
    /// error for which [`is_cancelled`](JoinError::is_cancelled) returns `true`, or the panic if the task panics while
    /// it is dropped.
    ///
    /// A task that has ended keeps its output. A blocking call that has begun is not stopped.
    pub fn abort(&self) {
        self.abort_handle().abort();
    }

    /// Returns a handle that can only abort the task. It can be cloned.
    pub fn abort_handle(&self) -> AbortHandle {
        let work = match &self.work {
            Work::Local(of) => AbortWork::Local(*of),
            Work::Remote(packet) => AbortWork::Remote(packet.control().clone()),
        };
        AbortHandle { work }
    }

    /// Returns `true` if the task has ended. Then the next poll of the handle is ready.
    ///
    /// On a thread other than that of the runtime, this returns `false` for a task from [`spawn`](crate::spawn) for as
    /// long as the runtime exists.
    pub fn is_finished(&self) -> bool {
        self.abort_handle().is_finished()
    }

    /// Blocks this thread until the output arrives from another thread.
    pub(crate) fn wait(self) -> Result<T, JoinError> {
        match &self.work {
            Work::Remote(packet) => packet.wait(),
            Work::Local(of) => Err(JoinError::cancelled(of.id())),
        }
    }

    /// Returns the id of the task.
    pub fn id(&self) -> Id {
        match &self.work {
            Work::Local(of) => of.id(),
            Work::Remote(packet) => packet.control().id(),
        }
    }

    /// Moves the handle out. What is left is the handle of a task that has ended and whose output has been returned.
    pub(crate) fn take(&mut self) -> JoinHandle<T> {
        let ended = TaskRef::of_ended(self.id());
        JoinHandle { work: mem::replace(&mut self.work, Work::Local(ended)), erase: self.erase }
    }

    #[inline(never)]
    fn detach(&self) {
        match &self.work {
            Work::Local(of) => context::detach(*of),
            Work::Remote(packet) => packet.detach(),
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(coop::poll_budget(cx));
        self.get_mut().poll_result(cx)
    }
}

impl<T> JoinHandle<T> {
    /// Polls the handle, even if no budget is left.
    #[inline]
    pub(crate) fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        match &self.work {
            Work::Local(of) => {
                let of = *of;
                self.poll_local(of, cx)
            }
            Work::Remote(packet) => {
                let result = ready!(packet.poll(cx));
                let of = TaskRef::of_ended(packet.control().id());
                self.work = Work::Local(of);
                coop::spend();
                Poll::Ready(result)
            }
        }
    }

    /// Polls a task of the runtime on this thread. Cloning a foreign waker and dropping an earlier one may run user
    /// code, so neither happens while something is borrowed.
    #[inline]
    fn poll_local(&mut self, of: TaskRef, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let mut output = None;
        let joined = context::with_entered(of.runtime(), |context| {
            context.tasks.borrow_mut().join(of, || (self.erase)(&mut output), cx.waker(), waker::copy)
        });
        let failed = match joined {
            Some(Joined::Done(failed)) => failed,
            Some(Joined::Pending(earlier)) => {
                waker::discard_each(earlier);
                return Poll::Pending;
            }
            Some(Joined::NeedsWaker) => {
                let waker = cx.waker().clone();
                match context::with(|context| context.tasks.borrow_mut().set_join_waker(of, waker)) {
                    Ok(earlier) => waker::discard_each(earlier),
                    // The task has ended while the waker was cloned.
                    Err(waker) => waker::wake(waker),
                }
                return Poll::Pending;
            }
            Some(Joined::Gone) | None => {
                assert!(!of.is_ended(), "a join handle was polled after it had given its output");
                if joined.is_none() {
                    // In a forked child, a runtime of the parent counts as gone.
                    if let Some(runtime) = context::local(of.runtime())
                        && !runtime.remote.is_closed()
                    {
                        return self.poll_unentered(&runtime, cx);
                    }
                    assert_gone(of);
                }
                self.give_out(of);
                return Poll::Ready(Err(JoinError::cancelled(of.id())));
            }
        };
        self.give_out(of);
        match output {
            Some(output) => Poll::Ready(Ok(output)),
            None => Poll::Ready(Err(failure(of.id(), failed))),
        }
    }
}

impl<T> JoinHandle<T> {
    /// Polls a task of a runtime that belongs to this thread, while another one is entered.
    #[cold]
    #[inline(never)]
    fn poll_unentered(&mut self, runtime: &Rc<Runtime>, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let _entered = context::enter_without_loop(runtime);
        self.poll_result(cx)
    }

    /// Notes that the output of a local task is being returned, which uses up one unit of the budget.
    #[inline]
    fn give_out(&mut self, of: TaskRef) {
        // Forgotten, since there is nothing to drop.
        mem::forget(mem::replace(&mut self.work, Work::Local(of.ended())));
        coop::spend();
    }
}

#[cold]
fn failure(id: Id, task: Option<BoxedTask>) -> JoinError {
    let error = task.and_then(|mut task| task.as_mut().failure());
    error.unwrap_or_else(|| JoinError::cancelled(id))
}

/// Panics if the runtime still exists. The caller has found that it is not the one entered on this thread: either it
/// has been dropped, or the handle is polled on the wrong thread.
#[cold]
fn assert_gone(of: TaskRef) {
    assert!(
        remote::find(of.runtime()).is_none(),
        "the join handle of task {} was polled away from its runtime's thread: \
         await it there, or spawn the task by Handle::spawn",
        of.id()
    );
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.work, Work::Local(of) if of.is_ended()) {
            self.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).finish()
    }
}

/// Aborts a task from any thread. The handle can be cloned, and it does not keep the task or its runtime alive.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(std::future::pending::<()>());
/// let abort = task.abort_handle();
/// abort.abort();
/// assert!(task.await.unwrap_err().is_cancelled());
/// assert!(abort.is_finished());
/// # });
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    work: AbortWork,
}

#[derive(Clone)]
enum AbortWork {
    Local(TaskRef),
    Remote(Arc<Control>),
}

impl AbortHandle {
    /// Aborts the task, in the same way as [`JoinHandle::abort`].
    pub fn abort(&self) {
        match &self.work {
            AbortWork::Local(of) => context::abort(*of),
            AbortWork::Remote(control) => control.abort(),
        }
    }

    /// Returns `true` if the task has ended, in the same cases as [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        match &self.work {
            AbortWork::Local(of) if of.is_ended() => true,
            AbortWork::Local(of) => {
                let local = context::local(of.runtime());
                let finished = local.map(|context| context.tasks.borrow_mut().is_finished(*of));
                finished.unwrap_or_else(|| remote::find(of.runtime()).is_none())
            }
            AbortWork::Remote(control) => control.is_finished(),
        }
    }

    /// Returns the id of the task.
    pub fn id(&self) -> Id {
        match &self.work {
            AbortWork::Local(of) => of.id(),
            AbortWork::Remote(control) => control.id(),
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id()).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::executor::task::boxed;
    use crate::runtime::executor::tasks::Tasks;
    use crate::runtime::id::RuntimeId;
    use crate::task::origin::Origin;

    /// The number of a runtime is reused, and after 256 reuses the ids of its tasks, as users see them, repeat as
    /// well.
    #[test]
    fn a_task_is_told_from_one_of_the_same_id_in_a_later_runtime_of_that_number() {
        let first_task = |epoch| {
            let mut tasks = Tasks::new(RuntimeId::new(7, epoch));
            let task = boxed(async {}, &mut tasks.free_lists);
            (tasks.insert(task, Origin::UNKNOWN), tasks)
        };
        let (earlier, _) = first_task(0);
        for epoch in [1, 255, 256, 257, u32::MAX] {
            let (later, mut tasks) = first_task(epoch);
            assert_eq!(later.id() == earlier.id(), epoch % 256 == 0);
            assert!(later != earlier && later.runtime() != earlier.runtime());
            // An abort therefore finds that the runtime is another one, and is not passed to this one.
            tasks.abort(later);
            let id = tasks.next().unwrap();
            assert!(tasks.take(id).unwrap().is_aborted);
        }
    }
}
