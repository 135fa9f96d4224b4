//! A future that is polled and dropped inside of tokio's context.

use super::helper;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// Wraps a future: tokio's context is entered whenever the future is polled, and while it is dropped.
///
/// Between two polls the context is left, so the tasks that run meanwhile are not in it, and tasks may end in any order.
/// That includes the tasks that the future spawns, such as the connections of a server: see [`enter`](super::enter).
///
/// A call that makes the future is evaluated before, and is not in the context either. Put it into an `async` block:
/// `with_tokio(async { request.send().await })`.
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
///
///     let spawned = with_tokio(async {
///         runtime::spawn(async { tokio::runtime::Handle::try_current().is_ok() })
///     });
///     assert!(!spawned.await.await.unwrap());
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
            let _entered = may_enter().then(|| this.handle.enter());
            this.future.set(None);
        }
    }
}

/// Returns false if the thread is ending, and tokio's thread-local has been destroyed. Tokio panics on such a thread, and
/// a destructor must not.
fn may_enter() -> bool {
    !Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::sync::mpsc::{Sender, channel};

    /// Sends whether the context can be entered when it is dropped.
    struct SendsOnDrop(Sender<bool>);

    impl Drop for SendsOnDrop {
        fn drop(&mut self) {
            _ = self.0.send(may_enter());
        }
    }

    thread_local! {
        static KEPT: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>> = const { RefCell::new(None) };
    }

    /// A panic in the destructor of a thread-local ends the process.
    #[test]
    fn a_future_that_is_dropped_at_the_end_of_its_thread_does_not_panic() {
        for is_ours_first in [true, false] {
            let (sender, receiver) = channel();
            let thread = std::thread::spawn(move || {
                // The destructors run in the reverse order of these, or in this order.
                if is_ours_first {
                    KEPT.take();
                }
                let held = SendsOnDrop(sender);
                let future = with_tokio(async move { drop(held) });
                KEPT.set(Some(Box::pin(future)));
            });
            thread.join().unwrap();
            let may_enter = receiver.recv().unwrap();
            if cfg!(target_os = "linux") {
                assert_eq!(may_enter, !is_ours_first);
            }
        }
    }
}
