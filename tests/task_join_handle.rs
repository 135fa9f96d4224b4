//! Join handles in generic code, and their wakers.

mod common;

use common::{CountingWaker, run};
use runtime::task::{JoinError, JoinHandle, spawn_blocking, yield_now};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Has no bound on `T`: this compiles only if the handle is a future for every `T`.
async fn first_of<T>(tasks: Vec<JoinHandle<T>>) -> Option<Result<T, JoinError>> {
    let mut first = None;
    for task in tasks {
        let result = task.await;
        first = first.or(Some(result));
    }
    first
}

/// A type that owns a handle of any type, and is a future itself without a bound.
struct Named<T>(&'static str, JoinHandle<T>);

impl<T> Future for Named<T> {
    type Output = (&'static str, Result<T, JoinError>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.0;
        Pin::new(&mut self.1).poll(cx).map(|result| (name, result))
    }
}

#[test]
fn generic_code_awaits_a_handle_without_a_bound_on_its_output() {
    run(async {
        let tasks = (1..=3).map(|n| runtime::spawn(async move { vec![n; 2] })).collect();
        assert_eq!(first_of(tasks).await.unwrap().unwrap(), [1, 1]);
        let (name, result) = Named("local", runtime::spawn(async { String::from("text") })).await;
        assert_eq!((name, &*result.unwrap()), ("local", "text"));
        let (name, result) = Named("blocking", spawn_blocking(|| 7)).await;
        assert_eq!((name, result.unwrap()), ("blocking", 7));
        let remote = runtime::Handle::current().spawn(async { 'c' });
        assert_eq!(first_of(vec![remote]).await.unwrap().unwrap(), 'c');
    });
}

#[test]
fn a_handle_gives_the_error_of_its_task_whatever_the_type() {
    run(async {
        let panicked: JoinHandle<Box<str>> = runtime::spawn(async { panic!("expected") });
        assert!(first_of(vec![panicked]).await.unwrap().unwrap_err().is_panic());
        let aborted = runtime::spawn(std::future::pending::<[u8; 100]>());
        aborted.abort();
        assert!(Named("aborted", aborted).await.1.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_foreign_waker_is_woken_once_and_the_output_is_there() {
    run(async {
        let mut task = runtime::spawn(async {
            yield_now().await;
            7
        });
        let (counting, waker) = CountingWaker::new();
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
        yield_now().await;
        assert_eq!(counting.wakes(), 0);
        yield_now().await;
        assert_eq!(counting.wakes(), 1);
        match Pin::new(&mut task).poll(&mut cx) {
            Poll::Ready(output) => assert_eq!(output.unwrap(), 7),
            Poll::Pending => panic!("a handle whose waker was woken is not ready"),
        }
    });
}
