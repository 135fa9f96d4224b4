//! Scopes: children that may borrow from what is outside of their scope.
//!
//! The children are not tasks. Their futures are owned by the future of the scope, which polls those that were woken.
//! So nothing has to be promised about when they are dropped: a scope that is forgotten never polls its children
//! again, and a scope that is dropped drops them, while everything that they borrow still exists. Children that were
//! spawned on the executor and borrowed could outlive a scope that is forgotten, and no safe code could prevent that.
//!
//! Each child has a waker of its own, which queues the child and wakes the task of the scope once for all that are
//! queued before it runs. The body of the scope is queued like a child.

mod handle;
mod ready;

use crate::runtime::unwind;
pub use handle::ScopedHandle;
use handle::place;
use pin_project_lite::pin_project;
use ready::{ChildWaker, Ready};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

/// Runs `body`, which may spawn children that borrow from outside of the scope, and waits until all of them have ended.
/// Returns the output of `body`.
///
/// The children run concurrently with each other and with the body, as part of the calling task: they have its id, and
/// a child that blocks holds up all of them. Each is polled only when it was woken. To run work as tasks of their own,
/// use a [`JoinSet`](crate::task::JoinSet).
///
/// Why the children are not tasks: a task lives on its own, and safe code may forget the future that waits for it,
/// after which the task would use what no longer exists.
///
/// # Cancel safety
///
/// If the returned future is dropped, the body and all children are dropped at once.
///
/// # Panics
///
/// A panic of the body or of a child is a panic of the poll of the scope, and so of the calling task.
///
/// # Examples
///
/// ```
/// use runtime::task;
/// use std::cell::Cell;
///
/// # runtime::block_on(async {
/// let (words, letters) = (vec!["one", "three"], Cell::new(0));
/// let longest = task::scope(async |scope| {
///     let lengths = words.iter().map(|word| {
///         let letters = &letters;
///         scope.spawn(async move {
///             letters.set(letters.get() + word.len());
///             word.len()
///         })
///     });
///     let mut longest = 0;
///     for length in lengths.collect::<Vec<_>>() {
///         longest = longest.max(length.await.unwrap());
///     }
///     longest
/// });
/// assert_eq!((longest.await, letters.get()), (5, 8));
/// # });
/// ```
///
/// A child cannot borrow what ends before the scope does:
///
/// ```compile_fail,E0597
/// # runtime::block_on(async {
/// runtime::task::scope(async |scope| {
///     let local = 1;
///     let borrowed = &local;
///     scope.spawn(async move { *borrowed });
/// }).await;
/// # });
/// ```
pub async fn scope<'env, F, Fut>(body: F) -> Fut::Output
where
    F: FnOnce(Scope<'env>) -> Fut,
    Fut: Future,
{
    let Ok(output) = run(async move |scope| Ok(body(scope).await)).await;
    output
}

/// Runs `body` and its children like [`scope`], until one of them returns an error. Then drops the others, and returns
/// the error.
///
/// # Cancel safety
///
/// If the returned future is dropped, the body and all children are dropped at once.
///
/// # Panics
///
/// A panic of the body or of a child is a panic of the poll of the scope, and so of the calling task.
///
/// # Examples
///
/// ```
/// use runtime::task;
///
/// # runtime::block_on(async {
/// let numbers = ["1", "two", "3"];
/// let result = task::try_scope(async |scope| {
///     for number in &numbers {
///         scope.try_spawn(async move { number.parse::<u32>() });
///     }
///     std::future::pending::<Result<(), _>>().await
/// });
/// assert!(result.await.is_err());
/// # });
/// ```
pub async fn try_scope<'env, F, Fut, T, E>(body: F) -> Result<T, E>
where
    F: FnOnce(Scope<'env, E>) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: 'env,
{
    run(body).await
}

async fn run<'env, F, Fut, T, E>(body: F) -> Result<T, E>
where
    F: FnOnce(Scope<'env, E>) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let scope = Scope { inner: Rc::new(Inner::new()) };
    // Dropped after the body.
    let _close = Close(&scope.inner);
    let body_waker = ChildWaker::new(&scope.inner.ready, BODY);
    body_waker.wake_by_ref();
    let body = body(scope.clone());
    let running =
        Running { scope: &scope.inner, body: Some(body), body_waker, output: None, batch: VecDeque::new() };
    pin!(running).await
}

/// Spawns the children of a scope. It is passed to the body of [`scope`] or [`try_scope`], and can be cloned.
pub struct Scope<'env, E = Infallible> {
    inner: Rc<Inner<'env, E>>,
}

struct Inner<'env, E> {
    children: RefCell<Children<'env>>,
    ready: Arc<Ready>,
    /// The first error of a child.
    error: Cell<Option<E>>,
    /// Set once the scope has ended. Children that are spawned later are dropped.
    is_closed: Cell<bool>,
}

#[derive(Default)]
struct Children<'env> {
    slots: Vec<Slot<'env>>,
    vacant: Vec<usize>,
}

type ChildFuture<'env> = Pin<Box<dyn Future<Output = ()> + 'env>>;

struct Slot<'env> {
    /// `None` while the child is polled, and once it has ended.
    future: Option<ChildFuture<'env>>,
    /// Tells the wakers of this child from those of an earlier one with this index.
    waker: Arc<ChildWaker>,
}

/// The index of the body.
const BODY: usize = usize::MAX;

impl<'env> Scope<'env> {
    /// Adds a child, which is polled when the scope is polled next. It ends with the scope at the latest. Returns a
    /// handle to its output.
    ///
    /// If the scope has ended, the child is dropped at once.
    pub fn spawn<F>(&self, child: F) -> ScopedHandle<F::Output>
    where
        F: Future + 'env,
        F::Output: 'env,
    {
        let (handle, fill) = place();
        self.inner.insert(Box::pin(async move { fill.fill(child.await) }));
        handle
    }
}

impl<'env, E> Scope<'env, E> {
    /// Adds a child, like [`spawn`](Scope::spawn). If it returns an error, the scope ends with this error.
    pub fn try_spawn<F, T>(&self, child: F) -> ScopedHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'env,
        T: 'env,
        E: 'env,
    {
        let (handle, fill) = place();
        let scope = self.inner.clone();
        self.inner.insert(Box::pin(async move {
            match child.await {
                Ok(output) => fill.fill(output),
                Err(error) if !scope.is_closed.replace(true) => scope.error.set(Some(error)),
                Err(_) => {}
            }
        }));
        handle
    }
}

impl<E> Clone for Scope<'_, E> {
    fn clone(&self) -> Self {
        Scope { inner: self.inner.clone() }
    }
}

impl<E> fmt::Debug for Scope<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("children", &self.inner.alive()).finish()
    }
}

impl<'env, E> Inner<'env, E> {
    fn new() -> Inner<'env, E> {
        Inner {
            children: RefCell::default(),
            ready: Arc::default(),
            error: Cell::new(None),
            is_closed: Cell::new(false),
        }
    }

    /// Returns the number of children that have not ended.
    fn alive(&self) -> usize {
        let children = self.children.borrow();
        children.slots.len() - children.vacant.len()
    }

    fn insert(&self, future: ChildFuture<'env>) {
        if self.is_closed.get() {
            return drop(future);
        }
        let mut children = self.children.borrow_mut();
        let index = children.vacant.pop().unwrap_or(children.slots.len());
        let waker = ChildWaker::new(&self.ready, index);
        let slot = Slot { future: Some(future), waker: waker.clone() };
        if index == children.slots.len() {
            children.slots.push(slot);
        } else {
            // The slot of a child that has ended has no future.
            children.slots[index] = slot;
        }
        drop(children);
        waker.wake();
    }

    /// Polls the child of a waker, if it has not ended. Nothing is borrowed meanwhile.
    fn poll_child(&self, waker: &Arc<ChildWaker>) {
        let taken = self.children.borrow_mut().slots.get_mut(waker.index).and_then(|slot| {
            let is_current = Arc::ptr_eq(&slot.waker, waker);
            if is_current { slot.future.take() } else { None }
        });
        let Some(mut future) = taken else { return };
        // Releases the slot if the child ends, also by a panic.
        let release = Release { inner: self, index: waker.index };
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker.clone().into()));
        if poll.is_pending() && !self.is_closed.get() {
            mem::forget(release);
            self.children.borrow_mut().slots[waker.index].future = Some(future);
        } else {
            drop(future);
        }
    }

    /// Drops all children. Those that they spawn meanwhile are dropped at once.
    fn close(&self) {
        self.is_closed.set(true);
        self.ready.close();
        let children = self.children.take();
        unwind::drop_each(children.slots.into_iter().filter_map(|slot| slot.future));
    }
}

struct Release<'a, 'env, E> {
    inner: &'a Inner<'env, E>,
    index: usize,
}

impl<E> Drop for Release<'_, '_, E> {
    fn drop(&mut self) {
        self.inner.children.borrow_mut().vacant.push(self.index);
    }
}

struct Close<'a, 'env, E>(&'a Inner<'env, E>);

impl<E> Drop for Close<'_, '_, E> {
    fn drop(&mut self) {
        self.0.close();
    }
}

pin_project! {
    struct Running<'a, 'env, Fut, T, E> {
        scope: &'a Inner<'env, E>,
        #[pin]
        body: Option<Fut>,
        body_waker: Arc<ChildWaker>,
        output: Option<T>,
        // Those that were woken and have not been polled. Kept here, so that a panic of one of them loses no other.
        batch: VecDeque<Arc<ChildWaker>>,
    }
}

impl<Fut, T, E> Future for Running<'_, '_, Fut, T, E>
where
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let mut this = self.project();
        if this.batch.is_empty() {
            this.scope.ready.take(this.batch);
        }
        // One batch: children that wake themselves let the other tasks of the loop run.
        while let Some(waker) = this.batch.pop_front() {
            waker.begin_poll();
            if waker.index != BODY {
                this.scope.poll_child(&waker);
            } else if let Some(body) = this.body.as_mut().as_pin_mut()
                && let Poll::Ready(result) = body.poll(&mut Context::from_waker(&waker.into()))
            {
                *this.output = Some(result?);
                this.body.set(None);
            }
            if let Some(error) = this.scope.error.take() {
                return Poll::Ready(Err(error));
            }
        }
        if this.scope.alive() == 0
            && let Some(output) = this.output.take()
        {
            return Poll::Ready(Ok(output));
        }
        if !this.scope.ready.wait(cx.waker()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
