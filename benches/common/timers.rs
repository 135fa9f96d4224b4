//! Workloads of timers: armed and dropped, never needed, and fired by the hundred thousand.
//!
//! Each function runs inside `block_on` of the contender that it is generic over. The caller measures the time. The
//! loops run in a spawned task, since a pending poll there costs what it costs users. A loop that polls by hand
//! yields now and then: both runtimes give a task a budget for each poll, and arm nothing once it is used up.

use std::cell::RefCell;
use std::future::{Future, poll_fn, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::contender::Contender;
use super::floor::{Alarm, YieldOnce};
use super::stats::quantile;

/// The number of polls by hand between two yields: below the contenders' budgets, which are 128.
const POLLS_PER_YIELD: usize = 64;

const HOUR: Duration = Duration::from_secs(3600);

/// Arms a sleep of an hour, to be kept while a workload runs: then none of the workload's deadlines is the next one,
/// which would cost more. The function waits once, so that the loop has planned for the sleep.
pub(crate) async fn arm_earlier_one<C: Contender>() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let mut earlier: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(C::sleep(HOUR));
    poll_fn(|cx| {
        assert!(earlier.as_mut().poll(cx).is_pending(), "an hour cannot be over");
        Poll::Ready(())
    })
    .await;
    C::sleep(Duration::from_millis(2)).await;
    earlier
}

/// Makes, arms and drops a boxed sleep, `times` times.
pub(crate) async fn arm_and_drop<C: Contender>(times: usize) {
    C::spawn(async move {
        let mut left = times;
        while left > 0 {
            poll_fn(|cx| {
                let polls = left.min(POLLS_PER_YIELD);
                left -= polls;
                for _ in 0..polls {
                    let mut sleep = Box::pin(C::sleep(2 * HOUR));
                    assert!(black_box(sleep.as_mut()).poll(cx).is_pending(), "armed, not fired");
                }
                Poll::Ready(())
            })
            .await;
            YieldOnce::default().await;
        }
    })
    .await;
}

/// Waits with a timeout for a future that is ready, `times` times.
pub(crate) async fn time_out_ready<C: Contender>(times: usize) {
    C::spawn(async move {
        for i in 0..times {
            assert!(C::timeout(2 * HOUR, ready(black_box(i))).await);
        }
    })
    .await;
}

/// Waits with a timeout for a future that yields once, `times` times.
pub(crate) async fn time_out_yielding<C: Contender>(times: usize) {
    C::spawn(async move {
        for _ in 0..times {
            assert!(C::timeout(2 * HOUR, YieldOnce::default()).await);
        }
    })
    .await;
}

thread_local! {
    static LATENESS: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

/// Records how late a task woke that should have woken at `deadline`.
fn note_lateness(deadline: Instant) {
    let late = Instant::now().checked_duration_since(deadline).expect("a sleep never ends early");
    LATENESS.with(|all| all.borrow_mut().push(late.as_nanos() as f64));
}

/// Returns the 99th percentile of the lateness recorded since the last call, in nanoseconds.
pub(crate) fn take_p99_lateness() -> f64 {
    quantile(&LATENESS.take(), 0.99)
}

/// Spawns `count` tasks that each sleep once, for durations spread evenly over `span` in no particular order, and
/// joins them all. Their lateness is recorded for [`take_p99_lateness`].
pub(crate) async fn sleep_all<C: Contender>(count: usize, span: Duration) {
    LATENESS.with(|all| all.borrow_mut().reserve(count));
    let handles: Vec<_> = durations(count, span)
        .map(|duration| {
            C::spawn(async move {
                let deadline = Instant::now() + duration;
                C::sleep(duration).await;
                note_lateness(deadline);
            })
        })
        .collect();
    for handle in handles {
        handle.await;
    }
}

/// The slack that this crate has by default.
pub(crate) const DEFAULT_SLACK: Duration = Duration::from_micros(100);

/// The floor of [`sleep_all`]: a thread that sleeps for `slack` at least.
pub(crate) fn sleep_all_floor(count: usize, span: Duration, slack: Duration) {
    LATENESS.with(|all| all.borrow_mut().reserve(count));
    let mut alarm = Alarm::default();
    for duration in durations(count, span) {
        let deadline = Instant::now() + duration;
        alarm.spawn_at(deadline, async move { note_lateness(deadline) });
    }
    alarm.run(slack);
}

/// Returns `count` durations, evenly spread over `span`, in an order without pattern that is always the same.
fn durations(count: usize, span: Duration) -> impl Iterator<Item = Duration> {
    /// A prime larger than any `count`, so that steps of this size visit every place once.
    const STEP: usize = 7_368_787;
    (0..count).map(move |i| span.mul_f64((i * STEP % count) as f64 / count as f64))
}
