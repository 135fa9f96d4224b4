//! Timeouts: limits on the time that a future may take.

use super::instant::Instant;
use super::moment::Moment;
use super::sleep::Sleep;
use crate::task::origin::NamedOrigin;
use pin_project_lite::pin_project;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Awaits `future` for at most `duration`.
///
/// The time counts from this call, and the timeout never fires early. A future that is ready at its first poll costs
/// neither a timer nor a reading of the clock. If the future is pending, the time may count from a later moment than
/// the call, but at the latest from the end of the turn of the loop in which the call was made. If the first poll comes
/// much later than the call, the end of that turn is known only approximately, and the timeout may fire later by up to
/// a 32nd of the time between the call and the poll. If the first poll happens in another runtime, the time counts from
/// that poll.
///
/// Each poll polls the future before it checks the time, so a future that is ready when the time is up still returns
/// its output. After that, the future is not polled again. It is dropped with the [`Timeout`]. [`Duration::MAX`] means
/// no limit.
///
/// # Cancel safety
///
/// The returned future is cancel safe if `future` is.
///
/// # Errors
///
/// Returns [`Elapsed`] if the time is up before the future is ready.
///
/// # Panics
///
/// Panics when the future is pending on a thread without a runtime.
///
/// # Examples
///
/// ```
/// use runtime::time::{Duration, timeout};
///
/// # runtime::block_on(async {
/// assert_eq!(timeout(Duration::from_secs(1), async { 7 }).await, Ok(7));
///
/// let never = std::future::pending::<()>();
/// assert!(timeout(Duration::from_millis(1), never).await.is_err());
/// # });
/// ```
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    let origin = NamedOrigin::caller("Timeout");
    let limit = match Moment::now() {
        Some(call) => Limit::After(call, duration, origin),
        None => Limit::Until(Sleep::new(Instant::now().saturating_add(duration), origin)),
    };
    Timeout { future: future.into_future(), limit }
}

/// Awaits `future` until `deadline` at most.
///
/// The order of polls, the cancel safety, the errors and the panics are the same as those of [`timeout`].
///
/// # Examples
///
/// ```
/// use runtime::time::{Duration, Instant, timeout_at};
///
/// # runtime::block_on(async {
/// let deadline = Instant::now() + Duration::from_millis(1);
/// assert!(timeout_at(deadline, std::future::pending::<()>()).await.is_err());
/// # });
/// ```
#[cfg_attr(debug_assertions, track_caller)]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        limit: Limit::Until(Sleep::new(deadline, NamedOrigin::caller("Timeout"))),
    }
}

pin_project! {
    /// The future returned by [`timeout`] and [`timeout_at`].
    #[must_use = "futures do nothing unless awaited or polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        limit: Limit,
    }
}

enum Limit {
    /// The future has not been pending yet. The limit counts from the moment of the call.
    After(Moment, Duration, NamedOrigin),
    Until(Sleep),
}

impl<F> Timeout<F> {
    /// Returns a reference to the future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// Returns a mutable reference to the future.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// Returns the future without its limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Limit::After(call, ..) = this.limit {
            call.forget();
        }
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // Poll the timer regardless of the budget, so that the limit also holds for a future that uses up the
        // budget in each poll.
        let elapsed = match this.limit {
            Limit::Until(sleep) => sleep.poll_unbudgeted(cx),
            Limit::After(call, duration, origin) => {
                let (sleep, elapsed) = Sleep::poll_after(*call, *duration, *origin, cx);
                *this.limit = Limit::Until(sleep);
                elapsed
            }
        };
        elapsed.map(|()| Err(Elapsed(())))
    }
}

impl<F: fmt::Debug> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("future", &self.future).finish_non_exhaustive()
    }
}

/// The error returned when the time is up before the future is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
