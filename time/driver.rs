//! The driver: one wheel and one clock for each runtime, and how timers find them.
//!
//! Once per turn the executor calls [`Driver::fire`], which reads the clock, if any timer is armed,
//! and moves the wakers of those that are due into the caller's list. It wakes nobody itself, and
//! it clones and drops no waker while the wheel is borrowed: that may be user code.

use super::clock::Clock;
use super::instant::Instant;
use super::log::Log;
use super::wheel::{Key, MAX_TICK, Wheel};
use crate::runtime::unwind;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A tick of the wheel.
const NS_PER_TICK: u64 = 1000;

pub(crate) struct Driver {
    id: u16,
    clock: Clock,
    wheel: RefCell<Wheel>,
    /// What the clock said in the latest turn that had a timer.
    now_ns: Cell<u64>,
    /// How many turns have had one, which numbers the readings.
    turn: Cell<u64>,
    /// When they were; only once somebody wants to know.
    log: RefCell<Option<Box<Log>>>,
    /// What it said when timers last fired.
    fired_ns: Cell<Option<u64>>,
    inhibitors: Cell<usize>,
}

/// What a `Sleep` holds of an armed timer: `[driver 16 | generation 16 | slot 32]`. Zero is none,
/// since drivers are numbered from 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerId(u64);

/// What a `Sleep` learns.
enum Check {
    Fired,
    /// Armed, with this very waker.
    Armed,
    /// The waker has yet to be left, by [`Driver::arm`].
    LeaveWaker,
}

thread_local! {
    // Not dropped by the thread's end, which spares each access a look at whether that has come:
    // the guard that puts a driver in takes it out again.
    static CURRENT: RefCell<ManuallyDrop<Option<Rc<Driver>>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Keeps a driver current. On drop the one before, if any, is current again.
pub(crate) struct Entered {
    previous: Option<Rc<Driver>>,
    thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        drop(ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(self.previous.take()))));
    }
}

/// Calls `f` with the driver of this thread, if it has one. No user code may run in `f`.
#[inline]
pub(crate) fn try_current<R>(f: impl FnOnce(&Rc<Driver>) -> R) -> Option<R> {
    CURRENT.with(|current| current.borrow().as_ref().map(f))
}

/// Calls `f` with the driver of this thread. No user code may run in `f`.
#[inline]
#[track_caller]
pub(crate) fn current<R>(f: impl FnOnce(&Rc<Driver>) -> R) -> R {
    match try_current(f) {
        Some(result) => result,
        None => panic!(
            "no runtime on this thread: call this inside block_on or #[runtime::main], or send it to one by Handle::spawn"
        ),
    }
}

impl Driver {
    /// Driver number `id`, from 1; ids are as unique as those of runtimes.
    pub(crate) fn new(id: u16, paused: bool) -> Rc<Driver> {
        Rc::new(Driver {
            id,
            clock: Clock::new(paused),
            wheel: RefCell::new(Wheel::new(0)),
            now_ns: Cell::new(0),
            turn: Cell::new(0),
            log: RefCell::new(None),
            fired_ns: Cell::new(None),
            inhibitors: Cell::new(0),
        })
    }

    /// Makes this the driver of the present thread.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        let previous = CURRENT.replace(ManuallyDrop::new(Some(self.clone())));
        Entered { previous: ManuallyDrop::into_inner(previous), thread: PhantomData }
    }

    /// Moves the wakers of at most `limit` timers that are due into `wakers`, in the order of their
    /// deadlines. Reads the clock if there is any timer. The rest comes with the next call.
    pub(crate) fn fire(&self, limit: usize, wakers: &mut Vec<Waker>) {
        let mut wheel = self.wheel.borrow_mut();
        if wheel.is_empty() {
            return wheel.rest();
        }
        let now_ns = self.clock.now_ns();
        self.now_ns.set(now_ns);
        self.turn.set(self.turn.get() + 1);
        if let Some(log) = self.log.borrow_mut().as_mut() {
            log.note(self.turn.get(), now_ns);
        }
        if wheel.expire(now_ns / NS_PER_TICK, limit, wakers) > 0 {
            self.fired_ns.set(Some(now_ns));
        }
    }

    /// How long to wait for the next timer, as of the latest [`fire`](Driver::fire); `None` without
    /// one. At least until `slack` after timers last fired.
    pub(crate) fn next_wait(&self, slack: Duration) -> Option<Duration> {
        let next_ns = self.wheel.borrow_mut().next_tick()?.saturating_mul(NS_PER_TICK);
        let now_ns = self.now_ns.get();
        if next_ns <= now_ns {
            return Some(Duration::ZERO);
        }
        let slack_ns = u64::try_from(slack.as_nanos()).unwrap_or(u64::MAX);
        let quiet_ns = self.fired_ns.get().map_or(0, |fired_ns| fired_ns.saturating_add(slack_ns));
        Some(Duration::from_nanos(next_ns.max(quiet_ns) - now_ns))
    }

    /// The number of the latest turn that had a timer, to date things by. It is no later than now.
    #[inline]
    pub(crate) fn turn(&self) -> u64 {
        self.turn.get()
    }

    /// What the clock said in that turn.
    pub(crate) fn turn_ns(&self) -> u64 {
        self.now_ns.get()
    }

    /// What the clock says now.
    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// From now on it is known when which turn was.
    pub(crate) fn keep_log(&self) {
        self.log.borrow_mut().get_or_insert_with(|| Box::new(Log::new(self.turn.get(), self.now_ns.get())));
    }

    /// When something was that happened after the reading of a turn, and before the next: not earlier
    /// than it was, and later by a small part of the time since. To be asked while there are timers.
    pub(crate) fn after_turn_ns(&self, turn: u64) -> u64 {
        match self.log.borrow().as_ref() {
            Some(log) if turn < self.turn.get() => log.after(turn),
            _ => self.clock.now_ns(),
        }
    }

    /// Arms a timer: `waker` is to be woken once the clock says `ns`, unless it says so already.
    pub(crate) fn arm_at(&self, ns: u64, waker: Waker) -> Option<TimerId> {
        let mut timer = TimerId::NONE;
        let (polled, unused) = self.arm(&mut timer, self.clock.at(ns), waker);
        unwind::drop_each(unused);
        polled.is_pending().then_some(timer)
    }

    /// Takes out a timer that was to fire at `ns`, if it is there. The caller drops the waker.
    pub(crate) fn disarm_at(&self, timer: TimerId, ns: u64) -> Option<Waker> {
        self.disarm(timer, self.clock.at(ns))
    }

    /// Whether the clock is stopped.
    pub(crate) fn is_paused(&self) -> bool {
        self.clock.is_paused()
    }

    /// Whether a stopped clock may jump to the next deadline: if there is one, and nobody forbids it.
    pub(crate) fn may_auto_advance(&self) -> bool {
        self.is_paused() && self.inhibitors.get() == 0 && !self.wheel.borrow().is_empty()
    }

    /// Moves a stopped clock to the next deadline.
    pub(crate) fn auto_advance(&self) {
        if let Some(tick) = self.wheel.borrow_mut().next_tick() {
            self.clock.move_to(tick.saturating_mul(NS_PER_TICK));
        }
    }

    /// The runtime is going: takes out every timer. The caller drops the wakers.
    pub(crate) fn clear(&self, wakers: &mut Vec<Waker>) {
        self.wheel.borrow_mut().clear(wakers);
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether every timer due by `ns` has fired.
    pub(crate) fn has_fired_until(&self, ns: u64) -> bool {
        let wheel = self.wheel.borrow();
        wheel.is_empty() || (wheel.elapsed() >= ns / NS_PER_TICK && self.now_ns.get() >= ns)
    }

    pub(crate) fn inhibit(&self) {
        self.inhibitors.set(self.inhibitors.get() + 1);
    }

    pub(crate) fn allow(&self) {
        self.inhibitors.set(self.inhibitors.get() - 1);
    }

    /// Ceil, so that no timer fires early.
    #[inline]
    fn tick_of(&self, deadline: Instant) -> u64 {
        self.clock.ns_of(deadline).div_ceil(NS_PER_TICK).min(MAX_TICK)
    }

    #[inline]
    fn key_of(&self, timer: TimerId) -> Option<Key> {
        let key = Key { slot: timer.0 as u32, generation: (timer.0 >> 32) as u16 };
        ((timer.0 >> 48) as u16 == self.id).then_some(key)
    }

    fn check(&self, timer: TimerId, deadline: Instant, waker: &Waker) -> Check {
        let tick = self.tick_of(deadline);
        let mut wheel = self.wheel.borrow_mut();
        let has_passed = tick <= wheel.elapsed();
        let entry = self.key_of(timer).and_then(|key| wheel.find(key, tick));
        match entry {
            Some(entry) if entry.waker.as_ref().is_some_and(|earlier| earlier.will_wake(waker)) => {
                Check::Armed
            }
            None if has_passed => Check::Fired,
            _ => Check::LeaveWaker,
        }
    }

    /// Leaves the waker, unless the deadline has passed. Gives back a waker to be dropped, if any.
    fn arm(&self, timer: &mut TimerId, deadline: Instant, waker: Waker) -> (Poll<()>, Option<Waker>) {
        let tick = self.tick_of(deadline);
        let mut wheel = self.wheel.borrow_mut();
        if let Some(entry) = self.key_of(*timer).and_then(|key| wheel.find(key, tick)) {
            return (Poll::Pending, entry.waker.replace(waker));
        }
        if tick <= wheel.elapsed() {
            return (Poll::Ready(()), Some(waker));
        }
        let key = wheel.insert(tick, waker);
        timer.0 = u64::from(self.id) << 48 | u64::from(key.generation) << 32 | u64::from(key.slot);
        (Poll::Pending, None)
    }

    /// Takes a timer out of the wheel, if it is there. Gives back the waker to be dropped.
    fn disarm(&self, timer: TimerId, deadline: Instant) -> Option<Waker> {
        let key = self.key_of(timer)?;
        let tick = self.tick_of(deadline);
        self.wheel.borrow_mut().remove(key, tick)
    }
}

impl TimerId {
    pub(crate) const NONE: TimerId = TimerId(0);

    /// Ready if the deadline has passed, as of the latest turn; else the waker is left.
    #[inline]
    #[track_caller]
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if *self != TimerId::NONE {
            match current(|driver| driver.check(*self, deadline, cx.waker())) {
                Check::Armed => return Poll::Pending,
                Check::Fired => {
                    *self = TimerId::NONE;
                    return Poll::Ready(());
                }
                Check::LeaveWaker => {}
            }
        }
        let waker = cx.waker().clone();
        let (polled, unused) = current(|driver| driver.arm(self, deadline, waker));
        unwind::drop_each(unused);
        polled
    }

    /// Takes the timer out of the wheel, if it is in the one of this thread.
    #[inline]
    pub(crate) fn disarm(&mut self, deadline: Instant) {
        let timer = std::mem::replace(self, TimerId::NONE);
        if timer == TimerId::NONE {
            return;
        }
        unwind::drop_each(try_current(|driver| driver.disarm(timer, deadline)).flatten());
    }

    /// Moves an armed timer to another deadline, with its waker.
    pub(crate) fn reset(&mut self, deadline: Instant, new_deadline: Instant) {
        let moved = try_current(|driver| {
            let key = driver.key_of(*self)?;
            let (tick, new_tick) = (driver.tick_of(deadline), driver.tick_of(new_deadline));
            Some(driver.wheel.borrow_mut().reset(key, tick, new_tick))
        });
        if moved.flatten() != Some(true) {
            *self = TimerId::NONE;
        }
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
