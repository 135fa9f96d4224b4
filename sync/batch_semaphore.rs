//! A fair semaphore, from which a task may acquire several permits at once. The public semaphore, the locks and the bounded
//! channel are built on it; it knows none of them.
//!
//! A waiter at the head of the queue collects permits as they are released, until it has all that it wants. So while
//! a waiter is queued, no permit is available, and no later request overtakes a large one. An operation that does not have
//! to wait therefore looks at one number and not at the queue.

use super::wait_list::{Key, WaitList};
use crate::runtime::waker;
use crate::task::coop;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

pub(super) struct BatchSemaphore {
    /// The number of available permits: zero while a waiter is queued.
    permits: Cell<usize>,
    is_closed: Cell<bool>,
    /// The payload is the number of permits that a waiter still lacks.
    waiters: WaitList<usize>,
}

impl BatchSemaphore {
    /// The maximum number of permits: that of tokio.
    pub(super) const MAX_PERMITS: usize = usize::MAX >> 3;

    #[track_caller]
    pub(super) const fn new(permits: usize) -> BatchSemaphore {
        assert!(permits <= Self::MAX_PERMITS, "a semaphore may not have more than MAX_PERMITS permits");
        BatchSemaphore { permits: Cell::new(permits), is_closed: Cell::new(false), waiters: WaitList::new() }
    }

    #[inline]
    pub(super) fn available_permits(&self) -> usize {
        self.permits.get()
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    #[inline]
    pub(super) fn try_acquire(&self, count: usize) -> Result<(), TryAcquireError> {
        if self.is_closed() {
            Err(TryAcquireError::Closed)
        } else if self.take(count) {
            Ok(())
        } else {
            Err(TryAcquireError::NoPermits)
        }
    }

    /// Acquires permits, which the caller gives back by [`release`](Self::release).
    #[inline]
    pub(super) fn acquire(&self, count: usize) -> Acquire<'_> {
        Acquire { semaphore: self, count, stage: Stage::Unpolled }
    }

    /// Takes permits if that many are available.
    #[inline]
    fn take(&self, count: usize) -> bool {
        let left = self.permits.get().checked_sub(count);
        if let Some(left) = left {
            self.permits.set(left);
        }
        left.is_some()
    }

    /// Adds permits. Waiters get theirs first.
    #[inline]
    #[track_caller]
    pub(super) fn release(&self, count: usize) {
        let fits = if self.waiters.is_empty() { self.add(count) } else { self.release_to_waiters(count) };
        assert!(fits, "the number of available permits must not exceed MAX_PERMITS");
    }

    /// Makes permits available, unless there would be too many.
    #[inline]
    fn add(&self, count: usize) -> bool {
        let permits = self.permits.get().saturating_add(count);
        let fits = permits <= Self::MAX_PERMITS;
        if fits {
            self.permits.set(permits);
        }
        fits
    }

    fn release_to_waiters(&self, mut count: usize) -> bool {
        self.waiters.grant_while(|lacking| {
            let given = count.min(*lacking);
            count -= given;
            *lacking -= given;
            *lacking == 0
        });
        // Available before the waiters are woken: a waker may call this semaphore.
        let fits = self.add(count);
        self.waiters.wake_granted();
        fits
    }

    /// Removes available permits, and returns the number of those that were removed.
    pub(super) fn forget_permits(&self, count: usize) -> usize {
        let forgotten = count.min(self.permits.get());
        self.permits.set(self.permits.get() - forgotten);
        forgotten
    }

    /// Makes every waiter fail, and all that come later.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.waiters.grant_while(|_| true);
        self.waiters.wake_granted();
    }
}

// A panic of user code leaves the semaphore consistent.
impl UnwindSafe for BatchSemaphore {}
impl RefUnwindSafe for BatchSemaphore {}

impl fmt::Debug for BatchSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("permits", &self.available_permits()).finish()
    }
}

/// The future that acquires permits. Dropped before it is ready, it gives back what it has.
#[must_use = "futures do nothing unless they are polled"]
pub(super) struct Acquire<'a> {
    semaphore: &'a BatchSemaphore,
    count: usize,
    stage: Stage,
}

enum Stage {
    Unpolled,
    Queued(Key),
    /// It has the permits, and waits at most for the budget of the task.
    Acquired,
    Done,
}

impl Future for Acquire<'_> {
    type Output = Result<(), AcquireError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), AcquireError>> {
        // Queued before the budget is looked at, so that nobody overtakes it meanwhile.
        if !self.is_ready(cx.waker()) {
            return Poll::Pending;
        }
        ready!(coop::poll_budget(cx));
        coop::spend();
        let is_acquired = matches!(self.stage, Stage::Acquired);
        self.stage = Stage::Done;
        if self.semaphore.is_closed() {
            if is_acquired {
                self.semaphore.release(self.count);
            }
            return Poll::Ready(Err(AcquireError(())));
        }
        debug_assert!(is_acquired);
        Poll::Ready(Ok(()))
    }
}

impl Acquire<'_> {
    /// Returns true if the permits have been acquired or the semaphore is closed. Otherwise the waiter is queued.
    #[inline]
    fn is_ready(&mut self, waker: &Waker) -> bool {
        match &self.stage {
            Stage::Unpolled => self.take() || self.enqueue(waker),
            Stage::Queued(_) => self.dequeue(waker),
            Stage::Acquired => true,
            Stage::Done => panic!("the future was polled after it was ready"),
        }
    }

    #[inline]
    fn take(&mut self) -> bool {
        let is_closed = self.semaphore.is_closed();
        if !is_closed && self.semaphore.take(self.count) {
            self.stage = Stage::Acquired;
            return true;
        }
        is_closed
    }

    /// Queues the waiter, unless the clone of its waker has made it ready.
    #[inline(never)]
    fn enqueue(&mut self, waker: &Waker) -> bool {
        let waker = waker.clone();
        let is_ready = self.take();
        if is_ready {
            waker::discard(waker);
        } else {
            let lacking = self.count - self.semaphore.permits.replace(0);
            self.stage = Stage::Queued(self.semaphore.waiters.push_back(lacking, waker));
        }
        is_ready
    }

    /// Takes the waiter out of the queue if it has been granted.
    #[inline(never)]
    fn dequeue(&mut self, waker: &Waker) -> bool {
        let Stage::Queued(key) = &self.stage else { return false };
        if !self.semaphore.waiters.poll_granted(key, waker) {
            return false;
        }
        if let Some(part) = self.leave(Stage::Acquired) {
            // Granted because the semaphore is closed.
            self.stage = Stage::Unpolled;
            self.semaphore.release(part);
        }
        true
    }

    /// Removes the waiter from the queue. Returns the number of its permits, unless it has all of them.
    fn leave(&mut self, stage: Stage) -> Option<usize> {
        let Stage::Queued(key) = std::mem::replace(&mut self.stage, stage) else { return None };
        let lacking = self.semaphore.waiters.remove(key).payload;
        (lacking > 0).then(|| self.count - lacking)
    }

    /// Gives back what the waiter has. Those behind it may now be the ones whose turn it is.
    #[inline(never)]
    fn cancel(&mut self) {
        let count = self.leave(Stage::Done).unwrap_or(self.count);
        self.semaphore.release(count);
    }
}

impl Drop for Acquire<'_> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Queued(_) | Stage::Acquired) {
            self.cancel();
        }
    }
}

/// The error of [`Semaphore::acquire`](super::Semaphore::acquire) and similar methods: the semaphore is closed.
#[derive(Debug)]
pub struct AcquireError(());

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore closed")
    }
}

impl Error for AcquireError {}

/// The error of [`Semaphore::try_acquire`](super::Semaphore::try_acquire) and similar methods.
#[derive(Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore is closed.
    Closed,

    /// Not enough permits are available.
    NoPermits,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryAcquireError::Closed => "semaphore closed",
            TryAcquireError::NoPermits => "no permits available",
        })
    }
}

impl Error for TryAcquireError {}
