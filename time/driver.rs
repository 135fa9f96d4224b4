//! The driver: one wheel and one clock for each runtime, and how timers find them.
//!
//! Once per turn the executor calls [`Driver::fire`], which reads the clock, if any timer is armed,
//! and moves the wakers of those that are due into the caller's list. It wakes nobody itself, and
//! it clones and drops no waker while the wheel is borrowed: that may be user code.

use super::clock::Clock;
use super::instant::{Instant, nanoseconds};
use super::moment::{self, Moment};
use super::turn_log::TurnLog;
use super::wheel::{Key, MAX_TICK, Wheel};
use crate::task::origin::NamedOrigin;
use crate::task::outside;
use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A tick of the wheel.
const NS_PER_TICK: u64 = 1000;

pub(crate) struct Driver {
    /// Does not come again, and is not zero.
    id: u64,
    clock: Clock,
    wheel: RefCell<Wheel>,
    /// What the clock said in the latest turn that had to know.
    now_ns: Cell<u64>,
    /// The number of that reading. It goes from one.
    turn: Cell<u64>,
    /// When they were; only once somebody wants to know.
    log: RefCell<Option<Box<TurnLog>>>,
    /// What it said when timers last fired.
    fired_ns: Cell<Option<u64>>,
    inhibitors: Cell<usize>,
}

/// What a `Sleep` holds of an armed timer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerId {
    /// Zero if no timer is armed.
    driver: u64,
    key: Key,
}

type Locals = Vec<(u64, Weak<Driver>)>;

/// A timer that another thread takes out of its driver's wheel.
pub(crate) struct RemoteTimer {
    timer: TimerId,
    deadline: Instant,
    is_woken: bool,
}

/// Sends to the thread of a driver. The runtime sets it, which is not known here.
static SENDER: OnceLock<fn(RemoteTimer)> = OnceLock::new();

/// What tells whether a deadline has passed.
#[derive(Clone, Copy)]
pub(crate) enum Asks {
    /// The clock does.
    Clock,
    /// The latest reading of the clock does, for it was made just now.
    LatestReading,
    /// The wheel alone does, when the timer fires.
    Wheel,
}

impl Asks {
    #[inline]
    fn has_passed(self, clock: &Clock, deadline: Instant) -> bool {
        match self {
            Asks::Clock => clock.has_reached(deadline),
            Asks::LatestReading => clock.had_reached(deadline),
            Asks::Wheel => false,
        }
    }
}

/// What a `Sleep` learns.
enum Check {
    Fired,
    /// The deadline has passed, and the timer has yet to be taken out of the wheel.
    Passed,
    /// Armed, with this very waker.
    Armed,
    /// The waker has yet to be left, by [`Driver::arm`].
    LeaveWaker,
}

// Neither has a destructor: they are used in those of other thread-locals.
thread_local! {
    static CURRENT: RefCell<ManuallyDrop<Option<Rc<Driver>>>> = const { RefCell::new(ManuallyDrop::new(None)) };
    /// The drivers that were made on this thread, for timers that are changed while theirs is not current.
    static LOCALS: RefCell<ManuallyDrop<Locals>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// Drops a waker, which may run user code. A panic in it has been reported by the panic hook, and ends here.
#[inline]
pub(super) fn drop_waker(waker: Option<Waker>) {
    let discard = |payload| {
        // The payload's own drop may panic in turn: that payload is leaked.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(mem::forget);
    };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(waker))).map_err(discard);
}

/// Calls `f` with the driver of this thread, if it has one. No user code may run in `f`.
#[inline]
pub(crate) fn try_current<R>(f: impl FnOnce(&Rc<Driver>) -> R) -> Option<R> {
    CURRENT.with(|current| current.borrow().as_ref().map(f))
}

/// Calls `f` with the driver of this thread, for a function of that name. No user code may run in `f`.
#[inline]
#[track_caller]
pub(crate) fn current<R>(function: &str, f: impl FnOnce(&Rc<Driver>) -> R) -> R {
    match try_current(f) {
        Some(result) => result,
        None => outside::called(function),
    }
}

/// The same, for the poll of something of that origin.
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub(super) fn current_for_poll<R>(origin: NamedOrigin, f: impl FnOnce(&Rc<Driver>) -> R) -> R {
    match try_current(f) {
        Some(result) => result,
        None => polled_outside(origin),
    }
}

#[cold]
#[inline(never)]
#[cfg_attr(debug_assertions, track_caller)]
fn polled_outside(origin: NamedOrigin) -> ! {
    outside::polled(origin.name().unwrap_or("a Sleep, Timeout or Interval"), origin.origin())
}

impl Driver {
    /// Makes a driver. `id` is not zero, and no other driver of the process ever has it. No driver that lives has
    /// the same in its low 16 bits.
    pub(crate) fn new(id: u64, paused: bool) -> Rc<Driver> {
        let driver = Rc::new(Driver {
            id,
            clock: Clock::new(paused),
            wheel: RefCell::new(Wheel::new(0)),
            now_ns: Cell::new(0),
            turn: Cell::new(1),
            log: RefCell::new(None),
            fired_ns: Cell::new(None),
            inhibitors: Cell::new(0),
        });
        LOCALS.with_borrow_mut(|locals| locals.push((id, Rc::downgrade(&driver))));
        driver
    }

    /// Makes a driver the one of this thread, or none.
    pub(crate) fn set_current(driver: Option<Rc<Driver>>) {
        // What was noted in this turn must not be dated to when the driver next turns.
        try_current(|driver| driver.end_noted_turn());
        match &driver {
            Some(driver) => moment::enter(driver.id, driver.noted_turn()),
            None => moment::leave(),
        }
        drop(ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(driver))));
    }

    /// Returns a driver if it is one of this thread, current or not.
    fn local(id: u64) -> Option<Rc<Driver>> {
        if let Some(current) = try_current(|driver| (driver.id == id).then(|| driver.clone())).flatten() {
            return Some(current);
        }
        LOCALS.with_borrow(|locals| locals.iter().rfind(|(local, _)| *local == id)?.1.upgrade())
    }

    /// Sets how a timer is sent to the thread of its driver.
    pub(crate) fn set_sender(sender: fn(RemoteTimer)) {
        SENDER.get_or_init(|| sender);
    }

    /// Moves the wakers of at most `limit` timers that are due into `wakers`, in the order of their
    /// deadlines. Reads the clock if there is any timer. The rest comes with the next call.
    pub(crate) fn fire(&self, limit: usize, wakers: &mut Vec<Waker>) {
        let is_read = self.end_noted_turn();
        let mut wheel = self.wheel.borrow_mut();
        if wheel.is_empty() {
            self.clock.forget();
            return wheel.shrink();
        }
        if !is_read {
            self.begin_turn();
        }
        let now_ns = self.now_ns.get();
        if wheel.expire(now_ns / NS_PER_TICK, limit, wakers) > 0 {
            self.fired_ns.set(Some(now_ns));
        }
    }

    /// Reads the clock again, if there is any timer. For a wait that comes after code of the user's, which may
    /// have taken its time, and armed timers.
    pub(crate) fn look(&self) {
        if !self.end_noted_turn() && !self.wheel.borrow().is_empty() {
            self.begin_turn();
        }
    }

    /// Reads the clock, so that what comes from now on is told from what was before.
    fn begin_turn(&self) {
        let now_ns = self.clock.now_ns();
        self.now_ns.set(now_ns);
        self.turn.set(self.turn.get() + 1);
        if let Some(log) = self.log.borrow_mut().as_mut() {
            log.note(self.turn.get(), now_ns);
        }
        self.show_turn();
    }

    /// Begins a turn if a [`Moment`] has been noted in this one. Returns whether it has.
    #[inline]
    fn end_noted_turn(&self) -> bool {
        let is_noted = moment::is_entered(self.id) && moment::take_noted();
        if is_noted {
            self.keep_log();
            self.begin_turn();
        }
        is_noted
    }

    /// Has moments noted by the present turn from now on.
    fn show_turn(&self) {
        if moment::is_entered(self.id) {
            moment::enter(self.id, self.noted_turn());
        }
    }

    /// The turn to note moments by. A stopped clock is read for each instead.
    fn noted_turn(&self) -> Option<u64> {
        (!self.is_paused()).then(|| self.turn.get())
    }

    /// Stops the clock.
    pub(crate) fn pause(&self) {
        self.end_noted_turn();
        self.clock.pause();
        self.show_turn();
    }

    /// Lets a stopped clock go.
    pub(crate) fn resume(&self) {
        self.clock.resume();
        self.show_turn();
    }

    /// How long to wait for the next timer, as of the latest [`fire`](Driver::fire) or [`look`](Driver::look);
    /// `None` without one. At least until `slack` after timers last fired.
    pub(crate) fn next_wait(&self, slack: Duration) -> Option<Duration> {
        self.clock.forget();
        let next_ns = self.wheel.borrow_mut().next_tick()?.saturating_mul(NS_PER_TICK);
        let now_ns = self.now_ns.get();
        if next_ns <= now_ns {
            return Some(Duration::ZERO);
        }
        let quiet_ns = self.fired_ns.get().map_or(0, |fired_ns| fired_ns.saturating_add(nanoseconds(slack)));
        Some(Duration::from_nanos(next_ns.max(quiet_ns) - now_ns))
    }

    /// The number of the latest turn that had to know the time, to date things by. It is no later than now.
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

    /// Returns what the system's clock says, whether a clock is paused or not.
    #[inline]
    pub(crate) fn real_ns() -> u64 {
        Instant::real_now().as_ns()
    }

    /// From now on it is known when which turn was.
    pub(crate) fn keep_log(&self) {
        self.log
            .borrow_mut()
            .get_or_insert_with(|| Box::new(TurnLog::new(self.turn.get(), self.now_ns.get())));
    }

    /// When something was that happened after the reading of a turn, and before the next: not earlier
    /// than it was, and later by a small part of the time since. To be asked while there are timers.
    #[inline(never)]
    pub(crate) fn after_turn_ns(&self, turn: u64) -> u64 {
        match self.log.borrow().as_ref() {
            Some(log) if turn < self.turn.get() => log.after(turn),
            _ => self.clock.now_ns(),
        }
    }

    /// Arms a timer: `waker` is to be woken once the clock says `ns`, unless it says so already.
    /// Returns the timer and its deadline.
    pub(crate) fn arm_at(&self, ns: u64, waker: Waker) -> Option<(TimerId, Instant)> {
        let (mut timer, deadline) = (TimerId::NONE, self.clock.at(ns));
        let mut waker = Some(waker);
        let polled = self.arm(&mut timer, deadline, &mut waker, Asks::Wheel);
        drop_waker(waker);
        polled.is_pending().then_some((timer, deadline))
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

    /// Returns the deadline of the last tick that has come once the clock says `ns`.
    pub(crate) fn last_tick(&self, ns: u64) -> Instant {
        self.clock.at(ns / NS_PER_TICK * NS_PER_TICK)
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
        (timer.driver == self.id).then_some(timer.key)
    }

    #[inline(never)]
    fn check(&self, timer: TimerId, deadline: Instant, waker: &Waker) -> Check {
        let tick = self.tick_of(deadline);
        let mut wheel = self.wheel.borrow_mut();
        let elapsed = wheel.elapsed();
        let Some(key) = self.key_of(timer) else {
            return Check::LeaveWaker;
        };
        match wheel.find(key, tick) {
            Some(entry) if !self.clock.has_reached(deadline) => {
                match entry.waker.as_ref().is_some_and(|earlier| earlier.will_wake(waker)) {
                    true => Check::Armed,
                    false => Check::LeaveWaker,
                }
            }
            Some(_) => Check::Passed,
            None if tick <= elapsed => Check::Fired,
            None => Check::LeaveWaker,
        }
    }

    /// Whether a timer is in the wheel, with this very waker.
    pub(super) fn is_armed(&self, timer: TimerId, deadline: Instant, waker: &Waker) -> bool {
        let tick = self.tick_of(deadline);
        let mut wheel = self.wheel.borrow_mut();
        let entry = self.key_of(timer).and_then(|key| wheel.find(key, tick));
        entry.and_then(|entry| entry.waker.as_ref()).is_some_and(|earlier| earlier.will_wake(waker))
    }

    /// Leaves the waker, unless the deadline has passed. What is left in `waker` is to be dropped.
    pub(super) fn arm(
        &self,
        timer: &mut TimerId,
        deadline: Instant,
        waker: &mut Option<Waker>,
        asks: Asks,
    ) -> Poll<()> {
        let tick = self.tick_of(deadline);
        let mut wheel = self.wheel.borrow_mut();
        if let Some(entry) = self.key_of(*timer).and_then(|key| wheel.find(key, tick)) {
            std::mem::swap(&mut entry.waker, waker);
            return Poll::Pending;
        }
        if tick <= wheel.elapsed() || asks.has_passed(&self.clock, deadline) {
            return Poll::Ready(());
        }
        if let Some(waker) = waker.take() {
            let key = wheel.insert(tick, waker);
            *timer = TimerId { driver: self.id, key };
        }
        Poll::Pending
    }

    /// As [`arm`](Driver::arm), with the deadline `duration` after a moment, which is returned too. Reads the clock.
    pub(super) fn arm_after(
        &self,
        timer: &mut TimerId,
        moment: Moment,
        duration: Duration,
        waker: &mut Option<Waker>,
    ) -> (Instant, Poll<()>) {
        let mut since = self.clock.now();
        // Of this very turn, or of another runtime's, nothing better is known.
        if let Some(turn) = moment.turn_of(self.id).filter(|turn| *turn < self.turn.get()) {
            since = since.min(self.clock.at(self.after_turn_ns(turn)));
        }
        let deadline = since.saturating_add(duration);
        (deadline, self.arm(timer, deadline, waker, Asks::LatestReading))
    }

    /// Takes a timer out of the wheel, if it is there. Gives back the waker to be dropped.
    fn disarm(&self, timer: TimerId, deadline: Instant) -> Option<Waker> {
        let key = self.key_of(timer)?;
        let tick = self.tick_of(deadline);
        self.wheel.borrow_mut().remove(key, tick)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        LOCALS.with_borrow_mut(|locals| {
            locals.retain(|(id, _)| *id != self.id);
            if locals.is_empty() {
                // There is no destructor to free it.
                **locals = Vec::new();
            }
        });
    }
}

impl TimerId {
    pub(crate) const NONE: TimerId = TimerId { driver: 0, key: Key { slot: 0, generation: 0 } };

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.driver == 0
    }

    /// Ready if the deadline has passed, or the timer has fired; else the waker is left. Without a driver, the panic
    /// says what of the user's has been polled.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>, origin: NamedOrigin) -> Poll<()> {
        if !self.is_none() {
            match current_for_poll(origin, |driver| driver.check(*self, deadline, cx.waker())) {
                Check::Armed => return Poll::Pending,
                Check::Fired => {
                    *self = TimerId::NONE;
                    return Poll::Ready(());
                }
                Check::Passed => {
                    self.disarm(deadline);
                    return Poll::Ready(());
                }
                Check::LeaveWaker => {}
            }
        }
        self.arm(deadline, cx, origin, Asks::Clock)
    }

    /// Ready only when the timer has fired. That its deadline has passed is not enough.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn poll_fired(
        &mut self,
        deadline: Instant,
        cx: &mut Context<'_>,
        origin: NamedOrigin,
    ) -> Poll<()> {
        if current_for_poll(origin, |driver| driver.is_armed(*self, deadline, cx.waker())) {
            return Poll::Pending;
        }
        self.arm(deadline, cx, origin, Asks::Wheel)
    }

    /// Leaves the waker with the current driver, and takes the timer out of the one where it was.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn arm(&mut self, deadline: Instant, cx: &mut Context<'_>, origin: NamedOrigin, asks: Asks) -> Poll<()> {
        let mut waker = Some(cx.waker().clone());
        let earlier = *self;
        let polled = current_for_poll(origin, |driver| driver.arm(self, deadline, &mut waker, asks));
        drop_waker(waker);
        if earlier.driver != self.driver && !earlier.is_none() {
            earlier.disarm_elsewhere(deadline);
        }
        polled
    }

    /// Takes the timer out of its wheel, on whichever thread.
    #[inline]
    pub(crate) fn disarm(&mut self, deadline: Instant) {
        let timer = mem::replace(self, TimerId::NONE);
        if timer.is_none() {
            return;
        }
        let disarmed = try_current(|driver| {
            let is_current = driver.id == timer.driver;
            is_current.then(|| driver.disarm(timer, deadline))
        });
        match disarmed.flatten() {
            Some(waker) => drop_waker(waker),
            None => timer.disarm_elsewhere(deadline),
        }
    }

    /// Moves an armed timer to another deadline, with its waker. On a thread that is not its own, the one
    /// who waits is woken, and arms it anew.
    pub(crate) fn reset(&mut self, deadline: Instant, new_deadline: Instant) {
        match Driver::local(self.driver) {
            Some(driver) => {
                let (tick, new_tick) = (driver.tick_of(deadline), driver.tick_of(new_deadline));
                if !driver.wheel.borrow_mut().reset(self.key, tick, new_tick) {
                    *self = TimerId::NONE;
                }
            }
            None => {
                let timer = mem::replace(self, TimerId::NONE);
                RemoteTimer { timer, deadline, is_woken: true }.send();
            }
        }
    }

    /// Takes the timer out of the wheel of a driver that is not current.
    #[cold]
    fn disarm_elsewhere(self, deadline: Instant) {
        match Driver::local(self.driver) {
            Some(driver) => drop_waker(driver.disarm(self, deadline)),
            None => RemoteTimer { timer: self, deadline, is_woken: false }.send(),
        }
    }
}

impl RemoteTimer {
    /// The driver in whose wheel the timer is.
    pub(crate) fn driver(&self) -> u64 {
        self.timer.driver
    }

    /// Takes the timer out, on the driver's thread. The caller wakes or drops the waker.
    pub(crate) fn take_out(&self, driver: &Driver) -> Option<Waker> {
        driver.disarm(self.timer, self.deadline)
    }

    /// Returns whether the one who waits is to be woken.
    pub(crate) fn is_woken(&self) -> bool {
        self.is_woken
    }

    fn send(self) {
        if let Some(send) = SENDER.get() {
            send(self);
        }
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
