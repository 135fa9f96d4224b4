//! A future that keeps its output until the others of its `join!` are done.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project_lite::pin_project! {
    /// A future, or its output. The future is dropped as soon as it is ready, in place, and is never polled again.
    #[project = Projected]
    #[project_replace = Replaced]
    pub enum MaybeDone<F, T> {
        Future { #[pin] future: F },
        Done { output: T },
        Taken,
    }
}

impl<F, T> MaybeDone<F, T> {
    /// Wraps a future that has not been polled.
    pub fn new(future: impl IntoFuture<IntoFuture = F>) -> MaybeDone<F, T> {
        MaybeDone::Future { future: future.into_future() }
    }

    /// Takes the output.
    ///
    /// # Panics
    ///
    /// Panics if the future is not done, or if the output has been taken.
    pub fn take(self: Pin<&mut Self>) -> T {
        match self.project_replace(MaybeDone::Taken) {
            Replaced::Done { output } => output,
            _ => panic!("a branch is done when its output is taken"),
        }
    }
}

impl<F: Future> MaybeDone<F, F::Output> {
    /// Polls the future of a `join!`, unless it is done.
    pub fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if let Projected::Future { future } = self.as_mut().project() {
            let output = ready!(future.poll(cx));
            self.set(MaybeDone::Done { output });
        }
        Poll::Ready(Ok(()))
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> MaybeDone<F, T> {
    /// Polls the future of a `try_join!`, unless it is done. An error is returned and not kept.
    pub fn try_poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        if let Projected::Future { future } = self.as_mut().project() {
            match ready!(future.poll(cx)) {
                Ok(output) => self.set(MaybeDone::Done { output }),
                Err(error) => {
                    self.set(MaybeDone::Taken);
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
