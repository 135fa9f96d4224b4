//! The executor, which runs the loop. No other file polls futures, and no other file wakes the wakers that a turn
//! collects.
//!
//! ```text
//! 1  tasks, and in its turn the future of block_on: ready => return   a round: up to EVENT_INTERVAL polls,
//!                                                                     or a time slice
//! 2  inbox: tasks that other threads woke, and calls they ask for      one batch
//! 3  timers: everything that is due is woken
//! 4  selector: wait — zero if anything is runnable, else until the next deadline; events wake tasks
//! 5  wake the other wakers that 4 collected: foreign ones
//! ```
//!
//! The tasks that steps 2 to 5 wake run next, in alternation with those that were queued before (`tasks.rs`). A round
//! makes no system call, and seldom reads the clock (`time_slice.rs`). Nothing is borrowed while a future is polled or
//! dropped, or a waker woken: each step collects, releases its borrow, and then acts.

pub(crate) mod free_lists;
mod guest;
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
use crate::runtime::id::SlotId;
use crate::runtime::join::error::JoinError;
use crate::runtime::join::packet::PanicIsSent;
use crate::runtime::remote::InboxBatch;
use crate::runtime::remote::blocking::Hook;
use crate::runtime::unwind;
use crate::runtime::waker;
use crate::task::{Id as TaskId, coop};
use crate::time::Driver;
use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// The number of polls between two checks of the inbox while tasks run. A check costs one load. Because of it, a wake
/// from another thread need not wait for the end of the round.
const INBOX_INTERVAL: usize = 16;

/// The maximum number of wakes, and of calls, that the loop takes out of the inbox at once. During a round it takes
/// none as long as at least as many events are queued.
const INBOX_BATCH: usize = 64;

/// The number of turns after which a loop that does not sleep publishes its counts for other threads: some tens of
/// milliseconds if each turn has a full time slice. In each turn, that would be 1 % of a turn with one small message.
const PUBLISH_INTERVAL: u64 = 64;

/// The minimum number of wakers for which it pays to fetch the memory of their tasks first.
const FETCHED_TOGETHER: usize = 4;

/// The maximum number of passes when a runtime is dropped. Each pass drops what the drops of the pass before have
/// created.
const SHUTDOWN_PASSES: usize = 64;

/// The message of the panic of `block_on` when a task has panicked and the runtime shuts down because of it. Tokio's
/// has the same words.
const SHUT_DOWN_MESSAGE: &str =
    "a spawned task panicked and the runtime is configured to shut down on unhandled panic";

/// The settings of the loop.
pub(crate) struct Config {
    /// The maximum number of polls between two checks of the inbox, the timers and the selector.
    pub(crate) event_interval: usize,
    /// The minimum time that the loop sleeps after a turn in which timers fired.
    pub(crate) timer_slack: Duration,
    /// The real time that the loop waits before it moves a paused clock, while a socket has a waiter or a blocking
    /// call is in progress.
    pub(crate) auto_advance_grace: Duration,
    /// Called before the loop sleeps, and after.
    pub(crate) on_park: Option<Hook>,
    pub(crate) on_unpark: Option<Hook>,
    /// The minimum duration of a poll that is reported. `None` if no poll is reported.
    pub(crate) slow_poll_threshold: Option<Duration>,
    /// Set if the panic of a task shuts the runtime down.
    pub(crate) shuts_down_on_panic: bool,
    /// The number of wakers that a turn usually does not exceed.
    pub(crate) wakers: usize,
}

/// The context of a runtime, and the state that only the loop needs.
pub(crate) struct Executor {
    context: Rc<Context>,
    config: Config,
    batch: RefCell<InboxBatch>,
    wakers: RefCell<Vec<Waker>>,
    /// Counts the calls of `block_on`. The number tells the waker of an earlier call from that of the current one.
    mains: Cell<u16>,
    slice: RefCell<TimeSlice>,
    /// Set after a full batch of calls. No more calls are made until everything that was queued by then has run,
    /// including the tasks that the calls have spawned. Otherwise tasks that live for more than one turn would
    /// accumulate.
    flooded: Cell<Option<QueuePosition>>,
    /// Set if another thread held the lock of the inbox at the latest check.
    is_inbox_locked: Cell<bool>,
    /// The count of polls and the time when watched tasks last ran. If the count has grown when they run again, the
    /// future of `block_on` was polled in between.
    watched: Cell<(u64, u64)>,
    /// Set while a guest's turns have found nothing to do, and its paused clock has still to move.
    idle_since: Cell<Option<Instant>>,
    /// The descriptor of the selector, once the host of a guest has asked for it.
    selector_fd: OnceCell<Option<Arc<dyn AsFd + Send + Sync>>>,
    /// Set once the tasks have been dropped.
    is_shut_down: Cell<bool>,
}

impl Executor {
    pub(crate) fn new(context: Rc<Context>, config: Config) -> Executor {
        Executor {
            context,
            batch: RefCell::default(),
            // The list has room for all the wakers that a turn usually collects, so that it is seldom reallocated.
            wakers: RefCell::new(Vec::with_capacity(config.wakers)),
            slice: RefCell::new(TimeSlice::new(config.event_interval)),
            config,
            flooded: Cell::new(None),
            is_inbox_locked: Cell::new(false),
            mains: Cell::new(0),
            watched: Cell::new((0, 0)),
            idle_since: Cell::new(None),
            selector_fd: OnceCell::new(),
            is_shut_down: Cell::new(false),
        }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Runs the loop until `future` is ready. Tasks that have not ended continue in the next call.
    #[track_caller]
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::is_turning(),
            "block_on inside a runtime: this thread turns its loop already; await the future, or use another thread"
        );
        assert!(!self.is_shut_down.get(), "{SHUT_DOWN_MESSAGE}");
        let _entered = context::enter(&self.context);
        let _running = Running::begin(&self.context);
        self.context.tasks.borrow_mut().begin_main();
        let mut future = pin!(future);
        self.mains.set(self.mains.get().wrapping_add(1));
        let waker = self.main_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        coop::begin(&waker);
        self.watched.set((self.context.polls.get(), 0));
        loop {
            if let Poll::Ready(output) = self.run_round(future.as_mut(), &mut cx) {
                if let Some(threshold) = self.config.slow_poll_threshold {
                    self.report_main(threshold);
                }
                return output;
            }
            self.turn(None);
        }
    }

    /// Returns the waker of the future of the latest `block_on`.
    fn main_waker(&self) -> ManuallyDrop<Waker> {
        waker::waker(SlotId::new(self.context.id.number(), self.mains.get(), SlotId::MAIN))
    }

    /// Runs step 1.
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
                    self.context.tasks.borrow_mut().alternate();
                }
            } else if is_main_next {
                loop {
                    self.context.running.set(0);
                    coop::refill(cx.waker());
                    self.context.polls.set(self.context.polls.get() + 1);
                    if let Poll::Ready(output) = future.as_mut().poll(cx) {
                        return Poll::Ready(output);
                    }
                    left -= 1;
                    // If polls are watched, each poll is measured separately.
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

    /// Runs tasks until none is queued, until only `stop_at` of the `left` polls are left, or until it is the turn of
    /// the future of `block_on`. Returns the number of polls that are left, and `true` in the last case: then the
    /// caller polls that future.
    fn run_tasks(&self, mut left: usize, stop_at: usize) -> (usize, bool) {
        let context = &*self.context;
        let mut tasks = context.tasks.borrow_mut();
        while left > stop_at {
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
                    // The end of this task's turn and the beginning of the next task's turn share one borrow.
                    tasks = context.tasks.borrow_mut();
                    tasks.park(id.slot(), task);
                    continue;
                }
                Some(Ok(Poll::Ready(()))) => task,
                Some(Err(payload)) => self.fail(id, task, payload),
                None => self.replace(task, context.name(id), None),
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
        (stop_at, false)
    }

    /// Runs tasks one by one, otherwise like [`run_tasks`](Executor::run_tasks), and reports those that take long. It
    /// is a separate function, so that a loop that reports nothing pays only for one branch in each chunk.
    #[cold]
    #[inline(never)]
    fn run_watched_tasks(&self, mut left: usize, threshold: Duration) -> (usize, bool) {
        self.report_main(threshold);
        let context = &*self.context;
        let mut is_main_next = false;
        while left > 0 && !is_main_next {
            // Read these before the task runs: after that, the task may have been removed together with its id.
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
        self.watched.set((self.context.polls.get(), Driver::real_ns()));
        (left, is_main_next)
    }

    /// Reports the future of `block_on` if it has been polled since tasks were watched, and its poll took long.
    #[cold]
    #[inline(never)]
    fn report_main(&self, threshold: Duration) {
        let (polls, begin_ns) = self.watched.get();
        if polls != self.context.polls.get() {
            slow_polls::check(threshold, begin_ns, Driver::real_ns(), Polled::Main);
        }
    }

    /// Polls a task, and catches a panic. A future that has panicked is not polled again, so its inconsistent state is
    /// never observed.
    #[inline]
    fn poll(&self, id: SlotId, task: &mut BoxedTask) -> thread::Result<Poll<()>> {
        let waker = waker::waker(id);
        let mut cx = std::task::Context::from_waker(&waker);
        coop::refill(&waker);
        self.context.polls.set(self.context.polls.get() + 1);
        catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut cx)))
    }

    /// Runs steps 2 to 5. If `timeout` is set, step 4 waits no longer than that.
    fn turn(&self, timeout: Option<Duration>) {
        let turns = self.context.turns.get() + 1;
        self.context.turns.set(turns);
        if turns.is_multiple_of(PUBLISH_INTERVAL) {
            self.context.publish();
        }
        self.context.running.set(0);
        // Code that runs outside of tasks cannot yield, so it has no budget.
        coop::lift();
        {
            let mut tasks = self.context.tasks.borrow_mut();
            tasks.begin_turn();
            tasks.collect_events();
        }
        self.read_inbox();
        let mut wakers = self.wakers.take();
        self.context.time.fire(self.config.event_interval, &mut wakers);
        // More timers may be due than have fired, even if none of those has woken a task.
        let has_fired = !wakers.is_empty();
        self.fetch_tasks(&wakers);
        self.wake(&mut wakers);
        let is_idle = !has_fired && !self.is_runnable();
        let may_sleep = is_idle && timeout != Some(Duration::ZERO);
        if may_sleep {
            self.context.publish();
            self.call_on_park();
        }
        if !is_idle || self.is_runnable() {
            // There was work already, or the user's function has just produced some.
            self.poll_selector(&mut wakers);
        } else {
            let limit = if self.context.time.is_paused() {
                self.wait_paused(timeout, &mut wakers)
            } else {
                Some(earlier(self.context.time.next_wait(self.config.timer_slack), timeout))
            };
            if let Some(limit) = limit {
                self.sleep(limit, &mut wakers);
            }
        }
        self.wake(&mut wakers);
        self.wakers.replace(wakers);
        self.context.tasks.borrow_mut().end_turn(self.config.event_interval.div_ceil(2));
        if may_sleep {
            // This is called last, since it may panic, and the events that have been collected are not reported again.
            self.call_on_unpark();
        }
    }

    #[inline]
    fn call_on_park(&self) {
        if let Some(hook) = &self.config.on_park {
            hook.call();
            self.context.time.look();
        }
    }

    #[inline]
    fn call_on_unpark(&self) {
        if let Some(hook) = &self.config.on_unpark {
            hook.call();
        }
    }

    /// Fetches the memory of the tasks that timers are about to wake. Such tasks have waited for long, so the caches do
    /// not contain them any more. Here the processor waits for the memory of many of them at the same time. Without this,
    /// it would wait for that of each task when the task is polled.
    #[inline]
    fn fetch_tasks(&self, wakers: &[Waker]) {
        if wakers.len() >= FETCHED_TOGETHER {
            let tasks = self.context.tasks.borrow();
            wakers.iter().filter_map(waker::id).for_each(|id| tasks.fetch(id.slot()));
        }
    }

    /// Wakes the wakers in order. Those of this runtime are woken under one borrow, which is released for each foreign
    /// waker.
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

    /// Collects events without waiting. If no descriptor is registered, the notifier has the only event, which matters
    /// only to the host of a guest. The inbox is checked in any case.
    #[inline]
    fn poll_selector(&self, wakers: &mut Vec<Waker>) {
        if !self.context.reactor.borrow().is_empty() || self.context.is_guest.get() {
            self.wait(Some(Duration::ZERO), wakers);
        }
    }

    /// Waits for events. If another thread has sent a message meanwhile, this only collects events without waiting.
    fn sleep(&self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) {
        self.prepare_to_sleep();
        if self.context.remote.park() {
            self.wait(timeout, wakers);
            self.context.remote.unpark();
        } else {
            self.poll_selector(wakers);
            if self.is_inbox_locked.get() {
                // This lets the thread that holds the lock go on.
                thread::yield_now();
            }
        }
    }

    /// Gives memory back, and lets the time slice know that time is going to pass.
    fn prepare_to_sleep(&self) {
        self.context.tasks.borrow_mut().shrink();
        self.context.reactor.borrow_mut().shrink();
        self.slice.borrow_mut().forget();
    }

    /// Waits while the clock is paused. Real events come first: only if there are none does the clock move to the next
    /// timer. If `timeout` ends before the grace period does, the rest of that period is left to the next call. If the
    /// clock cannot move, returns the limit of the sleep that has to follow.
    #[cold]
    #[inline(never)]
    fn wait_paused(&self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) -> Option<Option<Duration>> {
        let idle_since = self.idle_since.take();
        self.wait(Some(Duration::ZERO), wakers);
        if !wakers.is_empty() || self.is_runnable() {
            return None;
        }
        let context = &*self.context;
        if !context.time.may_auto_advance() {
            return Some(timeout);
        }
        self.prepare_to_sleep();
        if self.waits_for_grace() {
            let begin = Instant::now();
            let start = idle_since.unwrap_or(begin);
            // Events and messages end this wait. After it, the inbox or `wakers` is not empty. A signal ends it too, and
            // must not make the clock move early. The period may also end while this thread does not run: what has
            // come meanwhile is collected by a last wait, which takes no time.
            loop {
                let rest = self.config.auto_advance_grace.saturating_sub(start.elapsed());
                let left = timeout.unwrap_or(Duration::MAX).saturating_sub(begin.elapsed());
                if left.is_zero() && !rest.is_zero() {
                    self.idle_since.set(Some(start));
                    return None;
                }
                if !context.remote.park() {
                    return None;
                }
                self.wait(Some(rest.min(left)), wakers);
                context.remote.unpark();
                if !wakers.is_empty() || self.is_runnable() || context.remote.has_messages() {
                    return None;
                }
                if rest.is_zero() {
                    break;
                }
            }
        }
        if !context.remote.has_messages() {
            context.time.auto_advance();
        }
        None
    }

    /// Returns whether a paused clock moves only after the grace period: a socket or a blocking call may be about to
    /// answer.
    fn waits_for_grace(&self) -> bool {
        self.context.reactor.borrow().has_waiters() || self.context.pool.is_active()
    }

    fn wait(&self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) {
        let context = &*self.context;
        let mut tasks = context.tasks.borrow_mut();
        let wake = |waker: &Waker| context.wake_by_event(&mut tasks, waker);
        let result = context.reactor.borrow_mut().turn(timeout, wake, wakers);
        if let Err(error) = result {
            drop(tasks);
            self.wake(wakers);
            // Unpark, so that the next call also waits and fails, and does not look for messages that do not exist.
            context.remote.unpark();
            panic!("the selector failed, was its descriptor closed? {error}");
        }
    }

    /// Runs step 2.
    fn read_inbox(&self) {
        let context = &*self.context;
        if !context.remote.has_messages() {
            return;
        }
        let mut batch = self.batch.take();
        let is_flooded = self.flooded.get().is_some_and(|until| !context.tasks.borrow().has_reached(until));
        let max_calls = if is_flooded { 0 } else { INBOX_BATCH };
        let is_taken = context.remote.drain_inbox(INBOX_BATCH, max_calls, &mut batch);
        self.is_inbox_locked.set(!is_taken);
        let is_full = batch.calls.len() == INBOX_BATCH;
        {
            let mut tasks = context.tasks.borrow_mut();
            if batch.main || !batch.slots.is_empty() {
                tasks.count_remote_wakes();
            }
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

    /// Runs step 2 in the middle of step 1. The calls do not run as part of a task.
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

    /// Drops a task that has panicked or was aborted, and returns its failure, which takes its place. The reason is the
    /// panic of the poll, or else the panic of the drop, or else that the task was aborted.
    #[cold]
    #[inline(never)]
    fn replace(&self, task: BoxedTask, id: TaskId, panic: Option<Box<dyn Any + Send>>) -> BoxedTask {
        let dropped = unwind::catch(|| drop(task));
        let error = match (panic, dropped) {
            (Some(payload), dropped) => {
                dropped.into_iter().for_each(unwind::discard);
                JoinError::panic(id, payload)
            }
            (None, Some(payload)) => JoinError::panic(id, payload),
            (None, None) => JoinError::cancelled(id),
        };
        let is_sent = error.has_payload::<PanicIsSent>();
        Failure::boxed(error, self.context.remote.on_unread().filter(|_| !is_sent).cloned())
    }

    /// Returns the failure of a task that has panicked. If the runtime has to shut down because of it, drops all other
    /// tasks, and panics, so that `block_on` does.
    #[cold]
    #[inline(never)]
    fn fail(&self, id: SlotId, task: BoxedTask, payload: Box<dyn Any + Send>) -> BoxedTask {
        let mut failed = self.replace(task, self.context.name(id), Some(payload));
        if !self.config.shuts_down_on_panic {
            return failed;
        }
        // Its slot is emptied with those of all other tasks.
        failed.as_mut().clear();
        self.shut_down();
        panic!("{SHUT_DOWN_MESSAGE}");
    }

    /// Drops every task here, on the thread of the runtime, while sockets and timers still work. If these drops create
    /// new timers or wakers, the next pass drops them. A task that is spawned meanwhile, or later, is dropped without
    /// being polled. The runtime is entered.
    fn shut_down(&self) {
        let context = &*self.context;
        // The drop may happen in a task that has called `process::exit`.
        context.running.set(0);
        if self.is_shut_down.replace(true) {
            return;
        }
        context.pool.close();
        let mut batch = self.batch.take();
        context.remote.close(&mut batch);
        unwind::drop_each(batch.calls.drain(..));
        let leftovers = context.tasks.borrow_mut().close();
        leftovers.into_iter().for_each(|leftovers| context.drop_and_wake(leftovers));
        let mut wakers = self.wakers.take();
        for _ in 0..SHUTDOWN_PASSES {
            if !self.drop_leftovers(&mut wakers) {
                break;
            }
        }
    }

    /// Drops the wakers of timers and descriptors, and the tasks that were spawned too late. Returns `false` if there
    /// were none. `wakers` is empty afterwards.
    #[inline(never)]
    fn drop_leftovers(&self, wakers: &mut Vec<Waker>) -> bool {
        let context = &*self.context;
        context.time.clear(wakers);
        context.reactor.borrow_mut().clear(wakers);
        let refused = context.tasks.borrow_mut().take_refused();
        let is_any = !wakers.is_empty() || !refused.is_empty();
        unwind::drop_each(wakers.drain(..));
        unwind::drop_each(refused);
        is_any
    }

    fn is_runnable(&self) -> bool {
        self.context.tasks.borrow().queued() > 0
    }
}

/// Returns the shorter of two times, of which each may be unlimited.
fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A guard that exists during a call of `block_on`, or during a turn of a guest, and cleans up however the call ends. The frame of the call may be
/// on the stack of a coroutine, and may be unwound after the runtime was dropped by the destructor of a thread-local.
/// So the guard owns the context.
struct Running {
    context: Rc<Context>,
}

impl Running {
    fn begin(context: &Rc<Context>) -> Running {
        context.remote.set_running(true);
        if context.is_guest.get() {
            context.remote.unpark();
        }
        Running { context: context.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.context.remote.set_running(false);
        self.context.running.set(0);
        coop::lift();
        if self.context.is_guest.get() {
            // Until the next turn the host waits for messages too.
            self.context.remote.park();
        }
    }
}

/// Ends the runtime, on its own thread.
impl Drop for Executor {
    fn drop(&mut self) {
        let context = &*self.context;
        let entered = context::enter(&self.context);
        self.shut_down();
        context.publish();
        drop(entered);
        context::deregister(&self.context);
        // If drops have created wakers in every pass, the last ones are dropped here. Their drops no longer find a
        // runtime in which they could create further wakers.
        self.drop_leftovers(&mut Vec::new());
        context.pool.writes.wait();
    }
}
