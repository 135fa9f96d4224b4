//! The barrier. Its wait list holds the futures that have arrived in the present generation. The future that completes the
//! generation grants all others, and does not become a waiter itself.

use super::wait_list::{Key, WaitList};
use crate::runtime::waker;
use crate::task::coop;
use std::cell::Cell;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

/// A barrier at which a number of tasks wait for each other.
///
/// It can be used again: once all tasks of a generation have arrived, the next ones form a new generation.
///
/// # Examples
///
/// ```
/// use runtime::sync::Barrier;
/// use std::rc::Rc;
///
/// # runtime::block_on(async {
/// let barrier = Rc::new(Barrier::new(3));
/// let mut tasks = Vec::new();
/// for _ in 0..3 {
///     let barrier = barrier.clone();
///     tasks.push(runtime::spawn(async move { barrier.wait().await.is_leader() }));
/// }
/// let mut leaders = 0;
/// for task in tasks {
///     leaders += usize::from(task.await.unwrap());
/// }
/// assert_eq!(leaders, 1);
/// # });
/// ```
#[derive(Debug)]
pub struct Barrier {
    /// The number of tasks that form a generation.
    n: usize,
    /// The number of waiters that have not been granted.
    arrived: Cell<usize>,
    waiters: WaitList<()>,
}

// A panic of user code leaves it consistent.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl Barrier {
    /// Creates a barrier for `n` tasks. For zero tasks it is the same as for one: nobody waits.
    pub const fn new(n: usize) -> Barrier {
        Barrier { n: if n == 0 { 1 } else { n }, arrived: Cell::new(0), waiters: WaitList::new() }
    }

    /// Waits until all tasks have arrived.
    ///
    /// The result tells one task of each generation, the last to arrive, that it is the leader.
    ///
    /// # Cancel safety
    ///
    /// A dropped call is taken back: the task has not arrived. With tokio it stays counted.
    pub async fn wait(&self) -> BarrierWaitResult {
        Wait { barrier: self, stage: Stage::Created }.await
    }

    /// Completes the generation if one more arrival does.
    fn complete(&self) -> bool {
        if self.arrived.get() + 1 < self.n {
            return false;
        }
        self.arrived.set(0);
        self.waiters.grant_while(|()| true);
        self.waiters.wake_granted();
        true
    }
}

/// The result of [`Barrier::wait`].
#[derive(Debug, Clone)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Returns true for one task of each generation.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

struct Wait<'a> {
    barrier: &'a Barrier,
    stage: Stage,
}

enum Stage {
    Created,
    Queued(Key),
    Released { is_leader: bool },
}

impl Future for Wait<'_> {
    type Output = BarrierWaitResult;

    // Compiled with the program that uses it, since the linker keeps the exception table of a function that it removes.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        // It arrives before the budget is looked at, so that the others need not wait for that.
        let is_leader = ready!(self.poll_released(cx.waker()));
        ready!(coop::poll_budget(cx));
        coop::spend();
        Poll::Ready(BarrierWaitResult(is_leader))
    }
}

impl Wait<'_> {
    /// Polls for the generation to be complete. Returns whether this is its leader.
    fn poll_released(&mut self, waker: &Waker) -> Poll<bool> {
        let is_leader = match &self.stage {
            Stage::Created => ready!(self.arrive(waker)),
            Stage::Queued(key) => {
                if !self.barrier.waiters.poll_granted(key, waker) {
                    return Poll::Pending;
                }
                false
            }
            Stage::Released { is_leader } => *is_leader,
        };
        if let Stage::Queued(key) = mem::replace(&mut self.stage, Stage::Released { is_leader }) {
            self.barrier.waiters.remove(key);
        }
        Poll::Ready(is_leader)
    }

    fn arrive(&mut self, waker: &Waker) -> Poll<bool> {
        let barrier = self.barrier;
        if barrier.complete() {
            return Poll::Ready(true);
        }
        let waker = waker.clone();
        // Others may have arrived during the clone.
        if barrier.complete() {
            waker::discard(waker);
            return Poll::Ready(true);
        }
        self.stage = Stage::Queued(barrier.waiters.push_back((), waker));
        barrier.arrived.set(barrier.arrived.get() + 1);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Stage::Queued(key) = mem::replace(&mut self.stage, Stage::Created) {
            let barrier = self.barrier;
            // Careful: uncounted before the waiter is removed, since the drop of its waker may complete a generation.
            if !barrier.waiters.is_granted(&key) {
                barrier.arrived.set(barrier.arrived.get() - 1);
            }
            barrier.waiters.remove(key);
        }
    }
}
