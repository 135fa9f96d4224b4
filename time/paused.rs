//! A clock that is stopped and moved by hand, for tests.

use super::driver::{self, Driver};
use super::sleep::sleep_until;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Pauses the clock of this thread's runtime. From then on [`advance`] moves it. It also moves by itself, to
/// the next deadline, whenever the loop has nothing left to do.
///
/// It does not run ahead of real I/O: while a task waits for a socket or a blocking call is in progress, the
/// clock moves by itself only after the loop has waited for 10 ms of real time. If an answer takes longer than
/// that, a timeout that races with it elapses first, unless
/// [`Builder::auto_advance_grace`](crate::Builder::auto_advance_grace) sets another limit. See also
/// [`Builder::start_paused`](crate::Builder::start_paused) and `#[runtime::test(start_paused = true)]`.
///
/// # Panics
///
/// Panics if the clock is paused already, or if there is no runtime on this thread.
///
/// # Examples
///
/// ```
/// use runtime::time::{self, Duration, Instant};
///
/// # runtime::block_on(async {
/// time::pause();
/// let start = Instant::now();
/// time::sleep(Duration::from_secs(3600)).await;
/// assert_eq!(start.elapsed(), Duration::from_secs(3600));
/// # });
/// ```
#[track_caller]
pub fn pause() {
    let clock_was_paused = driver::current("time::pause", |driver| {
        let was_paused = driver.is_paused();
        driver.pause();
        was_paused
    });
    assert!(!clock_was_paused, "the clock is paused already: pause once, or call resume first");
}

/// Resumes the paused clock, from the instant at which it stands.
///
/// # Panics
///
/// Panics if the clock is not paused, or if there is no runtime on this thread.
#[track_caller]
pub fn resume() {
    let clock_was_paused = driver::current("time::resume", |driver| {
        let was_paused = driver.is_paused();
        if was_paused {
            driver.resume();
        }
        was_paused
    });
    assert!(clock_was_paused, "the clock is not paused: call pause before resume");
}

/// Moves the paused clock forward by `duration`.
///
/// When this function returns, every timer that is due by then has fired, in the order of deadlines, and the
/// tasks that the timers woke have been polled once.
///
/// # Cancel safety
///
/// The first poll moves the clock. Dropping the future after that does not move the clock back.
///
/// # Panics
///
/// Panics if the clock is not paused, or if there is no runtime on this thread.
///
/// # Examples
///
/// ```
/// use runtime::time::{self, Duration};
///
/// # runtime::block_on(async {
/// time::pause();
/// let task = runtime::spawn(time::sleep(Duration::from_secs(60)));
/// runtime::task::yield_now().await;
/// time::advance(Duration::from_secs(61)).await;
/// assert!(task.is_finished());
/// # });
/// ```
pub async fn advance(duration: Duration) {
    let clock_was_paused = driver::current("time::advance", |driver| driver.is_paused());
    assert!(clock_was_paused, "the clock is not paused: call pause before advance");
    let (until_ns, last_tick) = driver::current("time::advance", |driver| {
        let until_ns = driver.clock().ns_of(driver.clock().now().saturating_add(duration));
        (until_ns, driver.last_tick(until_ns))
    });
    // This timer comes after all others that are due by then: it fires last, and its task is polled after theirs.
    let mut last = sleep_until(last_tick);
    let mut has_waited = false;
    poll_fn(|cx| {
        let fired = last.poll_fired(cx);
        driver::current("time::advance", |driver| driver.clock().move_to(until_ns));
        if fired.is_ready() && !std::mem::replace(&mut has_waited, true) {
            // No more timers become due. Yield once more, so that tasks that were woken before get their turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        has_waited = true;
        fired
    })
    .await;
}

/// Keeps the paused clock of this thread's runtime from moving by itself until the guard is dropped.
///
/// This function is meant for tests that wait for an event that the loop cannot foresee: a wake from another
/// thread.
///
/// # Panics
///
/// Panics if there is no runtime on this thread.
///
/// # Examples
///
/// ```
/// use runtime::time::{self, Duration, Instant};
///
/// # runtime::block_on(async {
/// time::pause();
/// let start = Instant::now();
/// let guard = time::inhibit_auto_advance();
/// let answer = runtime::Handle::current().spawn_blocking(|| {
///     std::thread::sleep(Duration::from_millis(20));
///     42
/// });
/// let answer = time::timeout(Duration::from_millis(1), answer).await;
/// assert_eq!(answer.expect("the clock stood still").unwrap(), 42);
/// drop(guard);
/// # });
/// ```
#[track_caller]
pub fn inhibit_auto_advance() -> AutoAdvanceInhibited {
    let driver = driver::current("time::inhibit_auto_advance", |driver| {
        driver.inhibit();
        driver.clone()
    });
    AutoAdvanceInhibited { driver }
}

/// A guard that keeps the paused clock from moving by itself. It is returned by [`inhibit_auto_advance`].
#[must_use = "dropping the guard at once has no effect"]
#[derive(Debug)]
pub struct AutoAdvanceInhibited {
    driver: Rc<Driver>,
}

impl Drop for AutoAdvanceInhibited {
    fn drop(&mut self) {
        self.driver.allow();
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("is_paused", &self.is_paused()).finish_non_exhaustive()
    }
}
