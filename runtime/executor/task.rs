//! A task: a future and, once that is ready, its output, in one allocation.
//!
//! ```text
//!              poll: Ready            join, detach
//!    Future ───────────────► Output ───────────────► Output(None): reused by another task, or freed
//!       │
//!       │ panic, abort        join, detach
//!       └───────────────► Failure ───────► freed
//! ```
//!
//! The executor sees a task as `dyn Task`. The join handle knows the type of the output, and moves the output out by a
//! downcast. The empty box may then be reused for another task (`free_lists.rs`): filling it drops nothing, so it runs
//! no user code. A task that fails is replaced by a [`Failure`]. So the memory of its future is freed at once, and
//! tasks that do not fail need no memory for a reason.

use crate::runtime::executor::free_lists::FreeLists;
use crate::runtime::join::error::{JoinError, UnreadHook, drop_unread};
use crate::runtime::unwind;
use pin_project_lite::pin_project;
use std::any::Any;
use std::hint::black_box;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The form in which the executor holds each task.
pub(crate) type BoxedTask = Pin<Box<dyn Task>>;

/// A task with a future of any type.
pub(crate) trait Task {
    /// Polls the future. When it is ready, drops it and keeps its output.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Moves the output into `output`, which is an empty `Option` of its type, and gives the box to `free_lists`. A
    /// task that has failed is returned instead. This runs no user code.
    fn take(self: Pin<Box<Self>>, output: &mut dyn Any, free_lists: &mut FreeLists) -> Option<BoxedTask>;

    /// Reads from the memory of the task, so that a poll that follows soon need not wait for it. Has no other effect.
    fn fetch(&self) {}

    /// Takes the reason why the task has failed.
    fn failure(self: Pin<&mut Self>) -> Option<JoinError>;

    /// Drops the future or the output, so that the box is empty. A panic in that drop is caught.
    fn clear(self: Pin<&mut Self>);

    /// Gives the box, which is empty, to `free_lists`.
    fn recycle(self: Pin<Box<Self>>, free_lists: &mut FreeLists);
}

pin_project! {
    /// A spawned future, in one of the stages of its life.
    #[project = StageProjection]
    pub(crate) enum Stage<F: Future> {
        Future { #[pin] future: F },
        Output { output: Option<F::Output> },
    }
}

/// Moves a future into a box. Reuses an empty box of its type if there is one.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn boxed<F>(future: F, free_lists: &mut FreeLists) -> BoxedTask
where
    F: Future + 'static,
    F::Output: 'static,
{
    match free_lists.pop() {
        Some(mut task) => {
            task.set(Stage::Future { future });
            task
        }
        None => Box::pin(Stage::Future { future }),
    }
}

impl<F> Task for Stage<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let StageProjection::Future { future } = self.as_mut().project() else {
            debug_assert!(false, "a finished task was polled");
            return Poll::Ready(());
        };
        let output = std::task::ready!(future.poll(cx));
        self.set(Stage::Output { output: Some(output) });
        Poll::Ready(())
    }

    fn take(mut self: Pin<Box<Self>>, output: &mut dyn Any, free_lists: &mut FreeLists) -> Option<BoxedTask> {
        let output = output.downcast_mut::<Option<F::Output>>();
        debug_assert!(output.is_some(), "a join handle of another type");
        if let (StageProjection::Output { output: from }, Some(to)) = (self.as_mut().project(), output) {
            // The earlier value is forgotten, since there is nothing to drop in it.
            mem::forget(mem::replace(to, from.take()));
        }
        free_lists.push(self);
        None
    }

    fn fetch(&self) {
        black_box(matches!(self, Stage::Future { .. }));
    }

    fn failure(self: Pin<&mut Self>) -> Option<JoinError> {
        None
    }

    fn clear(mut self: Pin<&mut Self>) {
        if matches!(*self, Stage::Output { .. }) && !mem::needs_drop::<F::Output>() {
            self.set(Stage::Output { output: None });
        } else {
            unwind::contain(|| self.set(Stage::Output { output: None }));
        }
    }

    fn recycle(self: Pin<Box<Self>>, free_lists: &mut FreeLists) {
        free_lists.push(self);
    }
}

/// The remains of a task that panicked or was aborted.
pub(crate) struct Failure {
    /// `None` once the join handle has taken it.
    error: Option<JoinError>,
    on_unread: Option<UnreadHook>,
}

impl Failure {
    /// The hook is called if the error is dropped without having been taken.
    pub(crate) fn boxed(error: JoinError, on_unread: Option<UnreadHook>) -> BoxedTask {
        Box::pin(Failure { error: Some(error), on_unread })
    }
}

impl Task for Failure {
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn take(self: Pin<Box<Self>>, _: &mut dyn Any, _: &mut FreeLists) -> Option<BoxedTask> {
        Some(self)
    }

    fn failure(mut self: Pin<&mut Self>) -> Option<JoinError> {
        self.error.take()
    }

    fn clear(mut self: Pin<&mut Self>) {
        if let Some(error) = self.error.take() {
            drop_unread(error, self.on_unread.as_ref());
        }
    }

    fn recycle(self: Pin<Box<Self>>, _: &mut FreeLists) {}
}
