//! What is entered on this thread: the runtime whose `block_on` stands below on the stack.
//!
//! Handles and wakers are ids; here is where they find what the id means. [`with`] gives the
//! runtime entered on this thread. The functions below it work from any thread: on the runtime's own
//! thread they act at once, whether it is entered or not, elsewhere they leave a message in its inbox.
//!
//! The parts of a runtime stand side by side in [`Context`], each in a cell of its own. A borrow of
//! one never lasts while user code runs: take out, release, then call.
//!
//! What is entered is owned by this thread's stack of entered runtimes, and not by the frame that has
//! entered it, for a frame may stay while its runtime is dropped (`process::exit`), or end out of order
//! (stackful coroutines). User code may change that stack. So the closures that get a `&Context` from here
//! run none; what has to, owns the context ([`call_on`]).
#![expect(unsafe_code, reason = "the pointer to the entered runtime")]

use super::enter_stack::EnterStack;
use super::id::{Id, RuntimeId};
use super::remote::{self, Remote};
use super::unwind;
use crate::runtime::executor::task::{self, BoxedTask};
use crate::runtime::executor::task_ref::TaskRef;
use crate::runtime::executor::tasks::{Leftovers, Tasks};
use crate::runtime::io::buffer_pool::BufferPool;
use crate::runtime::io::contention::Losses;
use crate::runtime::io::reactor::Reactor;
use crate::runtime::remote::blocking::Pool;
use crate::runtime::remote::blocking_call::{self, Home};
use crate::task::origin::Origin;
use crate::task::{Id as TaskId, coop, outside};
use crate::time::{Driver, RemoteTimer};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;

/// The parts of one runtime.
pub(crate) struct Context {
    pub(crate) id: RuntimeId,
    pub(crate) tasks: RefCell<Tasks>,
    pub(crate) reactor: RefCell<Reactor>,
    pub(crate) time: Rc<Driver>,
    pub(crate) remote: Arc<Remote>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) buffer_pool: RefCell<BufferPool>,
    pub(crate) losses: RefCell<Losses>,
    /// The task being polled, as bits: what its waker is, or, for one sent from another thread, its
    /// [`TaskId`], whose upper 16 bits are zero. Zero between tasks.
    pub(crate) running: Cell<u64>,
    /// The [`TaskId`], as bits, of the task sent from another thread that has been polled last.
    pub(crate) sent_as: Cell<u64>,
}

/// Runtimes that were made on this thread, for what reaches them while they are not entered.
type Locals = RefCell<ManuallyDrop<Vec<(RuntimeId, Weak<Context>)>>>;

// None of these has a destructor: they are used in those of other thread-locals.
thread_local! {
    static STACK: ManuallyDrop<EnterStack<Context>> = const { ManuallyDrop::new(EnterStack::new()) };
    /// The address of the context on top of `STACK`, or null.
    static ENTERED: Cell<*const Context> = const { Cell::new(ptr::null()) };
    static LOCALS: Locals = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// Keeps a runtime entered. When it is dropped, the latest of those that are still entered is current again.
pub(crate) struct Entered {
    number: u64,
    thread: PhantomData<*const ()>,
}

/// Enters a runtime on this thread.
pub(crate) fn enter(context: &Rc<Context>) -> Entered {
    let number = STACK.with(|stack| stack.push(context.clone()));
    set_current();
    Entered { number, thread: PhantomData }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = STACK.with(|stack| stack.remove(self.number));
        set_current();
        drop(left);
    }
}

/// Makes a runtime known on its own thread.
pub(crate) fn register(context: &Rc<Context>) {
    LOCALS.with_borrow_mut(|locals| locals.push((context.id, Rc::downgrade(context))));
}

/// The runtime is being dropped: it is not entered any more, whichever guards are left.
pub(crate) fn deregister(context: &Rc<Context>) {
    LOCALS.with_borrow_mut(|locals| {
        locals.retain(|(id, _)| *id != context.id);
        if locals.is_empty() {
            // There is no destructor to free it.
            **locals = Vec::new();
        }
    });
    while let Some(left) = STACK.with(|stack| stack.remove_value(context)) {
        set_current();
        drop(left);
        // Nor does a poll go on in which it was left.
        coop::lift();
    }
}

/// The stack has changed.
fn set_current() {
    let top = STACK.with(|stack| stack.top());
    ENTERED.set(top.as_ref().map_or(ptr::null(), Rc::as_ptr));
    Driver::set_current(top.map(|context| context.time.clone()));
}

/// Calls `f` with the runtime entered on this thread, if there is one. `f` runs no user code.
#[inline]
pub(crate) fn try_with<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    let context = ENTERED.get();
    // SAFETY: unless it is null, it is the address of the context on top of `STACK`, which owns it, for
    // `set_current` follows each change of the stack, and comes before what was removed is dropped. The stack
    // is changed by `enter`, `deregister` and the drop of an `Entered` only, which `f` does not come to, as
    // it runs no user code. So the context lives until `f` returns.
    unsafe { context.as_ref() }.map(f)
}

/// Calls `f` with the runtime entered on this thread. `f` runs no user code.
#[inline]
#[track_caller]
pub(crate) fn with<R>(f: impl FnOnce(&Context) -> R) -> R {
    match try_with(f) {
        Some(result) => result,
        None => outside::called("this"),
    }
}

/// The same, for a function of that name, which needs a runtime.
#[inline]
#[track_caller]
pub(crate) fn with_for<R>(function: &str, f: impl FnOnce(&Context) -> R) -> R {
    match try_with(f) {
        Some(result) => result,
        None => outside::called(function),
    }
}

/// Returns the runtime that is entered on this thread, or else the one whose blocking call it makes.
pub(crate) fn home() -> Option<Home> {
    try_with(Context::home).or_else(blocking_call::home)
}

/// Returns the id of the task or of the blocking call that runs on this thread.
pub(crate) fn running() -> Option<TaskId> {
    try_with(Context::running).unwrap_or_else(blocking_call::id)
}

/// Returns whether a runtime is entered on this thread.
#[inline]
pub(crate) fn is_entered() -> bool {
    !ENTERED.get().is_null()
}

/// Returns whether a runtime is the one entered on this thread.
#[inline]
pub(crate) fn is_current(id: RuntimeId) -> bool {
    with_entered(id, |_| ()).is_some()
}

/// Calls `f` with the runtime of that number if it is the one entered on this thread. `f` runs no user code.
///
/// Numbers come again, so this is for what a stale id may reach without harm.
#[inline(always)]
fn with_number<R>(number: u16, f: impl FnOnce(&Context) -> R) -> Option<R> {
    let context = ENTERED.get();
    // SAFETY: as in `try_with`.
    let context = unsafe { context.as_ref() }?;
    (context.id.number() == number).then(|| f(context))
}

/// Calls `f` with a runtime if it is the one entered on this thread. `f` runs no user code.
#[inline(always)]
pub(crate) fn with_entered<R>(id: RuntimeId, f: impl FnOnce(&Context) -> R) -> Option<R> {
    let context = ENTERED.get();
    // SAFETY: as in `try_with`.
    let context = unsafe { context.as_ref() }?;
    (context.id == id).then(|| f(context))
}

/// Returns the runtime that is entered on this thread, for code that may run user code.
pub(crate) fn entered() -> Option<Rc<Context>> {
    let context = ENTERED.get();
    if context.is_null() {
        return None;
    }
    // SAFETY: as in `try_with`, the stack owns this context; and `set_current` has the address from
    // `Rc::as_ptr`. So it may be counted once more.
    unsafe {
        Rc::increment_strong_count(context);
        Some(Rc::from_raw(context))
    }
}

/// Returns a runtime if it is one of this thread, entered or not.
pub(crate) fn local(id: RuntimeId) -> Option<Rc<Context>> {
    if is_current(id) {
        return entered();
    }
    LOCALS.with_borrow(|locals| {
        let (_, context) = locals.iter().rfind(|(local, _)| *local == id)?;
        context.upgrade()
    })
}

/// Wakes the task or the future that the id names, from any thread. One that has ended is not woken.
#[inline]
pub(crate) fn wake(id: Id) {
    if with_number(id.runtime(), |context| context.wake(id)).is_none() {
        remote::wake(id);
    }
}

/// Calls `f` with a runtime: at once on its own thread, else in its next turn. Does nothing if the runtime
/// has been dropped. `f` may run user code.
pub(crate) fn call_on(id: RuntimeId, f: impl FnOnce(&Context) + Send + 'static) {
    match local(id) {
        Some(context) => f(&context),
        None => send_to(id, f),
    }
}

#[cold]
fn send_to(id: RuntimeId, f: impl FnOnce(&Context) + Send + 'static) {
    if let Some(remote) = remote::find(id) {
        let call = move || {
            if let Some(context) = local(id) {
                f(&context);
            }
        };
        // It comes back if the runtime has just been dropped: then there is nothing left to do.
        drop(remote.call(Box::new(call)));
    }
}

/// Asks a task to end, from any thread.
pub(crate) fn abort(of: TaskRef) {
    if !of.has_slot() {
        // Another thread's list of slots has no room for nobody's.
        return;
    }
    match local(of.runtime()) {
        Some(context) => context.tasks.borrow_mut().abort(of),
        None => {
            if let Some(remote) = remote::find(of.runtime()) {
                remote.abort(of.slot(), of.id().serial());
            }
        }
    }
}

/// The join handle of a task is gone, on any thread.
pub(crate) fn detach(of: TaskRef) {
    let is_detached = with_entered(of.runtime(), |context| context.tasks.borrow_mut().detach_running(of));
    if is_detached != Some(true) {
        call_on(of.runtime(), move |context| {
            let Leftovers { task, join_waker } = context.tasks.borrow_mut().detach(of);
            if let Some(task) = task {
                context.dispose(task);
            }
            // Dropped, not woken: who would have waited has just given up.
            super::waker::discard_each(join_waker);
        });
    }
}

/// Drops the tasks that the entered runtime has refused. That is user code.
#[cold]
pub(crate) fn drop_refused() {
    if let Some(context) = entered() {
        let refused = context.tasks.borrow_mut().take_refused();
        refused.into_iter().for_each(|task| unwind::contain(|| drop(task)));
    }
}

/// Has the thread of a timer take it out of its wheel.
pub(crate) fn take_out_timer(timer: RemoteTimer) {
    call_on(RuntimeId::from_bits(timer.driver()), move |context| {
        let waker = timer.take_out(&context.time);
        match waker {
            Some(waker) if timer.is_woken() => super::waker::wake(waker),
            waker => super::waker::discard_each(waker),
        }
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
        task::boxed(future, &mut self.tasks.borrow_mut().free_lists)
    }

    /// Takes a task in. If the runtime is being dropped, it refuses: then the caller calls [`drop_refused`]
    /// once it holds no reference to the context.
    #[inline]
    pub(crate) fn spawn(&self, task: BoxedTask, origin: Origin) -> TaskRef {
        let mut tasks = self.tasks.borrow_mut();
        if tasks.is_closed() { tasks.refuse(task) } else { tasks.insert(task, origin) }
    }

    #[inline]
    pub(crate) fn wake(&self, id: Id) {
        self.wake_own(&mut self.tasks.borrow_mut(), id);
    }

    /// Wakes by a waker of this runtime; false for any other.
    #[inline(always)]
    pub(crate) fn wake_by(&self, tasks: &mut Tasks, waker: &Waker) -> bool {
        match super::waker::id(waker) {
            Some(id) if id.runtime() == self.id.number() => {
                self.wake_own(tasks, id);
                true
            }
            _ => false,
        }
    }

    /// The same, for one who collects events.
    #[inline(always)]
    pub(crate) fn wake_by_event(&self, tasks: &mut Tasks, waker: &Waker) -> bool {
        match super::waker::id(waker) {
            Some(id) if id.runtime() == self.id.number() => {
                if !tasks.wake_by_event(id) && id.slot() == Id::MAIN {
                    tasks.wake_main();
                }
                true
            }
            _ => false,
        }
    }

    /// Wakes by a waker of this runtime, and empties the place; any other waker stays there.
    #[inline(always)]
    pub(crate) fn wake_local(&self, tasks: &mut Tasks, waker: &mut Option<Waker>) {
        if waker.as_ref().is_some_and(|waker| self.wake_by(tasks, waker)) {
            // Ours, whose drop does nothing.
            std::mem::forget(waker.take());
        }
    }

    #[inline]
    fn wake_own(&self, tasks: &mut Tasks, id: Id) {
        if !tasks.wake(id) && id.slot() == Id::MAIN {
            tasks.wake_main();
        }
    }

    /// What reaches this runtime from any thread.
    pub(crate) fn home(&self) -> Home {
        Home { remote: self.remote.clone(), pool: self.pool.clone() }
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
        task.as_mut().clear();
        self.tasks.borrow_mut().recycle(task);
    }

    /// User code runs in here: the drop of a future or an output, and a foreign waker.
    #[inline]
    pub(crate) fn drop_and_wake(&self, leftovers: Leftovers) {
        if let Some(task) = leftovers.task {
            self.dispose(task);
        }
        if let Some(join_waker) = leftovers.join_waker {
            super::waker::wake(join_waker);
        }
    }
}
