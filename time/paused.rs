//! The clock stopped and moved by hand, for tests.

use super::driver::{self, Driver};
use super::sleep::sleep_until;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Stops the clock of this thread's runtime. It then moves by [`advance`], and by itself to the
/// next deadline whenever nothing is left to do.
///
/// It does not run ahead of real I/O: while a socket has a waiter or a blocking call is under way, it moves by
/// itself only after the loop has waited for 10 ms of real time. An answer that takes longer loses against any
/// timeout, unless [`Builder::auto_advance_grace`](crate::Builder::auto_advance_grace) sets another limit. See
/// also [`Builder::start_paused`](crate::Builder::start_paused) and `#[runtime::test(start_paused = true)]`.
///
/// # Panics
///
/// If the clock is paused already, or there is no runtime on this thread.
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

/// Lets the clock go again, from where it stands.
///
/// # Panics
///
/// If the clock is not paused, or there is no runtime on this thread.
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

/// Moves the stopped clock forward by `duration`. When it returns, every timer that is due then has
/// fired, in the order of deadlines, and the tasks they woke have been polled once.
///
/// # Cancel safety
///
/// Dropped before it is ready it has moved the clock, or has not been polled.
///
/// # Panics
///
/// If the clock is not paused, or there is no runtime on this thread.
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
    // A timer behind all others that are due by then: it fires last, and its task is polled after theirs.
    let mut last = sleep_until(last_tick);
    let mut has_waited = false;
    poll_fn(|cx| {
        let fired = last.poll_fired(cx);
        driver::current("time::advance", |driver| driver.clock().move_to(until_ns));
        if fired.is_ready() && !std::mem::replace(&mut has_waited, true) {
            // Nothing more becomes due. What has been woken before still has its turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        has_waited = true;
        fired
    })
    .await;
}

/// Keeps the stopped clock of this thread's runtime from moving by itself, until the guard is dropped.
///
/// For a test that waits for something the loop cannot see coming: a wake that another thread owes.
///
/// # Panics
///
/// If there is no runtime on this thread.
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

/// While it lives the stopped clock does not move by itself. From [`inhibit_auto_advance`].
#[must_use = "dropped at once it inhibits nothing"]
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
