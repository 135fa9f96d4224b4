//! The context: the parts of a runtime, and how they are found from any thread.
//!
//! A runtime is *entered* on a thread while its `block_on` runs there, or while it is dropped there. Handles and
//! wakers hold ids, and this file finds what an id refers to. [`with`] passes the runtime that is entered on this
//! thread. The functions below it work on any thread: on the thread that owns the runtime they act at once, whether
//! the runtime is entered or not; on other threads they send a message to its inbox.
//!
//! Each part of a runtime has a cell of its own in [`Context`]. A borrow of a cell never lasts while user code runs:
//! take the value out, release the borrow, then call.
//!
//! An entered runtime is owned by this thread's stack of entered runtimes, and not by the stack frame that entered it.
//! The frame may still exist when its runtime is dropped (`process::exit`), or the frames may end out of order
//! (stackful coroutines). User code may change that stack. So the closures that this file calls with a `&Context` run
//! no user code. A function that has to run user code owns the context meanwhile ([`call_on`]).
#![expect(unsafe_code, reason = "the pointer to the entered runtime")]

use super::enter_stack::EnterStack;
use super::id::{RuntimeId, SlotId};
use super::metrics::RuntimeMetrics;
use super::remote::{self, Remote, RemoteCall};
use super::rng::Rng;
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
    /// Set once another loop drives this one: see `executor/guest.rs`.
    pub(crate) is_guest: Cell<bool>,
    /// Counts the checks of messages, timers and descriptors, and the polls.
    pub(crate) turns: Cell<u64>,
    pub(crate) polls: Cell<u64>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) buffer_pool: RefCell<BufferPool>,
    pub(crate) losses: RefCell<Losses>,
    pub(crate) rng: Rng,
    /// The task that is being polled, as bits: the id in its waker, or, for a task that was sent from another thread,
    /// its [`TaskId`], whose upper 16 bits are zero. Zero while no task is being polled.
    pub(crate) running: Cell<u64>,
    /// The [`TaskId`], as bits, of the latest task sent from another thread that has been polled.
    pub(crate) sent_as: Cell<u64>,
}

/// The runtimes that were made on this thread. Messages and handles find them here while they are not entered.
type LocalRuntimes = RefCell<ManuallyDrop<Vec<(RuntimeId, Weak<Context>)>>>;

// None of these has a destructor, because the destructors of other thread-locals use them.
thread_local! {
    static STACK: ManuallyDrop<EnterStack<Context>> = const { ManuallyDrop::new(EnterStack::new()) };
    /// The address of the context on top of `STACK`, or null.
    static ENTERED: Cell<*const Context> = const { Cell::new(ptr::null()) };
    static LOCALS: LocalRuntimes = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// A guard that keeps a runtime entered. When the guard is dropped, the latest runtime that is still entered becomes
/// the current one.
pub(crate) struct EnteredContext {
    number: u64,
    thread: PhantomData<*const ()>,
}

/// Enters a runtime on this thread, whose loop then turns here.
pub(crate) fn enter(context: &Rc<Context>) -> EnteredContext {
    push(context, true)
}

/// Enters a runtime on this thread for code that spawns tasks or creates timers. Its loop does not turn here.
pub(crate) fn enter_without_loop(context: &Rc<Context>) -> EnteredContext {
    push(context, false)
}

fn push(context: &Rc<Context>, is_loop: bool) -> EnteredContext {
    let number = STACK.with(|stack| stack.push(context.clone(), is_loop));
    set_current();
    EnteredContext { number, thread: PhantomData }
}

impl Drop for EnteredContext {
    fn drop(&mut self) {
        let left = STACK.with(|stack| stack.remove(self.number));
        set_current();
        drop(left);
    }
}

/// Adds a runtime to the list of those made on this thread.
pub(crate) fn register(context: &Rc<Context>) {
    LOCALS.with_borrow_mut(|locals| locals.push((context.id, Rc::downgrade(context))));
}

/// Removes a runtime that is being dropped from the list and from the stack, whichever guards still exist.
pub(crate) fn deregister(context: &Rc<Context>) {
    LOCALS.with_borrow_mut(|locals| {
        locals.retain(|(id, _)| *id != context.id);
        if locals.is_empty() {
            // Freed here, since the thread-local has no destructor.
            **locals = Vec::new();
        }
    });
    while let Some(left) = STACK.with(|stack| stack.remove_value(context)) {
        set_current();
        drop(left);
        // The poll in which the runtime was left does not continue either, so its budget ends.
        coop::lift();
    }
}

/// Updates the current runtime after a change of the stack.
fn set_current() {
    let top = STACK.with(|stack| stack.top());
    ENTERED.set(top.as_ref().map_or(ptr::null(), |(context, _)| Rc::as_ptr(context)));
    Driver::set_current(top.map(|(context, is_loop)| (context.time.clone(), is_loop)));
}

/// Calls `f` with the runtime that is entered on this thread, if there is one. `f` runs no user code.
#[inline]
pub(crate) fn try_with<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    let context = ENTERED.get();
    // SAFETY: the pointer is either null or the address of the context on top of `STACK`. The stack owns that context,
    // because `set_current` follows each change of the stack, before the removed value is dropped. Only `enter`,
    // `deregister` and the drop of an `EnteredContext` change the stack, and `f` calls none of them, since it runs no user
    // code. So the context lives until `f` returns.
    unsafe { context.as_ref() }.map(f)
}

/// Calls `f` with the runtime that is entered on this thread, and panics if there is none. `f` runs no user code.
#[inline]
#[track_caller]
pub(crate) fn with<R>(f: impl FnOnce(&Context) -> R) -> R {
    match try_with(f) {
        Some(result) => result,
        None => outside::called("this"),
    }
}

/// Calls `f` like [`with`]. If no runtime is entered, the message of the panic names `function`.
#[inline]
#[track_caller]
pub(crate) fn with_for<R>(function: &str, f: impl FnOnce(&Context) -> R) -> R {
    match try_with(f) {
        Some(result) => result,
        None => outside::called(function),
    }
}

/// Returns the [`Home`] of the runtime that is entered on this thread, or else of the one that belongs to another thread
/// and is entered here, or else of the runtime whose blocking call this thread runs.
pub(crate) fn home() -> Option<Home> {
    try_with(Context::home).or_else(blocking_call::home)
}

/// Returns the id of the task or the blocking call that runs on this thread.
pub(crate) fn running() -> Option<TaskId> {
    if let Some(Some(id)) = try_with(Context::running) {
        return Some(id);
    }
    match STACK.with(|stack| stack.top_loop()) {
        // A task of this runtime may have entered another one.
        Some(context) => context.running(),
        None => blocking_call::id(),
    }
}

/// Returns the id of the runtime that is entered on this thread, or [`RuntimeId::NONE`].
pub(crate) fn entered_id() -> RuntimeId {
    try_with(|context| context.id).unwrap_or(RuntimeId::NONE)
}

/// Returns whether a runtime is entered on this thread.
#[inline]
pub(crate) fn is_entered() -> bool {
    !ENTERED.get().is_null()
}

/// Returns whether the loop of a runtime turns on this thread, so that no other can.
pub(crate) fn is_turning() -> bool {
    STACK.with(|stack| stack.top_loop()).is_some()
}

/// Returns whether a runtime is the one entered on this thread.
#[inline]
pub(crate) fn is_current(id: RuntimeId) -> bool {
    with_entered(id, |_| ()).is_some()
}

/// Calls `f` with the runtime of that number if it is the one that is entered on this thread. `f` runs no user code.
///
/// Numbers are reused, so this is only for operations that do no harm if the id is stale.
#[inline(always)]
fn with_number<R>(number: u16, f: impl FnOnce(&Context) -> R) -> Option<R> {
    let context = ENTERED.get();
    // SAFETY: as in `try_with`.
    let context = unsafe { context.as_ref() }?;
    (context.id.number() == number).then(|| f(context))
}

/// Calls `f` with the runtime of that id if it is the one that is entered on this thread. `f` runs no user code.
#[inline(always)]
pub(crate) fn with_entered<R>(id: RuntimeId, f: impl FnOnce(&Context) -> R) -> Option<R> {
    let context = ENTERED.get();
    // SAFETY: as in `try_with`.
    let context = unsafe { context.as_ref() }?;
    (context.id == id).then(|| f(context))
}

/// Returns the runtime that is entered on this thread, for callers that run user code.
pub(crate) fn entered() -> Option<Rc<Context>> {
    let context = ENTERED.get();
    if context.is_null() {
        return None;
    }
    // SAFETY: as in `try_with`, the stack owns this context, and `set_current` has taken the address from
    // `Rc::as_ptr`. So one more strong reference may be counted.
    unsafe {
        Rc::increment_strong_count(context);
        Some(Rc::from_raw(context))
    }
}

/// Returns the runtime of that id if it belongs to this thread, whether it is entered or not.
pub(crate) fn local(id: RuntimeId) -> Option<Rc<Context>> {
    if is_current(id) {
        return entered();
    }
    LOCALS.with_borrow(|locals| {
        let (_, context) = locals.iter().rfind(|(local, _)| *local == id)?;
        context.upgrade()
    })
}

/// Wakes the task or the future that the id refers to, from any thread. Has no effect if it has ended.
#[inline]
pub(crate) fn wake(id: SlotId) {
    if with_number(id.runtime(), |context| context.wake(id)).is_none() {
        remote::wake(id);
    }
}

/// Calls `f` with the runtime of that id: at once on the thread that owns it, otherwise in its next turn. Does nothing
/// if the runtime has been dropped. `f` may run user code.
pub(crate) fn call_on(id: RuntimeId, f: impl FnOnce(&Context) + Send + 'static) {
    match local(id) {
        Some(context) => f(&context),
        None => send_to(id, f),
    }
}

fn send_to(id: RuntimeId, f: impl FnOnce(&Context) + Send + 'static) {
    let call = move || {
        if let Some(context) = local(id) {
            f(&context);
        }
    };
    send_call(id, Box::new(call));
}

/// Sends a call to a runtime. It is a function of its own, since [`send_to`] is compiled for each kind of call.
#[cold]
fn send_call(id: RuntimeId, call: RemoteCall) {
    if let Some(remote) = remote::find(id) {
        // The call is returned if the runtime has been dropped in the meantime. Then there is nothing left to do.
        drop(remote.call(call));
    }
}

/// Aborts a task, from any thread.
pub(crate) fn abort(of: TaskRef) {
    if !of.has_slot() {
        // Careful: the slot numbers of tasks that have none are so large that the list of aborts must not grow to
        // them.
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

/// Detaches a task whose join handle has been dropped, on any thread.
pub(crate) fn detach(of: TaskRef) {
    let is_detached = with_entered(of.runtime(), |context| context.tasks.borrow_mut().detach_running(of));
    if is_detached != Some(true) {
        call_on(of.runtime(), move |context| {
            let Leftovers { task, join_waker } = context.tasks.borrow_mut().detach(of);
            if let Some(task) = task {
                context.dispose(task);
            }
            // Dropped, not woken: the task that awaited the handle has just dropped it.
            super::waker::discard_each(join_waker);
        });
    }
}

/// Drops the tasks that the entered runtime has refused. This runs user code.
#[cold]
pub(crate) fn drop_refused() {
    if let Some(context) = entered() {
        let refused = context.tasks.borrow_mut().take_refused();
        refused.into_iter().for_each(|task| unwind::contain(|| drop(task)));
    }
}

/// Removes a timer from its wheel, on the thread that owns the wheel.
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
    /// Moves a future into the box of its task. A box that an ended task of the same type has left is reused.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn boxed<F>(&self, future: F) -> BoxedTask
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        task::boxed(future, &mut self.tasks.borrow_mut().free_lists)
    }

    /// Adds a task. If the runtime is being dropped, the task is refused: then the caller has to call [`drop_refused`]
    /// once it holds no reference to the context.
    #[inline]
    pub(crate) fn spawn(&self, task: BoxedTask, origin: Origin) -> TaskRef {
        let mut tasks = self.tasks.borrow_mut();
        if tasks.is_closed() { tasks.refuse(task) } else { tasks.insert(task, origin) }
    }

    #[inline]
    pub(crate) fn wake(&self, id: SlotId) {
        self.wake_own(&mut self.tasks.borrow_mut(), id);
    }

    /// Wakes the task of a waker if the waker belongs to this runtime. Returns `false` if it does not.
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

    /// Wakes the task of a waker like [`wake_by`](Context::wake_by), while events are being collected.
    #[inline(always)]
    pub(crate) fn wake_by_event(&self, tasks: &mut Tasks, waker: &Waker) -> bool {
        match super::waker::id(waker) {
            Some(id) if id.runtime() == self.id.number() => {
                if !tasks.wake_by_event(id) && id.slot() == SlotId::MAIN {
                    tasks.wake_main();
                }
                true
            }
            _ => false,
        }
    }

    /// Takes and wakes the waker if it belongs to this runtime. Any other waker is left in place.
    #[inline(always)]
    pub(crate) fn wake_local(&self, tasks: &mut Tasks, waker: &mut Option<Waker>) {
        if waker.as_ref().is_some_and(|waker| self.wake_by(tasks, waker)) {
            // Forgotten, since dropping a waker of the runtime does nothing.
            std::mem::forget(waker.take());
        }
    }

    #[inline]
    fn wake_own(&self, tasks: &mut Tasks, id: SlotId) {
        if !tasks.wake(id) && id.slot() == SlotId::MAIN {
            tasks.wake_main();
        }
    }

    /// Returns what the runtime has done so far and what it holds now.
    pub(crate) fn counts(&self) -> RuntimeMetrics {
        RuntimeMetrics {
            turns: self.turns.get(),
            polls: self.polls.get(),
            num_alive_tasks: self.tasks.borrow().alive(),
            io_sources: self.reactor.borrow().len(),
            global_queue_depth: 0,
        }
    }

    /// Lets other threads see the counts.
    #[inline(never)]
    pub(crate) fn publish(&self) {
        self.remote.publish(self.counts());
    }

    /// Returns the parts by which any thread reaches this runtime.
    pub(crate) fn home(&self) -> Home {
        Home { remote: self.remote.clone(), pool: self.pool.clone() }
    }

    /// Returns the id of the task that is being polled. `None` if no spawned task is being polled, or if it has been
    /// removed meanwhile.
    pub(crate) fn running(&self) -> Option<TaskId> {
        let id = SlotId::from_bits(self.running.get());
        if id.runtime() == 0 { TaskId::from_bits(id.bits()) } else { self.tasks.borrow().name(id) }
    }

    /// Returns the [`TaskId`] of the task that a waker refers to, which has not been removed.
    #[cold]
    pub(crate) fn name(&self, id: SlotId) -> TaskId {
        self.tasks.borrow().name(id).expect("a task that has just run has its slot")
    }

    /// Drops the future or the output of a task, and keeps its box. This runs user code.
    #[inline]
    fn dispose(&self, mut task: BoxedTask) {
        task.as_mut().clear();
        self.tasks.borrow_mut().recycle(task);
    }

    /// Drops and wakes what a task has left. This runs user code: the drop of a future or an output, and a foreign
    /// waker.
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
