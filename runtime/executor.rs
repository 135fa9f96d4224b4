//! The executor: turns the loop, and is the only one that polls and wakes.
//!
//! ```text
//! 1  the future of block_on, if woken: poll it; ready => return
//! 2  the tasks that are queued now, first in first out        (1 and 2 again: a round)
//!                                              …up to EVENT_INTERVAL polls; a round may go on in the next turn
//! 3  inbox: what other threads woke, and what they ask to be called
//! 4  timers: everything due now is woken
//! 5  selector: wait — zero if anything is runnable, else until the next deadline; events wake our tasks
//! 6  wake what else 5 collected: wakers that are not ours
//! ```
//!
//! Rounds of 1 and 2 cost no system call and no clock read. No borrow of ours lasts while a future
//! is polled or dropped, or a waker woken: each step collects, releases, and then acts.

use super::blocking::Hook;
use super::context::{self, Context};
use super::id::Id;
use super::join_error::JoinError;
use super::remote::Mail;
use super::task::{BoxedTask, Failure};
use super::tasks::{Next, Tasks};
use super::{unwind, waker};
use crate::task::{Id as TaskId, coop};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// While the clock is paused and a socket has a waiter or a blocking call is under way, the loop
/// waits this long in earnest before it moves the clock: loopback and short calls answer well
/// within, and a test that is only waiting for timers does not get slow.
const GRACE: Duration = Duration::from_millis(10);

/// Polls between two looks at the inbox while tasks run: one load each. A wake from another thread
/// then waits behind no more of them than are queued, and not for the end of the turn.
const MAIL_INTERVAL: usize = 16;

/// Passes in which a runtime that is dropped gives back what drops bring forth anew.
const SHUTDOWN_PASSES: usize = 64;

/// How the loop is to turn.
pub(crate) struct Config {
    /// Polls between two looks at inbox, timers and selector.
    pub(crate) event_interval: usize,
    /// The loop sleeps at least this long after a turn that fired timers.
    pub(crate) timer_slack: Duration,
    /// Called before and after the loop sleeps.
    pub(crate) on_park: Option<Hook>,
    pub(crate) on_unpark: Option<Hook>,
    /// How many wakers a turn may collect, as a rule.
    pub(crate) wakers: usize,
}

/// A runtime's context, and what only its loop needs.
pub(crate) struct Executor {
    context: Rc<Context>,
    config: Config,
    mail: RefCell<Mail>,
    wakers: RefCell<Vec<Waker>>,
    /// Counts calls of `block_on`, so that a waker of an earlier one is told from the present one's.
    mains: Cell<u16>,
    pub(crate) turns: Cell<u64>,
    pub(crate) polls: Cell<u64>,
}

impl Executor {
    pub(crate) fn new(context: Rc<Context>, config: Config) -> Executor {
        Executor {
            context,
            mail: RefCell::default(),
            // For all that a turn can wake, as a rule, so that it never moves.
            wakers: RefCell::new(Vec::with_capacity(config.wakers)),
            config,
            mains: Cell::new(0),
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
            context::try_with(|_| ()).is_none(),
            "block_on inside a runtime: this thread turns its loop already; await the future, or use another thread"
        );
        let context = &*self.context;
        let _entered = context::enter(context);
        let _time = context.time.enter();
        let _budget = Budget;
        let mut future = pin!(future);
        self.mains.set(self.mains.get().wrapping_add(1));
        let waker = waker::waker(Id::new(context.id, self.mains.get(), Id::MAIN));
        let mut cx = std::task::Context::from_waker(&waker);
        // First of all, whatever place an earlier one left.
        context.main_woken.set(true);
        context.main_place.set(0);
        loop {
            let mut left = self.config.event_interval;
            while left > 0 {
                left = self.run_tasks(left);
                if left == 0 || !context.main_woken.replace(false) {
                    break;
                }
                context.running.set(0);
                coop::refill();
                self.polls.set(self.polls.get() + 1);
                if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                    return output;
                }
                left -= 1;
            }
            self.turn();
        }
    }

    /// Runs tasks, first in first out: until none is queued, `left` have run, or it is the turn of
    /// the future of `block_on`, behind the tasks that were queued before it was woken. Returns what
    /// is left.
    fn run_tasks(&self, mut left: usize) -> usize {
        let context = &*self.context;
        let mut next = next_task(context, &mut context.tasks.borrow_mut());
        while let Some(Next { id, mut task, aborted }) = next {
            left -= 1;
            if left.is_multiple_of(MAIL_INTERVAL) {
                self.read_mail();
            }
            context.running.set(id.bits());
            let polled = if aborted { None } else { Some(self.poll(id, &mut task)) };
            let task = match polled {
                Some(Ok(Poll::Pending)) => {
                    // One borrow for the end of this task's turn and the begin of the next one's.
                    let mut tasks = context.tasks.borrow_mut();
                    tasks.park(id.slot(), task);
                    next = if left > 0 { next_task(context, &mut tasks) } else { None };
                    continue;
                }
                Some(Ok(Poll::Ready(()))) => task,
                Some(Err(payload)) => replace(task, context.name(id), Some(payload)),
                None => replace(task, context.name(id), None),
            };
            let mut tasks = context.tasks.borrow_mut();
            let mut leftovers = tasks.finish(id.slot(), task);
            context.wake_local(&mut tasks, &mut leftovers.joiner);
            if !leftovers.is_empty() {
                drop(tasks);
                context.drop_and_wake(leftovers);
                tasks = context.tasks.borrow_mut();
            }
            next = if left > 0 { next_task(context, &mut tasks) } else { None };
        }
        left
    }

    /// A future that panics is not polled again: nobody sees it broken.
    #[inline]
    fn poll(&self, id: Id, task: &mut BoxedTask) -> thread::Result<Poll<()>> {
        let waker = waker::waker(id);
        let mut cx = std::task::Context::from_waker(&waker);
        coop::refill();
        self.polls.set(self.polls.get() + 1);
        catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut cx)))
    }

    /// Steps 3 to 6.
    fn turn(&self) {
        self.turns.set(self.turns.get() + 1);
        self.context.running.set(0);
        self.read_mail();
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
        if rests {
            // Last, since it may panic, and what has been collected does not come again.
            self.unpark();
        }
    }

    #[inline]
    fn park(&self) {
        if let Some(hook) = &self.config.on_park {
            hook.call();
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

    /// Waits, unless another thread has left something in the meantime.
    fn sleep(&self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) {
        self.context.tasks.borrow_mut().rest();
        self.context.reactor.borrow_mut().rest();
        if self.context.remote.fall_asleep() {
            self.wait(timeout, wakers);
            self.context.remote.wake_up();
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
        context.tasks.borrow_mut().rest();
        if context.reactor.borrow().has_waiters() || context.pool.is_active() {
            // What comes in breaks this wait, and its end then finds the inbox or `wakers` filled.
            if !context.remote.fall_asleep() {
                return;
            }
            self.wait(Some(GRACE), wakers);
            context.remote.wake_up();
        }
        if wakers.is_empty() && !self.is_runnable() && !context.remote.has_mail() {
            context.time.auto_advance();
        }
    }

    fn wait(&self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) {
        let context = &*self.context;
        let mut tasks = context.tasks.borrow_mut();
        let wake = |waker: &Waker| context.wake_by(&mut tasks, waker);
        let result = context.reactor.borrow_mut().turn(timeout, wake, wakers);
        if let Err(error) = result {
            drop(tasks);
            self.wake(wakers);
            // So that the next wait fails as well, instead of being taken for one that has mail.
            context.remote.wake_up();
            panic!("the selector failed, was its descriptor closed? {error}");
        }
    }

    /// Step 3.
    fn read_mail(&self) {
        let context = &*self.context;
        if !context.remote.has_mail() {
            return;
        }
        let mut mail = self.mail.take();
        context.remote.take_mail(&mut mail);
        if std::mem::take(&mut mail.main) {
            context.queue_main(&context.tasks.borrow());
        }
        if !mail.slots.is_empty() {
            let mut tasks = context.tasks.borrow_mut();
            mail.slots.drain(..).for_each(|slot| tasks.wake_slot(slot));
        }
        mail.calls.drain(..).for_each(unwind::contain);
        self.mail.replace(mail);
    }

    fn is_runnable(&self) -> bool {
        self.context.main_woken.get() || self.context.tasks.borrow().queued() > 0
    }
}

/// The next task, unless it is the turn of the future of `block_on`.
#[inline]
fn next_task(context: &Context, tasks: &mut Tasks) -> Option<Next> {
    if context.main_woken.get() && tasks.taken() >= context.main_place.get() {
        return None;
    }
    tasks.next()
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

/// Lifts the budget when `block_on` ends, however it ends.
struct Budget;

impl Drop for Budget {
    fn drop(&mut self) {
        coop::lift();
    }
}

/// The runtime's end: every task is dropped here, on its own thread, while sockets and timers still
/// work. What those drops bring forth, the next pass takes; a task spawned now is dropped unpolled.
impl Drop for Executor {
    fn drop(&mut self) {
        let context = &*self.context;
        let (entered, time) = (context::enter(context), context.time.enter());
        context.pool.close();
        let mut mail = self.mail.take();
        context.remote.close(&mut mail);
        unwind::drop_each(mail.calls.drain(..));
        let leftovers = context.tasks.borrow_mut().close();
        leftovers.into_iter().for_each(|leftovers| context.drop_and_wake(leftovers));
        let mut wakers = self.wakers.take();
        for _ in 0..SHUTDOWN_PASSES {
            context.time.clear(&mut wakers);
            context.reactor.borrow_mut().clear(&mut wakers);
            if wakers.is_empty() {
                break;
            }
            unwind::drop_each(wakers.drain(..));
        }
        // Wakers that come again without end are dropped once more, when they find no runtime to come to.
        drop(time);
        drop(entered);
        context.time.clear(&mut wakers);
        context.reactor.borrow_mut().clear(&mut wakers);
        unwind::drop_each(wakers);
    }
}
