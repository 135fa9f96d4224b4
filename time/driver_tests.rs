//! Tests of timers and their driver, with a clock moved by hand and without an executor.

use super::*;
use crate::time::{self, Interval, MissedTickBehavior, Sleep, sleep, sleep_until};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Wake;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn poll(sleep: &mut Sleep, waker: &Waker) -> bool {
    Pin::new(sleep).poll(&mut Context::from_waker(waker)).is_ready()
}

/// Moves the clock, fires the timers that are due, and wakes their tasks.
fn pass(driver: &Driver, by: Duration) {
    driver.clock.move_to(driver.clock.now_ns() + by.as_nanos() as u64);
    let mut wakers = Vec::new();
    driver.fire(usize::MAX, &mut wakers);
    wakers.into_iter().for_each(Waker::wake);
}

/// Keeps a driver current, and makes the previous one current again when it is dropped.
struct CurrentDriverGuard(Option<Rc<Driver>>);

fn enter(driver: &Rc<Driver>) -> CurrentDriverGuard {
    let previous = try_current(Rc::clone);
    Driver::set_current(Some((driver.clone(), true)));
    CurrentDriverGuard(previous)
}

impl Drop for CurrentDriverGuard {
    fn drop(&mut self) {
        Driver::set_current(self.0.take().map(|driver| (driver, true)));
    }
}

/// Creates a paused driver and enters it.
fn paused() -> (Rc<Driver>, CurrentDriverGuard) {
    let driver = Driver::new(1, true);
    let entered = enter(&driver);
    (driver, entered)
}

#[test]
fn fires_neither_early_nor_twice() {
    let (driver, _entered) = paused();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut sleep = sleep(Duration::from_nanos(1_500_001));
    assert!(!poll(&mut sleep, &waker));
    pass(&driver, Duration::from_nanos(1_500_000));
    assert_eq!(count.0.load(Relaxed), 0);
    assert_eq!(driver.next_wait(Duration::ZERO), Some(Duration::from_micros(1)), "rounded up to a tick");
    pass(&driver, Duration::from_micros(1));
    assert_eq!(count.0.load(Relaxed), 1);
    assert!(poll(&mut sleep, &waker) && poll(&mut sleep, &waker), "it completes, and stays complete");
    pass(&driver, ms(10));
    assert_eq!(count.0.load(Relaxed), 1);
}

#[test]
fn a_sleep_that_is_dropped_or_reset_leaves_nothing() {
    let (driver, _entered) = paused();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    for _ in 0..100 {
        let mut sleep = sleep(ms(5));
        assert!(!poll(&mut sleep, &waker));
    }
    assert!(driver.wheel.borrow().is_empty());
    assert_eq!(Arc::strong_count(&count), 2, "every waker was dropped");

    let mut sleep = sleep(ms(5));
    assert!(!poll(&mut sleep, &waker));
    let later = sleep.deadline() + ms(5);
    Pin::new(&mut sleep).reset(later);
    pass(&driver, ms(9));
    assert_eq!(count.0.load(Relaxed), 0);
    pass(&driver, ms(1));
    assert_eq!(count.0.load(Relaxed), 1, "woken at the new deadline, without another poll");
    Pin::new(&mut sleep).reset(later + ms(1));
    assert!(!poll(&mut sleep, &waker), "it is armed again");
    Pin::new(&mut sleep).reset(Instant::now() - ms(3));
    pass(&driver, Duration::ZERO);
    assert_eq!(count.0.load(Relaxed), 2, "a deadline in the past is now");
    assert!(poll(&mut sleep, &waker));
}

#[test]
fn a_sleep_whose_deadline_has_passed_is_ready_when_it_is_polled() {
    let (driver, _entered) = paused();
    let count = Arc::new(Count::default());
    let (waker, other) = (Waker::from(count.clone()), Waker::from(count.clone()));
    let advance = |by| driver.clock.move_to(driver.clock.now_ns() + Duration::as_nanos(&by) as u64);
    let check = |sleep: &mut Sleep, waker: &Waker| {
        assert!(sleep.is_elapsed());
        assert!(poll(sleep, waker) && poll(sleep, waker), "it is ready, and stays ready");
        assert!(driver.wheel.borrow().is_empty(), "the wheel is empty");
        assert_eq!(Arc::strong_count(&count), 3, "its waker was dropped");
    };
    for length in [Duration::from_micros(1), ms(5), ms(5000)] {
        // The sleep has never been polled.
        let mut one = sleep(length);
        advance(length);
        check(&mut one, &waker);
        // The sleep is armed, and polled with the same waker and with another one.
        for second in [&waker, &other] {
            let mut one = sleep(length);
            assert!(!poll(&mut one, &waker));
            advance(length - Duration::from_nanos(1));
            assert!(!poll(&mut one, second));
            advance(Duration::from_nanos(1));
            check(&mut one, second);
        }
        // The sleep is armed, and reset to the past.
        for deadline in [Instant::now(), Instant::now() - length, Instant::now() - ms(10_000)] {
            let mut one = sleep(length);
            assert!(!poll(&mut one, &waker));
            Pin::new(&mut one).reset(deadline);
            check(&mut one, &waker);
        }
        // The timer is due, but the limit on the number of timers that fire at once has kept it from firing.
        let mut sleeps = [sleep(length), sleep(length)];
        assert!(sleeps.iter_mut().all(|sleep| !poll(sleep, &waker)));
        advance(length);
        driver.fire(1, &mut Vec::new());
        check(&mut sleeps[1], &waker);
        check(&mut sleeps[0], &waker);
    }
    pass(&driver, ms(10));
    assert_eq!(count.0.load(Relaxed), 0);
}

#[test]
fn only_the_latest_waker_is_woken() {
    let (driver, _entered) = paused();
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut sleep = sleep(ms(1));
    assert!(!poll(&mut sleep, &first.clone().into()));
    assert!(!poll(&mut sleep, &second.clone().into()));
    assert_eq!(Arc::strong_count(&first), 1, "the earlier waker was dropped");
    pass(&driver, ms(1));
    assert_eq!((first.0.load(Relaxed), second.0.load(Relaxed)), (0, 1));
}

#[test]
fn a_sleep_without_end_never_completes() {
    let (driver, _entered) = paused();
    let waker = Waker::noop();
    let mut never = sleep(Duration::MAX);
    assert!(!poll(&mut never, waker));
    pass(&driver, Duration::from_secs(100 * 365 * 24 * 3600));
    assert!(!poll(&mut never, waker));
    assert!(driver.next_wait(Duration::MAX).is_some());
    let mut late = sleep_until(Instant::now() + Duration::from_secs(1000 * 365 * 24 * 3600));
    assert!(!poll(&mut late, waker));
}

#[test]
fn a_timer_is_removed_from_the_driver_that_armed_it() {
    let (outer, _entered) = paused();
    let waker = Waker::noop();
    let poll_fired =
        |sleep: &mut Sleep, waker: &Waker| sleep.poll_fired(&mut Context::from_waker(waker)).is_ready();
    for poll in [poll, poll_fired] {
        let mut moved = sleep(Duration::from_secs(3600));
        assert!(!poll(&mut moved, waker));
        let inner = Driver::new(2, true);
        let _entered = enter(&inner);
        // The timer is armed here, and removed from the other driver.
        assert!(!poll(&mut moved, waker));
        assert!(!inner.wheel.borrow().is_empty());
        assert!(outer.wheel.borrow().is_empty());
        drop(moved);
        assert!(inner.wheel.borrow().is_empty());
    }
    assert!(try_current(|driver| Rc::ptr_eq(driver, &outer)).unwrap(), "the outer one is current again");
}

#[test]
fn a_sleep_dropped_without_a_driver_does_nothing() {
    let mut orphan = sleep(Duration::from_secs(3600));
    {
        let (_driver, _entered) = paused();
        assert!(!poll(&mut orphan, Waker::noop()));
    }
    Pin::new(&mut orphan).reset(Instant::now());
    drop(orphan);
}

#[test]
#[should_panic(
    expected = "Sleep was polled outside of a runtime: call this inside block_on or #[runtime::main]"
)]
fn a_poll_without_a_driver_panics_and_says_what_to_do() {
    poll(&mut sleep(ms(5)), Waker::noop());
}

#[test]
fn a_clear_hands_out_every_waker() {
    let (driver, _entered) = paused();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut sleeps: Vec<Sleep> = (0..50).map(|n| sleep(ms(n + 1))).collect();
    assert!(sleeps.iter_mut().all(|sleep| !poll(sleep, &waker)));
    let mut wakers = Vec::new();
    driver.clear(&mut wakers);
    assert_eq!(wakers.len(), 50);
    assert_eq!(driver.next_wait(Duration::ZERO), None);
    drop(sleeps);
}

#[test]
fn slack_delays_a_timer_only_after_timers_have_fired() {
    let (driver, _entered) = paused();
    let waker = Waker::noop();
    let slack = Duration::from_micros(100);
    let mut first = sleep(Duration::from_micros(30));
    assert!(!poll(&mut first, waker));
    driver.fire(8, &mut Vec::new());
    assert_eq!(driver.next_wait(slack), Some(Duration::from_micros(30)), "a lone timer is exact");
    pass(&driver, Duration::from_micros(30));
    let mut second = sleep(Duration::from_micros(30));
    assert!(!poll(&mut second, waker));
    driver.fire(8, &mut Vec::new());
    assert_eq!(driver.next_wait(slack), Some(slack));
    pass(&driver, Duration::from_micros(20));
    assert_eq!(driver.next_wait(slack), Some(Duration::from_micros(80)));
}

#[test]
fn a_wait_counts_from_the_latest_look() {
    let (driver, _entered) = paused();
    driver.fire(8, &mut Vec::new());
    driver.clock.move_to(Duration::from_secs(5).as_nanos() as u64);
    let mut late = sleep(ms(20));
    assert!(!poll(&mut late, Waker::noop()));
    driver.look();
    assert_eq!(driver.next_wait(Duration::ZERO), Some(ms(20)));
    drop(late);
    driver.look();
    assert_eq!(driver.next_wait(Duration::ZERO), None);
}

/// A waker whose clone and drop are user code that does harm: they arm and drop timers.
mod reentrant {
    #![allow(unsafe_code, reason = "a hand-made waker, whose functions never use their data word")]
    use super::*;
    use std::task::{RawWaker, RawWakerVTable};

    static VTABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            meddle();
            RawWaker::new(data, &VTABLE)
        },
        |_| meddle(),
        |_| meddle(),
        |_| meddle(),
    );

    fn meddle() {
        let mut other = sleep(ms(1));
        assert!(!poll(&mut other, Waker::noop()));
        Pin::new(&mut other).reset(Instant::now() + ms(2));
    }

    #[test]
    fn wakers_may_use_timers_in_clone_and_drop() {
        let (driver, _entered) = paused();
        // SAFETY: the functions above take any data word, from any thread.
        let waker = || unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) };
        let mut one = sleep(ms(3));
        for _ in 0..3 {
            assert!(!poll(&mut one, &waker()));
            assert!(!poll(&mut one, Waker::noop()));
        }
        assert!(!poll(&mut one, &waker()));
        pass(&driver, ms(3));
        assert!(poll(&mut one, &waker()));
        let mut two = sleep(ms(3));
        assert!(!poll(&mut two, &waker()));
        drop(two);
        assert!(driver.wheel.borrow().is_empty());
    }
}

/// Returns the instants of ticks, in milliseconds. The interval is not polled between the tick at 10 and 45.
fn ticks(behavior: MissedTickBehavior) -> Vec<u64> {
    let (driver, _entered) = paused();
    let start = Instant::now();
    let mut interval: Interval = time::interval(ms(10));
    interval.set_missed_tick_behavior(behavior);
    let mut ticks = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    for now in [0, 10, 45, 50, 55, 60, 65, 70, 75, 80] {
        let now = start + ms(now);
        pass(&driver, now - Instant::now());
        while interval.poll_tick(&mut cx).is_ready() {
            ticks.push(now.duration_since(start).as_millis() as u64);
            pass(&driver, Duration::ZERO);
        }
    }
    ticks
}

#[test]
fn missed_ticks_are_treated_as_set() {
    assert_eq!(ticks(MissedTickBehavior::Burst), [0, 10, 45, 45, 45, 50, 60, 70, 80]);
    assert_eq!(ticks(MissedTickBehavior::Delay), [0, 10, 45, 55, 65, 75]);
    assert_eq!(ticks(MissedTickBehavior::Skip), [0, 10, 45, 50, 60, 70, 80]);
}

#[test]
fn an_interval_does_not_drift() {
    let (driver, _entered) = paused();
    let start = Instant::now();
    let period = Duration::from_nanos(333_333);
    let mut interval = time::interval(period);
    let mut cx = Context::from_waker(Waker::noop());
    let rounds = if cfg!(miri) { 10 } else { 100_000 };
    for round in 0..rounds {
        // Every tick is a little late.
        while interval.poll_tick(&mut cx).is_pending() {
            pass(&driver, Duration::from_micros(7));
        }
        let late = Instant::now() - (start + period * round);
        assert!(late < Duration::from_micros(9), "late by {late:?} in round {round}");
    }
}

#[test]
fn a_timeout_touches_no_timer_while_its_future_is_ready() {
    let (driver, _entered) = paused();
    let mut cx = Context::from_waker(Waker::noop());
    let ready = pin!(time::timeout(ms(1), async { 7 }));
    assert_eq!(ready.poll(&mut cx), Poll::Ready(Ok(7)));
    let mut polls = 0;
    let slow = poll_fn(|_| {
        polls += 1;
        if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
    });
    {
        let mut slow = pin!(time::timeout(ms(1), slow));
        assert!(slow.as_mut().poll(&mut cx).is_pending());
        assert!(!driver.wheel.borrow().is_empty());
        assert!(slow.as_mut().poll(&mut cx).is_pending());
        pass(&driver, ms(2));
        assert_eq!(slow.as_mut().poll(&mut cx), Poll::Ready(Ok(3)), "the future is polled first");
    }
    assert!(driver.wheel.borrow().is_empty());
    let mut never = pin!(time::timeout(ms(1), std::future::pending::<()>()));
    assert!(never.as_mut().poll(&mut cx).is_pending());
    pass(&driver, ms(1));
    assert!(never.as_mut().poll(&mut cx).is_ready());
    let mut unlimited = pin!(time::timeout(Duration::MAX, std::future::pending::<()>()));
    assert!(unlimited.as_mut().poll(&mut cx).is_pending());
}

#[test]
fn a_timeout_counts_from_its_call() {
    let (driver, _entered) = paused();
    let mut cx = Context::from_waker(Waker::noop());
    let mut late = pin!(time::timeout(ms(100), std::future::pending::<()>()));
    pass(&driver, ms(60));
    assert!(late.as_mut().poll(&mut cx).is_pending());
    pass(&driver, ms(39));
    assert!(late.as_mut().poll(&mut cx).is_pending());
    pass(&driver, ms(1));
    assert!(late.as_mut().poll(&mut cx).is_ready());
    let over = pin!(time::timeout(ms(100), std::future::pending::<()>()));
    pass(&driver, ms(120));
    assert!(matches!(over.poll(&mut cx), Poll::Ready(Err(_))));
}

#[test]
fn a_driver_without_timers_reads_its_clock_only_for_moments() {
    let driver = Driver::new(1, false);
    let _entered = enter(&driver);
    let readings = || {
        let before = driver.turn();
        (0..3).for_each(|_| driver.fire(8, &mut Vec::new()));
        driver.turn() - before
    };
    assert_eq!(readings(), 0);
    let noted = Moment::now().expect("the clock goes");
    assert_eq!(readings(), 1);
    assert!(driver.after_turn_ns(noted.turn_of(1).unwrap()) <= driver.turn_ns());
    // A timeout that is polled right away does not need the time.
    let mut cx = Context::from_waker(Waker::noop());
    let mut polled = Box::pin(time::timeout(ms(1), std::future::pending::<()>()));
    assert!(polled.as_mut().poll(&mut cx).is_pending());
    drop(polled);
    assert!(pin!(time::timeout(ms(1), async {})).poll(&mut cx).is_ready());
    assert_eq!(readings(), 0);
    // Its moment must not get the time at which the driver becomes current again.
    drop(time::timeout(ms(1), std::future::pending::<()>()));
    let before = driver.turn();
    {
        let other = Driver::new(2, true);
        let _entered = enter(&other);
        assert_eq!(driver.turn() - before, 1);
        assert!(Moment::now().is_none(), "a stopped clock is read");
    }
    assert_eq!(readings(), 0);
    Driver::set_current(None);
    assert!(Moment::now().is_none());
}

#[test]
fn a_sleep_is_small() {
    assert_eq!(size_of::<Sleep>(), 24 + size_of::<NamedOrigin>());
    assert_eq!(size_of::<time::Timeout<()>>(), 32 + size_of::<NamedOrigin>());
    if !cfg!(debug_assertions) {
        assert_eq!(size_of::<NamedOrigin>(), 0);
    }
}
