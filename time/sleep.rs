//! Sleeping until a deadline.

use super::driver::{self, TimerId};
use super::instant::Instant;
use super::moment::Moment;
use crate::task::coop;
use crate::task::origin::NamedOrigin;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Waits until `duration` has passed, counted from this call.
///
/// The sleep never completes early. It may be late by the kernel's timer slack (some 50 µs) and, where many
/// timers are close together, by [`Builder::timer_slack`](crate::Builder::timer_slack). With
/// [`Duration::MAX`], or any other duration that exceeds the range of the clock, it never completes.
///
/// # Cancel safety
///
/// The sleep is cancel safe: when it is dropped, its timer is removed.
///
/// # Panics
///
/// Panics when polled on a thread without a runtime. The call itself may be made anywhere.
///
/// # Examples
///
/// ```
/// use runtime::time::{Duration, Instant, sleep};
///
/// # runtime::block_on(async {
/// let start = Instant::now();
/// sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # });
/// ```
#[cfg_attr(debug_assertions, track_caller)]
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now().saturating_add(duration))
}

/// Waits until `deadline`. If the deadline has passed, the sleep completes at its first poll.
///
/// The accuracy, the cancel safety and the panics are the same as those of [`sleep`].
///
/// # Examples
///
/// ```
/// use runtime::time::{Duration, Instant, sleep_until};
///
/// # runtime::block_on(async {
/// let deadline = Instant::now() + Duration::from_millis(2);
/// sleep_until(deadline).await;
/// assert!(Instant::now() >= deadline);
/// # });
/// ```
#[cfg_attr(debug_assertions, track_caller)]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(deadline, NamedOrigin::caller("Sleep"))
}

/// The future returned by [`sleep`] and [`sleep_until`].
///
/// A sleep is `Unpin`. It may be polled again after it has completed, and is then ready again.
///
/// Once its deadline has passed, a poll of it is ready, even if the loop has had no turn since. There is one
/// exception: if a task has just blocked the thread for more than a second, a poll may not notice that the
/// deadline has passed. The loop then notices it in its next turn.
///
/// The first poll arms its timer, in the runtime of the thread on which the poll is made. A poll in another
/// runtime moves the timer there. A sleep may be reset and dropped on any thread.
#[must_use = "futures do nothing unless awaited or polled"]
pub struct Sleep {
    deadline: Instant,
    timer: TimerId,
    origin: NamedOrigin,
}

impl Sleep {
    pub(super) fn new(deadline: Instant, origin: NamedOrigin) -> Sleep {
        Sleep { deadline, timer: TimerId::NONE, origin }
    }

    /// Returns the deadline.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns true if the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        self.deadline <= Instant::now()
    }

    /// Sets another deadline, without the cost of a new timer.
    ///
    /// A task that waits for the sleep is woken at the new deadline and need not poll the sleep again before.
    /// If the new deadline has passed, the task is woken in the next turn of the loop, and a poll before that
    /// is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::time::{Duration, Instant, sleep};
    /// use std::pin::Pin;
    ///
    /// # runtime::block_on(async {
    /// let mut sleep = sleep(Duration::from_secs(3600));
    /// Pin::new(&mut sleep).reset(Instant::now());
    /// sleep.await;
    /// # });
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.get_mut();
        if !this.timer.is_none() {
            this.timer.reset(this.deadline, deadline);
        }
        this.deadline = deadline;
    }

    /// Polls the sleep regardless of the task's budget.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn poll_unbudgeted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll(self.deadline, cx, self.origin)
    }

    /// Creates a sleep that ends `duration` after a moment, and polls it regardless of the task's budget.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn poll_after(
        moment: Moment,
        duration: Duration,
        origin: NamedOrigin,
        cx: &mut Context<'_>,
    ) -> (Sleep, Poll<()>) {
        let waker = cx.waker().clone();
        let (deadline, armed) =
            driver::current_for_poll(origin, |driver| driver.arm_after(moment, duration, waker));
        match armed {
            Ok(timer) => (Sleep { deadline, timer, origin }, Poll::Pending),
            Err(waker) => {
                driver::drop_waker(waker);
                (Sleep::new(deadline, origin), Poll::Ready(()))
            }
        }
    }

    /// Returns `Ready` once the timer has fired. It fires after all timers with earlier deadlines, and after
    /// those of the same tick that were armed before it.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn poll_fired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll_fired(self.deadline, cx, self.origin)
    }
}

impl Future for Sleep {
    type Output = ();

    // In debug builds the location of a panic is that of the `await`.
    #[cfg_attr(debug_assertions, track_caller)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(coop::poll_budget(cx));
        ready!(self.poll_unbudgeted(cx));
        coop::spend();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.timer.disarm(self.deadline);
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish()
    }
}
