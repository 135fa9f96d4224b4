//! A future that yields to other tasks once.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Yields to the other tasks in the run queue, which run before this task proceeds.
///
/// The loop does not check timers, sockets and wakes from other threads at each yield, but after
/// [`event_interval`](crate::Builder::event_interval) polls or half a millisecond, whichever comes first.
///
/// # Cancel safety
///
/// This function is cancel safe.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(async { "done" });
/// runtime::task::yield_now().await;
/// assert!(task.is_finished());
/// # });
/// ```
pub async fn yield_now() {
    YieldNow { yielded: false }.await;
}

struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
