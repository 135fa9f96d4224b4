//! The executor: turns the loop, and is the only one that polls and wakes.
//!
//! ```text
//! 1  tasks, and in its turn the future of block_on: ready => return   a round: up to EVENT_INTERVAL polls,
//!                                                                     or a time slice
//! 2  inbox: what other threads woke, and what they ask to be called   a portion of it
//! 3  timers: everything due now is woken
//! 4  selector: wait — zero if anything is runnable, else until the next deadline; events wake our tasks
//! 5  wake what else 4 collected: wakers that are not ours
//! ```
//!
//! What 2 to 5 wake runs next, by turns with what was queued before (`tasks.rs`). A round costs no system call,
//! and reads the clock seldom (`time_slice.rs`). No borrow of ours lasts while a future
//! is polled or dropped, or a waker woken: each step collects, releases, and then acts.

pub(crate) mod free_lists;
pub(crate) mod run_queue;
pub(crate) mod slow_polls;
pub(crate) mod task;
pub(crate) mod task_ref;
pub(crate) mod tasks;
mod time_slice;

use crate::runtime::context::{self, Context};
use crate::runtime::executor::slow_polls::Polled;
use crate::runtime::executor::task::{BoxedTask, Failure};
use crate::runtime::executor::tasks::{QueuePosition, Taken};
use crate::runtime::executor::time_slice::TimeSlice;
use crate::runtime::id::Id;
use crate::runtime::join::error::JoinError;
use crate::runtime::remote::InboxBatch;
use crate::runtime::remote::blocking::Hook;
use crate::runtime::unwind;
use crate::runtime::waker;
use crate::task::{Id as TaskId, coop};
use crate::time::Driver;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// Polls between two looks at the inbox while tasks run: one load each. A wake from another thread
/// then does not wait for the end of the round.
const INBOX_INTERVAL: usize = 16;

/// The loop takes this many wakes and calls out of the inbox at once, whoever floods it. During a round it takes
/// none while as many events are queued.
const INBOX_BATCH: usize = 64;

/// Passes in which a runtime that is dropped gives back what drops bring forth anew.
const SHUTDOWN_PASSES: usize = 64;

/// How the loop is to turn.
pub(crate) struct Config {
    /// Polls between two looks at inbox, timers and selector.
    pub(crate) event_interval: usize,
    /// The loop sleeps at least this long after a turn that fired timers.
    pub(crate) timer_slack: Duration,
    /// While the clock is paused and a socket has a waiter or a blocking call is under way, the loop waits this long in
    /// real time before it moves the clock.
    pub(crate) auto_advance_grace: Duration,
    /// Called before and after the loop sleeps.
    pub(crate) on_park: Option<Hook>,
    pub(crate) on_unpark: Option<Hook>,
    /// A poll that takes as long is reported.
    pub(crate) slow_poll_threshold: Option<Duration>,
    /// How many wakers a turn may collect, as a rule.
    pub(crate) wakers: usize,
}

/// A runtime's context, and what only its loop needs.
pub(crate) struct Executor {
    context: Rc<Context>,
    config: Config,
    batch: RefCell<InboxBatch>,
    wakers: RefCell<Vec<Waker>>,
    /// Counts calls of `block_on`, so that a waker of an earlier one is told from the present one's.
    mains: Cell<u16>,
    slice: RefCell<TimeSlice>,
    /// A whole portion of calls has been made: no more are, until what they have spawned, and all that was queued
    /// before, has had its turn. Otherwise tasks that live for more than one turn would become more and more.
    flooded: Cell<Option<QueuePosition>>,
    /// Another thread had the inbox when the loop last looked into it.
    is_inbox_locked: Cell<bool>,
    /// The count of polls, and the time, when watched tasks had run. If it has grown when they run again, the future
    /// of `block_on` was polled in between.
    watched: Cell<(u64, u64)>,
    pub(crate) turns: Cell<u64>,
    pub(crate) polls: Cell<u64>,
}

impl Executor {
    pub(crate) fn new(context: Rc<Context>, config: Config) -> Executor {
        Executor {
            context,
            batch: RefCell::default(),
            // For all that a turn can wake, as a rule, so that it never moves.
            wakers: RefCell::new(Vec::with_capacity(config.wakers)),
            slice: RefCell::new(TimeSlice::new(config.event_interval)),
            config,
            flooded: Cell::new(None),
            is_inbox_locked: Cell::new(false),
            mains: Cell::new(0),
            watched: Cell::new((0, 0)),
            turns: Cell::new(0),
            polls: Cell::new(0),
        }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Turns the loop until `future` is ready. Tasks that are left go on in the next call.
    #[track_caller]
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::is_entered(),
            "block_on inside a runtime: this thread turns its loop already; await the future, or use another thread"
        );
        let _entered = context::enter(&self.context);
        let _running = Running::begin(&self.context);
        let mut future = pin!(future);
        self.mains.set(self.mains.get().wrapping_add(1));
        let waker = waker::waker(Id::new(self.context.id.number(), self.mains.get(), Id::MAIN));
        let mut cx = std::task::Context::from_waker(&waker);
        coop::begin(&waker);
        self.watched.set((self.polls.get(), 0));
        loop {
            if let Poll::Ready(output) = self.run_round(future.as_mut(), &mut cx) {
                if let Some(threshold) = self.config.slow_poll_threshold {
                    self.report_main(threshold);
                }
                return output;
            }
            self.turn();
        }
    }

    /// Step 1.
    #[inline]
    fn run_round<F: Future>(
        &self,
        mut future: Pin<&mut F>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<F::Output> {
        let queued = self.context.tasks.borrow().queued();
        let mut left = self.slice.borrow_mut().begin(queued, Driver::real_ns);
        loop {
            let is_main_next;
            (left, is_main_next) = match self.config.slow_poll_threshold {
                None => self.run_tasks(left, 0),
                Some(threshold) => self.run_watched_tasks(left, threshold),
            };
            if left == 0 {
                let mut slice = self.slice.borrow_mut();
                match slice.check(Driver::real_ns) {
                    Some(more) => left = more,
                    None => return Poll::Pending,
                }
                if slice.is_half_over() {
                    self.context.tasks.borrow_mut().take_turns();
                }
            } else if is_main_next {
                loop {
                    self.context.running.set(0);
                    coop::refill(cx.waker());
                    self.polls.set(self.polls.get() + 1);
                    if let Poll::Ready(output) = future.as_mut().poll(cx) {
                        return Poll::Ready(output);
                    }
                    left -= 1;
                    // Each poll that is watched is measured by itself.
                    let is_last = left == 0 || self.config.slow_poll_threshold.is_some();
                    if is_last || !self.context.tasks.borrow_mut().take_main_alone() {
                        break;
                    }
                }
            } else {
                self.slice.borrow_mut().end(left, Driver::real_ns);
                return Poll::Pending;
            }
        }
    }

    /// Runs tasks until none is queued, only `rest` of `left` are left, or it is the turn of the future of `block_on`.
    /// Returns what is left, and in the last case true: the caller polls that future now.
    fn run_tasks(&self, mut left: usize, rest: usize) -> (usize, bool) {
        let context = &*self.context;
        let mut tasks = context.tasks.borrow_mut();
        while left > rest {
            let Some(id) = tasks.next() else { return (left, tasks.take_main()) };
            let Some(Taken { mut task, is_aborted }) = tasks.take(id) else {
                continue;
            };
            drop(tasks);
            left -= 1;
            if left.is_multiple_of(INBOX_INTERVAL) && context.remote.has_messages() {
                self.read_inbox_in_round();
            }
            context.running.set(id.bits());
            let polled = if is_aborted { None } else { Some(self.poll(id, &mut task)) };
            let task = match polled {
                Some(Ok(Poll::Pending)) => {
                    // One borrow for the end of this task's turn and the begin of the next one's.
                    tasks = context.tasks.borrow_mut();
                    tasks.park(id.slot(), task);
                    continue;
                }
                Some(Ok(Poll::Ready(()))) => task,
                Some(Err(payload)) => replace(task, context.name(id), Some(payload)),
                None => replace(task, context.name(id), None),
            };
            tasks = context.tasks.borrow_mut();
            let mut leftovers = tasks.finish(id.slot(), task);
            context.wake_local(&mut tasks, &mut leftovers.join_waker);
            if !leftovers.is_empty() {
                drop(tasks);
                context.drop_and_wake(leftovers);
                tasks = context.tasks.borrow_mut();
            }
        }
        (rest, false)
    }

    /// As [`run_tasks`](Executor::run_tasks), one by one, and reports those that take long. This is apart, so that a
    /// loop that reports nothing pays for one branch a chunk.
    #[cold]
    #[inline(never)]
    fn run_watched_tasks(&self, mut left: usize, threshold: Duration) -> (usize, bool) {
        self.report_main(threshold);
        let context = &*self.context;
        let mut is_main_next = false;
        while left > 0 && !is_main_next {
            // Before it runs: it may be gone then, with its name.
            let (name, origin) = {
                let mut tasks = context.tasks.borrow_mut();
                let Some(id) = tasks.peek() else {
                    is_main_next = tasks.take_main();
                    break;
                };
                (tasks.name(id), tasks.origin(id.slot()))
            };
            context.sent_as.set(0);
            let begin_ns = Driver::real_ns();
            (left, is_main_next) = self.run_tasks(left, left - 1);
            let name = TaskId::from_bits(context.sent_as.get()).or(name);
            slow_polls::check(threshold, begin_ns, Driver::real_ns(), Polled::Task(name, origin));
        }
        self.watched.set((self.polls.get(), Driver::real_ns()));
        (left, is_main_next)
    }

    /// Reports the future of `block_on` if it has been polled since tasks were watched, and has taken long.
    #[cold]
    #[inline(never)]
    fn report_main(&self, threshold: Duration) {
        let (polls, begin_ns) = self.watched.get();
        if polls != self.polls.get() {
            slow_polls::check(threshold, begin_ns, Driver::real_ns(), Polled::Main);
        }
    }

    /// A future that panics is not polled again: nobody sees it broken.
    #[inline]
    fn poll(&self, id: Id, task: &mut BoxedTask) -> thread::Result<Poll<()>> {
        let waker = waker::waker(id);
        let mut cx = std::task::Context::from_waker(&waker);
        coop::refill(&waker);
        self.polls.set(self.polls.get() + 1);
        catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut cx)))
    }

    /// Steps 2 to 5.
    fn turn(&self) {
        self.turns.set(self.turns.get() + 1);
        self.context.running.set(0);
        // What runs outside of tasks has nobody to yield to.
        coop::lift();
        {
            let mut tasks = self.context.tasks.borrow_mut();
            tasks.begin_turn();
            tasks.collect_events();
        }
        self.read_inbox();
        let mut wakers = self.wakers.take();
        self.context.time.fire(self.config.event_interval, &mut wakers);
        // There may be more of them, whoever was woken.
        let has_fired = !wakers.is_empty();
        self.wake(&mut wakers);
        let rests = !has_fired && !self.is_runnable();
        if rests {
            self.park();
        }
        if !rests || self.is_runnable() {
            // If called back, the user has brought forth new work.
            self.look(&mut wakers);
        } else if self.context.time.is_paused() {
            self.sleep_paused(&mut wakers);
        } else {
            let timeout = self.context.time.next_wait(self.config.timer_slack);
            self.sleep(timeout, &mut wakers);
        }
        self.wake(&mut wakers);
        self.wakers.replace(wakers);
        self.context.tasks.borrow_mut().end_turn(self.config.event_interval.div_ceil(2));
        if rests {
            // Last, since it may panic, and what has been collected does not come again.
            self.unpark();
        }
    }

    #[inline]
    fn park(&self) {
        if let Some(hook) = &self.config.on_park {
            hook.call();
            self.context.time.look();
        }
    }

    #[inline]
    fn unpark(&self) {
        if let Some(hook) = &self.config.on_unpark {
            hook.call();
        }
    }

    /// Wakes, in order. Our own are woken under one borrow, which foreign wakers interrupt.
    fn wake(&self, wakers: &mut Vec<Waker>) {
        let mut tasks = self.context.tasks.borrow_mut();
        for waker in wakers.drain(..) {
            let mut waker = Some(waker);
            self.context.wake_local(&mut tasks, &mut waker);
            if let Some(waker) = waker {
                drop(tasks);
                waker::wake(waker);
                tasks = self.context.tasks.borrow_mut();
            }
        }
    }

    /// Looks for events without waiting for any. With nothing registered there can be none, and the
    /// inbox is looked at anyway.
    #[inline]
    fn look(&self, wakers: &mut Vec<Waker>) {
        if !self.context.reactor.borrow().is_empty() {
            self.wait(Some(Duration::ZERO), wakers);
        }
    }

    /// Waits, unless another thread has left something in the meantime: then it only looks.
    fn sleep(&self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) {
        self.context.tasks.borrow_mut().shrink();
        self.context.reactor.borrow_mut().shrink();
        self.slice.borrow_mut().forget();
        if self.context.remote.park() {
            self.wait(timeout, wakers);
            self.context.remote.unpark();
        } else {
            self.look(wakers);
            if self.is_inbox_locked.get() {
                // The thread that has locked it goes on.
                thread::yield_now();
            }
        }
    }

    /// With the clock paused: real events first, and only when there are none the next timer.
    fn sleep_paused(&self, wakers: &mut Vec<Waker>) {
        self.wait(Some(Duration::ZERO), wakers);
        if !wakers.is_empty() || self.is_runnable() {
            return;
        }
        let context = &*self.context;
        if !context.time.may_auto_advance() {
            return self.sleep(None, wakers);
        }
        context.tasks.borrow_mut().shrink();
        self.slice.borrow_mut().forget();
        if context.reactor.borrow().has_waiters() || context.pool.is_active() {
            // What comes in breaks this wait, and its end then finds the inbox or `wakers` filled.
            if !context.remote.park() {
                return;
            }
            self.wait(Some(self.config.auto_advance_grace), wakers);
            context.remote.unpark();
        }
        if wakers.is_empty() && !self.is_runnable() && !context.remote.has_messages() {
            context.time.auto_advance();
        }
    }

    fn wait(&self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) {
        let context = &*self.context;
        let mut tasks = context.tasks.borrow_mut();
        let wake = |waker: &Waker| context.wake_by_event(&mut tasks, waker);
        let result = context.reactor.borrow_mut().turn(timeout, wake, wakers);
        if let Err(error) = result {
            drop(tasks);
            self.wake(wakers);
            // So that the next wait fails as well, instead of being taken for one that has batch.
            context.remote.unpark();
            panic!("the selector failed, was its descriptor closed? {error}");
        }
    }

    /// Step 2.
    fn read_inbox(&self) {
        let context = &*self.context;
        if !context.remote.has_messages() {
            return;
        }
        let mut batch = self.batch.take();
        let is_flooded = self.flooded.get().is_some_and(|until| !context.tasks.borrow().has_reached(until));
        let most_calls = if is_flooded { 0 } else { INBOX_BATCH };
        let is_taken = context.remote.drain_inbox(INBOX_BATCH, most_calls, &mut batch);
        self.is_inbox_locked.set(!is_taken);
        let is_full = batch.calls.len() == INBOX_BATCH;
        {
            let mut tasks = context.tasks.borrow_mut();
            if std::mem::take(&mut batch.main) {
                tasks.wake_main();
            }
            batch.slots.drain(..).for_each(|slot| tasks.wake_slot(slot));
            batch.aborts.drain(..).for_each(|(slot, serial)| tasks.abort_serial(slot, serial));
        }
        batch.calls.drain(..).for_each(unwind::contain);
        self.batch.replace(batch);
        if !is_flooded {
            self.flooded.set(is_full.then(|| context.tasks.borrow().position()));
        }
    }

    /// Step 2 in the midst of step 1. The calls are no task's.
    #[cold]
    fn read_inbox_in_round(&self) {
        let context = &*self.context;
        if context.tasks.borrow().events_queued() >= INBOX_BATCH {
            return;
        }
        context.running.set(0);
        coop::lift();
        context.tasks.borrow_mut().collect_events();
        self.read_inbox();
        context.tasks.borrow_mut().stop_collecting();
    }

    fn is_runnable(&self) -> bool {
        self.context.tasks.borrow().queued() > 0
    }
}

/// Drops a task that has panicked or was aborted, and leaves the reason in its place: the panic of its poll,
/// or else that of its drop, or else that it was aborted.
#[cold]
fn replace(task: BoxedTask, id: TaskId, panic: Option<Box<dyn Any + Send>>) -> BoxedTask {
    let dropped = unwind::catch(|| drop(task));
    Failure::boxed(match (panic, dropped) {
        (Some(payload), dropped) => {
            dropped.into_iter().for_each(unwind::discard);
            JoinError::panic(id, payload)
        }
        (None, Some(payload)) => JoinError::panic(id, payload),
        (None, None) => JoinError::cancelled(id),
    })
}

/// A call of `block_on`, however it ends: also when its frame is unwound, on the stack of a coroutine, after the
/// runtime has been destroyed with a thread-local. So it owns the context.
struct Running {
    context: Rc<Context>,
}

impl Running {
    fn begin(context: &Rc<Context>) -> Running {
        context.remote.set_running(true);
        context.tasks.borrow_mut().begin_main();
        Running { context: context.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.context.remote.set_running(false);
        self.context.running.set(0);
        coop::lift();
    }
}

/// The runtime's end: every task is dropped here, on its own thread, while sockets and timers still
/// work. What those drops bring forth, the next pass takes; a task spawned now is dropped unpolled.
impl Drop for Executor {
    fn drop(&mut self) {
        let context = &*self.context;
        let entered = context::enter(&self.context);
        // `process::exit` may have been called in a task.
        context.running.set(0);
        context.pool.close();
        let mut batch = self.batch.take();
        context.remote.close(&mut batch);
        unwind::drop_each(batch.calls.drain(..));
        let leftovers = context.tasks.borrow_mut().close();
        leftovers.into_iter().for_each(|leftovers| context.drop_and_wake(leftovers));
        let mut wakers = self.wakers.take();
        for _ in 0..SHUTDOWN_PASSES {
            context.time.clear(&mut wakers);
            context.reactor.borrow_mut().clear(&mut wakers);
            let refused = context.tasks.borrow_mut().take_refused();
            if wakers.is_empty() && refused.is_empty() {
                break;
            }
            unwind::drop_each(wakers.drain(..));
            unwind::drop_each(refused);
        }
        drop(entered);
        context::deregister(&self.context);
        // Wakers that come again without end are dropped once more, when they find no runtime to come to.
        context.time.clear(&mut wakers);
        context.reactor.borrow_mut().clear(&mut wakers);
        unwind::drop_each(wakers);
        unwind::drop_each(context.tasks.borrow_mut().take_refused());
    }
}
