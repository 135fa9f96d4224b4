//! What is entered on this thread: the runtime whose `block_on` stands below on the stack.
//!
//! Handles and wakers are ids; here is where they find what the id means. [`with`] gives the
//! runtime entered on this thread, and the functions below it do the right thing from any thread:
//! at home they act at once, away they leave a message in the runtime's inbox.
//!
//! The parts of a runtime stand side by side in [`Context`], each in a cell of its own. A borrow of
//! one never lasts while user code runs: take out, release, then call.
#![expect(unsafe_code, reason = "the pointer to the entered runtime")]

use super::blocking::Pool;
use super::id::Id;
use super::lending::Lending;
use super::reactor::Reactor;
use super::remote::{self, Call, Remote};
use super::task::{self, BoxedTask};
use super::tasks::{Leftovers, TaskRef, Tasks};
use super::unwind;
use crate::task::Id as TaskId;
use crate::time::Driver;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// The parts of one runtime.
pub(crate) struct Context {
    pub(crate) id: u16,
    pub(crate) tasks: RefCell<Tasks>,
    pub(crate) reactor: RefCell<Reactor>,
    pub(crate) time: Rc<Driver>,
    pub(crate) remote: Arc<Remote>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) lending: RefCell<Lending>,
    /// The future of `block_on` is to be polled.
    pub(crate) main_woken: Cell<bool>,
    /// Its place among the tasks: when so many have been [taken](Tasks::taken) from the run queue.
    pub(crate) main_place: Cell<u64>,
    /// The task being polled, as bits: what its waker is, or, for one sent from another thread, its
    /// [`TaskId`], whose upper 16 bits are zero. Zero between tasks.
    pub(crate) running: Cell<u64>,
}

thread_local! {
    static ENTERED: Cell<*const Context> = const { Cell::new(ptr::null()) };
}

/// Keeps a runtime entered. On drop the one entered before, if any, is entered again.
pub(crate) struct Entered<'a> {
    previous: *const Context,
    context: PhantomData<&'a Context>,
}

/// Enters a runtime on this thread.
pub(crate) fn enter(context: &Context) -> Entered<'_> {
    Entered { previous: ENTERED.replace(context), context: PhantomData }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        ENTERED.set(self.previous);
    }
}

/// Calls `f` with the runtime entered on this thread, if there is one.
#[inline]
pub(crate) fn try_with<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    let context = ENTERED.get();
    // SAFETY: not null means that an `Entered` guard lives, further down on the stack of this very
    // thread, which borrows the context and puts the earlier pointer back before that borrow ends.
    unsafe { context.as_ref() }.map(f)
}

/// Calls `f` with the runtime entered on this thread.
#[inline]
#[track_caller]
pub(crate) fn with<R>(f: impl FnOnce(&Context) -> R) -> R {
    match try_with(f) {
        Some(result) => result,
        None => no_runtime(),
    }
}

#[cold]
#[track_caller]
fn no_runtime() -> ! {
    panic!(
        "no runtime on this thread: call this inside block_on or #[runtime::main], or send it to one by Handle::spawn"
    )
}

/// Whether runtime `id` is the one entered on this thread.
#[inline]
pub(crate) fn is_home(id: u16) -> bool {
    at_home(id, |_| ()).is_some()
}

/// Calls `f` with runtime `id` if that is the one entered on this thread.
#[inline(always)]
pub(crate) fn at_home<R>(id: u16, f: impl FnOnce(&Context) -> R) -> Option<R> {
    let context = ENTERED.get();
    // SAFETY: as in `try_with`.
    let context = unsafe { context.as_ref() }?;
    (context.id == id).then(|| f(context))
}

/// Wakes what the id names, from any thread. Whatever is gone is not woken.
#[inline]
pub(crate) fn wake(id: Id) {
    if at_home(id.runtime(), |context| context.wake(id)).is_none() {
        remote::wake(id);
    }
}

/// Calls `f` with runtime `id`: at once if it is entered on this thread, else in its next turn.
/// Does nothing if it has gone.
pub(crate) fn reach(id: u16, f: impl FnOnce(&Context) + Send + 'static) {
    let mut f = Some(f);
    let at_home = at_home(id, |context| f.take().map(|f| f(context)));
    if let (None, Some(f)) = (at_home, f)
        && let Some(remote) = remote::find(id)
    {
        let call: Call = Box::new(move || {
            at_home_or_gone(id, f);
        });
        // Given back if the runtime has just gone: then there is nothing left to do.
        drop(remote.call(call));
    }
}

fn at_home_or_gone(id: u16, f: impl FnOnce(&Context)) {
    let met = at_home(id, f);
    debug_assert!(met.is_some(), "a call was made away from its runtime");
}

/// Asks a task to end, from any thread.
pub(crate) fn abort(of: TaskRef) {
    reach(of.id.runtime(), move |context| context.tasks.borrow_mut().abort(of));
}

/// The join handle of a task is gone, on any thread.
pub(crate) fn detach(of: TaskRef) {
    reach(of.id.runtime(), move |context| {
        let Leftovers { task, joiner } = context.tasks.borrow_mut().detach(of);
        if let Some(task) = task {
            context.dispose(task);
        }
        // Dropped, not woken: who would have waited has just given up.
        unwind::drop_each(joiner);
    });
}

impl Context {
    /// Puts a future where it will live: into a box that another of its type has left, if there is one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn boxed<F>(&self, future: F) -> BoxedTask
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        task::boxed(future, &mut self.tasks.borrow_mut().recycled)
    }

    /// Takes a task in. If the runtime is going, the task is dropped at once, and counts as aborted.
    #[inline]
    pub(crate) fn spawn(&self, task: BoxedTask) -> TaskRef {
        let mut tasks = self.tasks.borrow_mut();
        if tasks.is_closed() {
            let nobody = tasks.nobody();
            drop(tasks);
            unwind::drop(task);
            return nobody;
        }
        tasks.insert(task)
    }

    #[inline]
    pub(crate) fn wake(&self, id: Id) {
        self.wake_own(&mut self.tasks.borrow_mut(), id);
    }

    /// Wakes by a waker of this runtime; false for any other.
    #[inline]
    pub(crate) fn wake_by(&self, tasks: &mut Tasks, waker: &Waker) -> bool {
        match super::waker::id(waker) {
            Some(id) if id.runtime() == self.id => {
                self.wake_own(tasks, id);
                true
            }
            _ => false,
        }
    }

    /// Wakes by a waker of this runtime, and empties the place; any other waker stays there.
    #[inline]
    pub(crate) fn wake_local(&self, tasks: &mut Tasks, waker: &mut Option<Waker>) {
        if waker.as_ref().is_some_and(|waker| self.wake_by(tasks, waker)) {
            // Ours, whose drop does nothing.
            std::mem::forget(waker.take());
        }
    }

    #[inline]
    fn wake_own(&self, tasks: &mut Tasks, id: Id) {
        if !tasks.wake(id) && id.slot() == Id::MAIN {
            self.queue_main(tasks);
        }
    }

    /// Queues the future of `block_on`, behind the tasks that are queued now.
    #[cold]
    pub(crate) fn queue_main(&self, tasks: &Tasks) {
        if !self.main_woken.replace(true) {
            self.main_place.set(tasks.place());
        }
    }

    /// The task being polled, if it is one that was spawned and has not gone meanwhile.
    pub(crate) fn running(&self) -> Option<TaskId> {
        let id = Id::from_bits(self.running.get());
        if id.runtime() == 0 { TaskId::from_bits(id.bits()) } else { self.tasks.borrow().name(id) }
    }

    /// The exact name of the task that a waker wakes, which is not over.
    #[cold]
    pub(crate) fn name(&self, id: Id) -> TaskId {
        self.tasks.borrow().name(id).expect("a task that has just run has its slot")
    }

    /// User code runs in here: the drop of a future or an output.
    #[inline]
    fn dispose(&self, mut task: BoxedTask) {
        unwind::contain(|| task.as_mut().clear());
        self.tasks.borrow_mut().recycle(task);
    }

    /// User code runs in here: the drop of a future or an output, and a foreign waker.
    #[inline]
    pub(crate) fn drop_and_wake(&self, leftovers: Leftovers) {
        if let Some(task) = leftovers.task {
            self.dispose(task);
        }
        if let Some(joiner) = leftovers.joiner {
            super::waker::wake(joiner);
        }
    }
}
