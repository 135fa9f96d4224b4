//! A condition that any number of futures wait for: that a value has changed, that a message has come, or that a channel
//! is closed. All waiters are woken when it may hold, and each of them looks again.
//!
//! The condition itself is a closure of the future that waits. It reads the state of the type that it belongs to, and
//! runs no user code.

use super::wait_list::{Key, WaitList};
use crate::runtime::waker;
use crate::task::coop;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

pub(super) struct Condition(WaitList<()>);

impl Condition {
    pub(super) const fn new() -> Condition {
        Condition(WaitList::new())
    }

    /// Wakes all waiters. The caller has changed the state before, and borrows nothing.
    #[inline]
    pub(super) fn notify_all(&self) {
        if !self.0.is_empty() {
            self.0.grant_while(|()| true);
            self.0.wake_granted();
        }
    }

    /// Waits until `look` returns `Some`, and returns what is in it.
    #[inline]
    pub(super) async fn until<R>(&self, mut look: impl FnMut() -> Option<R>) -> R {
        let mut place = Place { condition: self, key: None };
        poll_fn(|cx| self.poll_until(&mut place.key, cx, &mut look)).await
    }

    /// Polls for `look` to return `Some`. The future holds the key while it is a waiter, and calls
    /// [`leave`](Self::leave) when it is dropped.
    #[inline]
    pub(super) fn poll_until<R>(
        &self,
        key: &mut Option<Key>,
        cx: &mut Context<'_>,
        mut look: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        // There is no order among the waiters, so a future that has no budget need not become one first.
        ready!(coop::poll_budget(cx));
        if let Some(seen) = look() {
            self.leave(key);
            coop::spend();
            return Poll::Ready(seen);
        }
        if let Some(waiter) = key {
            if !self.0.poll_granted(waiter, cx.waker()) {
                return Poll::Pending;
            }
            // It was woken, but what it was woken for is over.
            self.leave(key);
        }
        let waker = cx.waker().clone();
        // The clone of a foreign waker may have changed the state.
        match look() {
            Some(seen) => {
                waker::discard(waker);
                coop::spend();
                Poll::Ready(seen)
            }
            None => {
                *key = Some(self.0.push_back((), waker));
                Poll::Pending
            }
        }
    }

    /// Removes the waiter, if the key is that of one.
    #[inline]
    pub(super) fn leave(&self, key: &mut Option<Key>) {
        if let Some(key) = key.take() {
            self.0.remove(key);
        }
    }
}

/// The place of a future among the waiters, which it leaves when it is dropped.
struct Place<'a> {
    condition: &'a Condition,
    key: Option<Key>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.condition.leave(&mut self.key);
    }
}
