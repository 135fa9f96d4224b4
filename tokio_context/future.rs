//! A future that is polled and dropped inside of tokio's context.

use super::helper;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// Wraps a future: tokio's context is entered whenever the future is polled, and while it is dropped.
///
/// Between two polls the context is left, so the tasks that run meanwhile are not in it, and tasks may end in any order.
///
/// # Cancel safety
///
/// The future is as cancel safe as the one that it wraps.
///
/// # Panics
///
/// Panics if the helper thread cannot be started: see [`try_enter`](super::try_enter).
///
/// # Examples
///
/// ```
/// use runtime::tokio_context::with_tokio;
///
/// let task = with_tokio(async { tokio::runtime::Handle::try_current().is_ok() });
/// runtime::block_on(async {
///     assert!(task.await);
///     assert!(tokio::runtime::Handle::try_current().is_err());
/// });
/// ```
#[track_caller]
pub fn with_tokio<F: IntoFuture>(future: F) -> WithTokio<F::IntoFuture> {
    match helper::handle() {
        Ok(handle) => {
            let _entered = handle.enter();
            WithTokio { future: Some(future.into_future()), handle }
        }
        Err(error) => panic!("the thread of tokio's context could not be started: {error}"),
    }
}

pin_project! {
    /// The future returned by [`with_tokio`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct WithTokio<F> {
        // `None` only while this is dropped.
        #[pin]
        future: Option<F>,
        handle: &'static Handle,
    }

    impl<F> PinnedDrop for WithTokio<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.handle.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for WithTokio<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.handle.enter();
        match this.future.as_pin_mut() {
            Some(future) => future.poll(cx),
            None => unreachable!("the future is there until the drop"),
        }
    }
}
