//! Join handles: await the output of a task, or ask it to end.

pub(crate) mod error;
pub(crate) mod packet;
pub(crate) mod spawn;

use crate::runtime::context;
use crate::runtime::executor::task::BoxedTask;
use crate::runtime::executor::task_ref::TaskRef;
use crate::runtime::executor::tasks::Joined;
use crate::runtime::join::error::JoinError;
use crate::runtime::join::packet::{Control, Packet};
use crate::runtime::remote;
use crate::runtime::waker;
use crate::task::{Id, coop};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Awaits the output of a task. Dropping it detaches the task, which goes on by itself.
///
/// What [`spawn`](crate::spawn), [`spawn_blocking`](crate::task::spawn_blocking) and
/// [`Handle::spawn`](crate::Handle::spawn) give. Its output is that of the task, or a [`JoinError`]
/// if the task panicked or was aborted.
///
/// # Cancel safety
///
/// Cancel safe: the output stays with the task until the handle has given it out.
///
/// # Panics
///
/// When polled after it has given the output. The handle of a task from [`spawn`](crate::spawn)
/// panics when polled on another thread than that of its runtime; handles from
/// [`Handle::spawn`](crate::Handle::spawn) and of blocking calls may be awaited anywhere.
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
}

enum Work<T> {
    /// A task of the runtime on this thread; or one of any kind that has [ended](TaskRef::ended), when its output
    /// has been given out.
    Local(TaskRef),
    /// Its output comes from another thread, or goes to one.
    Remote(Arc<Packet<T>>),
}

impl<T> JoinHandle<T> {
    pub(crate) fn local(of: TaskRef) -> JoinHandle<T> {
        JoinHandle { work: Work::Local(of) }
    }

    pub(crate) fn remote(packet: Arc<Packet<T>>) -> JoinHandle<T> {
        JoinHandle { work: Work::Remote(packet) }
    }

    /// Asks the task to end. It is dropped, on its own thread, in its next turn, and the handle then returns
    /// an error that [`is_cancelled`](JoinError::is_cancelled), or the panic if the task panics while it is
    /// dropped. A task that has ended keeps its output. A blocking call that has begun is not stopped.
    pub fn abort(&self) {
        self.abort_handle().abort();
    }

    /// A handle that can only ask the task to end, and be cloned.
    pub fn abort_handle(&self) -> AbortHandle {
        let work = match &self.work {
            Work::Local(of) => AbortWork::Local(*of),
            Work::Remote(packet) => AbortWork::Remote(packet.control().clone()),
        };
        AbortHandle { work }
    }

    /// Returns whether the task has ended. If it has, the next poll of the handle is ready.
    ///
    /// For a task from [`spawn`](crate::spawn), on another thread than the task's own, this is false as long
    /// as its runtime lives.
    pub fn is_finished(&self) -> bool {
        self.abort_handle().is_finished()
    }

    /// Blocks this thread until the output is there, which comes from another thread.
    pub(crate) fn wait(self) -> Result<T, JoinError> {
        match &self.work {
            Work::Remote(packet) => packet.wait(),
            Work::Local(of) => Err(JoinError::cancelled(of.id())),
        }
    }

    /// Which task it is.
    pub fn id(&self) -> Id {
        match &self.work {
            Work::Local(of) => of.id(),
            Work::Remote(packet) => packet.control().id(),
        }
    }

    #[inline(never)]
    fn detach(&self) {
        match &self.work {
            Work::Local(of) => context::detach(*of),
            Work::Remote(packet) => packet.detach(),
        }
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(coop::poll_budget(cx));
        match &self.work {
            Work::Local(of) => {
                let of = *of;
                self.poll_local(of, cx)
            }
            Work::Remote(packet) => {
                let result = ready!(packet.poll(cx));
                let of = TaskRef::of_ended(packet.control().id());
                self.give_out(of);
                Poll::Ready(result)
            }
        }
    }
}

impl<T: 'static> JoinHandle<T> {
    /// A foreign waker is cloned, and an earlier one dropped, under no borrow: either may be user code.
    #[inline]
    fn poll_local(&mut self, of: TaskRef, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let mut output = None;
        let joined = context::with_entered(of.runtime(), |context| {
            context.tasks.borrow_mut().join(of, &mut output, cx.waker(), waker::copy)
        });
        let failed = match joined {
            Some(Joined::Done(failed)) => failed,
            Some(Joined::Pending(earlier)) => {
                waker::discard_each(earlier);
                return Poll::Pending;
            }
            Some(Joined::NeedsWaker) => {
                let waker = cx.waker().clone();
                let earlier = context::with(|context| context.tasks.borrow_mut().set_join_waker(of, waker));
                waker::discard_each(earlier);
                return Poll::Pending;
            }
            Some(Joined::Gone) | None => {
                assert!(!of.is_ended(), "a join handle was polled after it had given its output");
                if joined.is_none() {
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
    /// The output of a task is given out now.
    #[inline]
    fn give_out(&mut self, of: TaskRef) {
        self.work = Work::Local(of.ended());
        coop::spend();
    }
}

#[cold]
fn failure(id: Id, task: Option<BoxedTask>) -> JoinError {
    let error = task.and_then(|mut task| task.as_mut().failure());
    error.unwrap_or_else(|| JoinError::cancelled(id))
}

/// The runtime is not the one on this thread: it has gone, or this is a mistake.
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

/// Asks a task to end, from any thread. Can be cloned, and keeps nothing alive.
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
    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        match &self.work {
            AbortWork::Local(of) => context::abort(*of),
            AbortWork::Remote(control) => control.abort(),
        }
    }

    /// As [`JoinHandle::is_finished`].
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

    /// Which task it is.
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

    /// Numbers of runtimes come again, and after 256 times also the ids that users see of their tasks.
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
            // So an abort looks for another runtime, and is not asked of this one.
            tasks.abort(later);
            let id = tasks.next().unwrap();
            assert!(tasks.take(id).unwrap().is_aborted);
        }
    }
}
