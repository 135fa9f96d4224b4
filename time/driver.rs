//! The driver: one wheel and one clock for each runtime, and the lookup of the driver by timers.
//!
//! Once per turn the executor calls [`Driver::fire`]. It reads the clock if any timer is armed, and moves the
//! wakers of the timers that are due into the caller's list. The driver wakes no task itself. It clones and
//! drops no waker while the wheel is borrowed, because both may run user code.

use super::clock::Clock;
use super::instant::{Instant, nanoseconds};
use super::moment::{self, Moment};
use super::turn_log::TurnLog;
use super::wheel::{Key, NS_PER_TICK, Wheel};
use crate::task::origin::NamedOrigin;
use crate::task::outside;
use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) struct Driver {
    /// A number that is not zero and is never reused.
    id: u64,
    clock: Clock,
    wheel: RefCell<Wheel>,
    /// The latest reading of the clock, made in the latest turn that needed the time.
    now_ns: Cell<u64>,
    /// The number of that turn. The first is one.
    turn: Cell<u64>,
    /// The times of past turns. It is kept only once a caller has asked for one.
    log: RefCell<Option<Box<TurnLog>>>,
    /// The reading of the clock at which timers last fired.
    fired_ns: Cell<Option<u64>>,
    inhibitors: Cell<usize>,
}

/// The timer of a `Sleep` in the wheel of a driver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerId {
    /// Zero if no timer is armed.
    driver: u64,
    key: Key,
}

type LocalDrivers = Vec<(u64, Weak<Driver>)>;

/// A timer that another thread removes from its driver's wheel.
pub(crate) struct RemoteTimer {
    timer: TimerId,
    deadline: Instant,
    is_woken: bool,
}

/// The function that sends to the thread of a driver. The runtime sets it, because this module does not know
/// the runtime.
static SENDER: OnceLock<fn(RemoteTimer)> = OnceLock::new();

/// The way to find out whether a deadline has passed.
#[derive(Clone, Copy)]
pub(crate) enum DeadlineCheck {
    /// Read the clock, unless its latest reading is sufficient.
    Clock,
    /// Use the latest reading of the clock, which was made just now.
    LatestReading,
    /// Do not check: only the wheel decides, when the timer fires.
    Wheel,
}

impl DeadlineCheck {
    #[inline]
    fn has_passed(self, clock: &Clock, deadline: Instant) -> bool {
        match self {
            DeadlineCheck::Clock => clock.has_reached(deadline),
            DeadlineCheck::LatestReading => clock.had_reached(deadline),
            DeadlineCheck::Wheel => false,
        }
    }
}

/// The state of a `Sleep`'s timer.
enum Check {
    Fired,
    /// The deadline has passed, and the timer has still to be removed from the wheel.
    Passed,
    /// The timer is armed with the same waker.
    Armed,
    /// The waker has still to be left with [`Driver::arm_again`].
    LeaveWaker,
}

// Neither of these has a destructor, because the destructors of other thread-locals use them.
thread_local! {
    static CURRENT: RefCell<ManuallyDrop<Option<Rc<Driver>>>> = const { RefCell::new(ManuallyDrop::new(None)) };
    /// The drivers that were created on this thread, for timers that change while their driver is not current.
    static LOCALS: RefCell<ManuallyDrop<LocalDrivers>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// Drops a waker, which may run user code. If that code panics, the panic hook reports the panic, and the panic is
/// caught here.
#[inline]
pub(super) fn drop_waker(waker: Waker) {
    let discard = |payload| {
        // The drop of the payload may panic too. That second payload is leaked.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(mem::forget);
    };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(waker))).map_err(discard);
}

/// Calls `f` with the driver of this thread, if it has one. No user code may run in `f`.
#[inline]
pub(crate) fn try_current<R>(f: impl FnOnce(&Rc<Driver>) -> R) -> Option<R> {
    CURRENT.with(|current| current.borrow().as_ref().map(f))
}

/// Calls `f` with the driver of this thread. `function` is the caller's name for the panic message. No user
/// code may run in `f`.
#[inline]
#[track_caller]
pub(crate) fn current<R>(function: &str, f: impl FnOnce(&Rc<Driver>) -> R) -> R {
    match try_current(f) {
        Some(result) => result,
        None => outside::called(function),
    }
}

/// Does the same for a poll. `origin` is the origin of the polled object, for the panic message.
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
    /// Creates a driver. `id` must not be zero, and no other driver of the process may ever have it. Its low
    /// 16 bits must differ from those of every other living driver.
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

    /// Makes `driver` the driver of this thread, or none.
    ///
    /// The flag says whether its loop turns on this thread. If it does not, the clock is read for each moment, since no
    /// turn follows soon.
    pub(crate) fn set_current(driver: Option<(Rc<Driver>, bool)>) {
        // End the turn. Otherwise the moments noted in it would get the time at which the driver next begins a turn.
        try_current(|driver| driver.end_noted_turn());
        match &driver {
            Some((driver, true)) => moment::enter(driver.id, driver.noted_turn()),
            Some((driver, false)) => moment::enter(driver.id, None),
            None => moment::leave(),
        }
        let driver = driver.map(|(driver, _)| driver);
        drop(ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(driver))));
    }

    /// Returns a driver if it was created on this thread, current or not.
    fn local(id: u64) -> Option<Rc<Driver>> {
        if let Some(current) = try_current(|driver| (driver.id == id).then(|| driver.clone())).flatten() {
            return Some(current);
        }
        LOCALS.with_borrow(|locals| locals.iter().rfind(|(local, _)| *local == id)?.1.upgrade())
    }

    /// Sets the function that sends a timer to the thread of its driver.
    pub(crate) fn set_sender(sender: fn(RemoteTimer)) {
        SENDER.get_or_init(|| sender);
    }

    /// Moves the wakers of at most `limit` timers that are due into `wakers`, in the order of their
    /// deadlines. Reads the clock if there is any timer. The other timers fire in the next call.
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
        if wheel.expire(now_ns, limit, wakers) > 0 {
            self.fired_ns.set(Some(now_ns));
        }
    }

    /// Reads the clock again if there is any timer. Call this before a wait that follows user code, which may
    /// have taken time and armed timers.
    pub(crate) fn look(&self) {
        if !self.end_noted_turn() && !self.wheel.borrow().is_empty() {
            self.begin_turn();
        }
    }

    /// Reads the clock and begins a new turn, so that later moments are distinguished from earlier ones.
    fn begin_turn(&self) {
        let now_ns = self.clock.now_ns();
        self.now_ns.set(now_ns);
        self.turn.set(self.turn.get() + 1);
        if let Some(log) = self.log.borrow_mut().as_mut() {
            log.note(self.turn.get(), now_ns);
        }
        self.show_turn();
    }

    /// If a [`Moment`] has been noted in the present turn, begins a new turn and returns true.
    #[inline]
    fn end_noted_turn(&self) -> bool {
        let is_noted = moment::is_entered(self.id) && moment::take_noted();
        if is_noted {
            self.keep_log();
            self.begin_turn();
        }
        is_noted
    }

    /// Makes the present turn the one that new moments note.
    fn show_turn(&self) {
        if moment::is_entered(self.id) {
            moment::enter(self.id, self.noted_turn());
        }
    }

    /// Returns the turn that new moments note, or `None` if the clock is paused: then it is read for each moment.
    fn noted_turn(&self) -> Option<u64> {
        (!self.is_paused()).then(|| self.turn.get())
    }

    /// Pauses the clock.
    pub(crate) fn pause(&self) {
        self.end_noted_turn();
        self.clock.pause();
        self.show_turn();
    }

    /// Resumes the paused clock.
    pub(crate) fn resume(&self) {
        self.clock.resume();
        self.show_turn();
    }

    /// Returns the time to wait for the next timer, as of the latest [`fire`](Driver::fire) or
    /// [`look`](Driver::look), or `None` if there is no timer. The wait does not end before `slack` has
    /// passed since timers last fired.
    pub(crate) fn next_wait(&self, slack: Duration) -> Option<Duration> {
        self.clock.forget();
        let next_ns = self.wheel.borrow_mut().next_ns()?;
        let now_ns = self.now_ns.get();
        if next_ns <= now_ns {
            return Some(Duration::ZERO);
        }
        let quiet_ns = self.fired_ns.get().map_or(0, |fired_ns| fired_ns.saturating_add(nanoseconds(slack)));
        Some(Duration::from_nanos(next_ns.max(quiet_ns) - now_ns))
    }

    /// Returns the number of the latest turn that needed the time. Callers note it instead of reading the clock. The
    /// reading in that turn is not later than now.
    #[inline]
    pub(crate) fn turn(&self) -> u64 {
        self.turn.get()
    }

    /// Returns the reading of the clock in that turn.
    pub(crate) fn turn_ns(&self) -> u64 {
        self.now_ns.get()
    }

    /// Reads the clock.
    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Reads the system's clock, even if this clock is paused.
    #[inline]
    pub(crate) fn real_ns() -> u64 {
        Instant::real_now().as_ns()
    }

    /// Keeps the times of turns from now on.
    pub(crate) fn keep_log(&self) {
        self.log
            .borrow_mut()
            .get_or_insert_with(|| Box::new(TurnLog::new(self.turn.get(), self.now_ns.get())));
    }

    /// Returns a time for an event that happened after the clock was read in a turn, and before it was read again. The
    /// returned time is not earlier than the event, and later by at most a small part of the time that has passed
    /// since. Call this only while there are timers.
    #[inline(never)]
    pub(crate) fn after_turn_ns(&self, turn: u64) -> u64 {
        match self.log.borrow().as_ref() {
            Some(log) if turn < self.turn.get() => log.after(turn),
            _ => self.clock.now_ns(),
        }
    }

    /// Arms a timer that wakes `waker` when the clock reaches `ns`. Returns the timer and its deadline, or
    /// `None` if the deadline has passed already.
    pub(crate) fn arm_at(&self, ns: u64, waker: Waker) -> Option<(TimerId, Instant)> {
        let deadline = self.clock.at(ns);
        match self.arm_new(deadline, waker, DeadlineCheck::Wheel) {
            Ok(timer) => Some((timer, deadline)),
            Err(waker) => {
                drop_waker(waker);
                None
            }
        }
    }

    /// Returns true if the clock is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.clock.is_paused()
    }

    /// Returns true if the paused clock may jump to the next deadline: there is one, and no guard prevents it.
    pub(crate) fn may_auto_advance(&self) -> bool {
        self.is_paused() && self.inhibitors.get() == 0 && !self.wheel.borrow().is_empty()
    }

    /// Moves the paused clock to the next deadline.
    pub(crate) fn auto_advance(&self) {
        if let Some(next_ns) = self.wheel.borrow_mut().next_ns() {
            self.clock.move_to(next_ns);
        }
    }

    /// Removes all timers, because the runtime is being dropped. The caller drops the wakers.
    pub(crate) fn clear(&self, wakers: &mut Vec<Waker>) {
        self.wheel.borrow_mut().clear(wakers);
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the deadline of the last tick that is due when the clock reads `ns`.
    pub(crate) fn last_tick(&self, ns: u64) -> Instant {
        self.clock.at(ns / NS_PER_TICK * NS_PER_TICK)
    }

    pub(crate) fn inhibit(&self) {
        self.inhibitors.set(self.inhibitors.get() + 1);
    }

    pub(crate) fn allow(&self) {
        self.inhibitors.set(self.inhibitors.get() - 1);
    }

    #[inline]
    fn key_of(&self, timer: TimerId) -> Option<Key> {
        (timer.driver == self.id).then_some(timer.key)
    }

    #[inline(never)]
    fn check(&self, timer: TimerId, deadline: Instant, waker: &Waker) -> Check {
        let ns = self.clock.ns_of(deadline);
        let mut wheel = self.wheel.borrow_mut();
        let elapsed_ns = wheel.elapsed_ns();
        let Some(key) = self.key_of(timer) else {
            return Check::LeaveWaker;
        };
        match wheel.find(key, ns) {
            Some(entry) if !self.clock.has_reached(deadline) => {
                match entry.waker.as_ref().is_some_and(|earlier| earlier.will_wake(waker)) {
                    true => Check::Armed,
                    false => Check::LeaveWaker,
                }
            }
            Some(_) => Check::Passed,
            None if ns <= elapsed_ns => Check::Fired,
            None => Check::LeaveWaker,
        }
    }

    /// Returns true if a timer is in the wheel with the same waker.
    pub(super) fn is_armed(&self, timer: TimerId, deadline: Instant, waker: &Waker) -> bool {
        let ns = self.clock.ns_of(deadline);
        let mut wheel = self.wheel.borrow_mut();
        let entry = self.key_of(timer).and_then(|key| wheel.find(key, ns));
        entry.and_then(|entry| entry.waker.as_ref()).is_some_and(|earlier| earlier.will_wake(waker))
    }

    /// Arms a new timer, unless the deadline has passed. In that case returns the waker, which the caller drops.
    #[inline(always)]
    fn arm_new(&self, deadline: Instant, waker: Waker, check: DeadlineCheck) -> Result<TimerId, Waker> {
        let ns = self.clock.ns_of(deadline);
        let mut wheel = self.wheel.borrow_mut();
        if ns <= wheel.elapsed_ns() || check.has_passed(&self.clock, deadline) {
            return Err(waker);
        }
        Ok(TimerId { driver: self.id, key: wheel.insert(ns, waker) })
    }

    /// Leaves the waker with a timer, or with a new timer in its place if it is not in the wheel. The caller drops the
    /// waker that is returned: the timer had it before, or the deadline has passed.
    #[inline(never)]
    fn arm_again(
        &self,
        timer: &mut TimerId,
        deadline: Instant,
        waker: Waker,
        check: DeadlineCheck,
    ) -> (Poll<()>, Option<Waker>) {
        let ns = self.clock.ns_of(deadline);
        if let Some(key) = self.key_of(*timer)
            && let Some(entry) = self.wheel.borrow_mut().find(key, ns)
        {
            return (Poll::Pending, entry.waker.replace(waker));
        }
        match self.arm_new(deadline, waker, check) {
            Ok(armed) => {
                *timer = armed;
                (Poll::Pending, None)
            }
            Err(waker) => (Poll::Ready(()), Some(waker)),
        }
    }

    /// Arms a new timer with a deadline `duration` after a moment, unless that deadline has passed. In that case returns
    /// the waker, which the caller drops. Also returns the deadline. Reads the clock.
    #[inline]
    pub(super) fn arm_after(
        &self,
        moment: Moment,
        duration: Duration,
        waker: Waker,
    ) -> (Instant, Result<TimerId, Waker>) {
        let mut since = self.clock.now();
        // If the moment belongs to the current turn, or to another runtime, no better time is known than the present
        // one.
        if let Some(turn) = moment.turn_of(self.id).filter(|turn| *turn < self.turn.get()) {
            since = since.min(self.clock.at(self.after_turn_ns(turn)));
        }
        let deadline = since.saturating_add(duration);
        (deadline, self.arm_new(deadline, waker, DeadlineCheck::LatestReading))
    }

    /// Removes a timer from the wheel if it is there. Returns the waker, which the caller drops.
    #[inline(always)]
    fn disarm(&self, timer: TimerId, deadline: Instant) -> Option<Waker> {
        let key = self.key_of(timer)?;
        let ns = self.clock.ns_of(deadline);
        self.wheel.borrow_mut().remove(key, ns)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        LOCALS.with_borrow_mut(|locals| {
            locals.retain(|(id, _)| *id != self.id);
            if locals.is_empty() {
                // The thread-local has no destructor that would free it.
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

    /// Returns `Ready` if the deadline has passed or the timer has fired. Otherwise leaves the waker. If
    /// there is no driver, the panic message names the polled object by its `origin`.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>, origin: NamedOrigin) -> Poll<()> {
        if self.is_none() {
            return self.arm_new(deadline, cx, origin);
        }
        match current_for_poll(origin, |driver| driver.check(*self, deadline, cx.waker())) {
            Check::Armed => Poll::Pending,
            Check::Fired => {
                *self = TimerId::NONE;
                Poll::Ready(())
            }
            Check::Passed => {
                self.disarm(deadline);
                Poll::Ready(())
            }
            Check::LeaveWaker => self.arm_again(deadline, cx, origin, DeadlineCheck::Clock),
        }
    }

    /// Returns `Ready` only once the timer has fired. It is not enough that its deadline has passed.
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
        self.arm_again(deadline, cx, origin, DeadlineCheck::Wheel)
    }

    /// Arms a new timer with the current driver. This is what happens to most timers, and needs no look-up.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn arm_new(&mut self, deadline: Instant, cx: &mut Context<'_>, origin: NamedOrigin) -> Poll<()> {
        let waker = cx.waker().clone();
        let armed = current_for_poll(origin, |driver| driver.arm_new(deadline, waker, DeadlineCheck::Clock));
        match armed {
            Ok(timer) => {
                *self = timer;
                Poll::Pending
            }
            Err(waker) => {
                drop_waker(waker);
                Poll::Ready(())
            }
        }
    }

    /// Leaves the waker with the current driver, and removes the timer from the driver that had it before.
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn arm_again(
        &mut self,
        deadline: Instant,
        cx: &mut Context<'_>,
        origin: NamedOrigin,
        check: DeadlineCheck,
    ) -> Poll<()> {
        let waker = cx.waker().clone();
        let earlier = *self;
        let (polled, waker) =
            current_for_poll(origin, |driver| driver.arm_again(self, deadline, waker, check));
        if let Some(waker) = waker {
            drop_waker(waker);
        }
        if earlier.driver != self.driver && !earlier.is_none() {
            earlier.disarm_elsewhere(deadline);
        }
        polled
    }

    /// Removes the timer from its wheel, on any thread.
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
            Some(waker) => waker.map_or((), drop_waker),
            None => timer.disarm_elsewhere(deadline),
        }
    }

    /// Moves an armed timer to another deadline and keeps its waker. On a thread other than the driver's, the
    /// waiting task is woken instead, and arms the timer again.
    pub(crate) fn reset(&mut self, deadline: Instant, new_deadline: Instant) {
        match Driver::local(self.driver) {
            Some(driver) => {
                let (ns, new_ns) = (driver.clock.ns_of(deadline), driver.clock.ns_of(new_deadline));
                if !driver.wheel.borrow_mut().reset(self.key, ns, new_ns) {
                    *self = TimerId::NONE;
                }
            }
            None => {
                let timer = mem::replace(self, TimerId::NONE);
                RemoteTimer { timer, deadline, is_woken: true }.send();
            }
        }
    }

    /// Removes the timer from the wheel of a driver that is not current.
    #[cold]
    fn disarm_elsewhere(self, deadline: Instant) {
        match Driver::local(self.driver) {
            Some(driver) => driver.disarm(self, deadline).map_or((), drop_waker),
            None => RemoteTimer { timer: self, deadline, is_woken: false }.send(),
        }
    }
}

impl RemoteTimer {
    /// Returns the id of the driver in whose wheel the timer is.
    pub(crate) fn driver(&self) -> u64 {
        self.timer.driver
    }

    /// Removes the timer. This is called on the driver's thread. The caller wakes or drops the waker.
    pub(crate) fn take_out(&self, driver: &Driver) -> Option<Waker> {
        driver.disarm(self.timer, self.deadline)
    }

    /// Returns true if the waiting task has to be woken.
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
