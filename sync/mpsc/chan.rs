//! The state that the handles of an mpsc channel share: the messages, the waiters, and the counts of handles. Bounded
//! and unbounded channels differ only in their [`Limit`].
//!
//! ```text
//!            push                       poll_recv, try_recv
//!  senders ────────► queue of messages ─────────────────────► receiver
//!     ▲                                                           │
//!     └────────────── Limit::release: room for others ◄───────────┘
//! ```
//!
//! When the receiver goes, the messages go with it, although senders may keep the channel: a message may hold what
//! somebody waits for. What is pushed after that, by a permit, is dropped at once.

use super::error::TryRecvError;
use super::queue::Queue;
use crate::runtime::unwind;
use crate::runtime::waker::WakerCell;
use crate::sync::condition::Condition;
use crate::task::coop;
use std::cell::{Cell, RefCell};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

/// The limit on the number of messages in a channel.
pub(super) trait Limit {
    /// Makes room for `count` messages. May wake senders.
    fn release(&self, count: usize);

    /// Returns true if no message is in the queue, and nobody has a permit to send one.
    fn is_idle(&self) -> bool;

    /// Ends the wait for room, with an error. Wakes senders.
    fn close(&self);
}

pub(super) struct Chan<T, L> {
    queue: RefCell<Queue<T>>,
    pub(super) limit: L,
    /// The waker of the task that waits for a message.
    receiver: WakerCell,
    /// The futures that wait until the receiver takes no more messages.
    closed: Condition,
    pub(super) senders: Cell<usize>,
    pub(super) weak_senders: Cell<usize>,
    /// The receiver takes no messages besides those for which there is a permit.
    is_closed: Cell<bool>,
    has_receiver: Cell<bool>,
}

// A panic in user code leaves the state consistent.
impl<T, L> UnwindSafe for Chan<T, L> {}
impl<T, L> RefUnwindSafe for Chan<T, L> {}

/// The sender's side.
impl<T, L: Limit> Chan<T, L> {
    /// Creates the state of a channel with one sender and a receiver.
    pub(super) fn new(limit: L) -> Chan<T, L> {
        Chan {
            queue: RefCell::new(Queue::new()),
            limit,
            receiver: WakerCell::default(),
            closed: Condition::new(),
            senders: Cell::new(1),
            weak_senders: Cell::new(0),
            is_closed: Cell::new(false),
            has_receiver: Cell::new(true),
        }
    }

    /// Adds a message for which there is room.
    #[inline]
    pub(super) fn push(&self, message: T) {
        if self.has_receiver.get() {
            self.queue.borrow_mut().push(message);
            self.receiver.wake();
        } else {
            self.limit.release(1);
            unwind::drop(message);
        }
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    pub(super) async fn closed(&self) {
        self.closed.until(|| self.is_closed.get().then_some(())).await
    }

    pub(super) fn add_sender(&self) {
        self.senders.set(self.senders.get() + 1);
    }

    pub(super) fn remove_sender(&self) {
        self.senders.set(self.senders.get() - 1);
        if self.senders.get() == 0 {
            self.receiver.wake();
        }
    }

    pub(super) fn add_weak_sender(&self) {
        self.weak_senders.set(self.weak_senders.get() + 1);
    }

    pub(super) fn remove_weak_sender(&self) {
        self.weak_senders.set(self.weak_senders.get() - 1);
    }

    /// Gives back the room of messages that are not sent.
    pub(super) fn release(&self, count: usize) {
        self.limit.release(count);
        self.wake_if_over();
    }

    /// Wakes a receiver that was closed and waits for the permits that had been given before.
    pub(super) fn wake_if_over(&self) {
        if self.is_closed.get() && self.limit.is_idle() {
            self.receiver.wake();
        }
    }
}

/// The receiver's side.
impl<T, L: Limit> Chan<T, L> {
    pub(super) fn len(&self) -> usize {
        self.queue.borrow().len()
    }

    #[inline]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        let message = self.queue.borrow_mut().pop();
        match message {
            Some(message) => {
                self.limit.release(1);
                Ok(message)
            }
            None if self.is_over() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Returns true if no message can come any more.
    fn is_over(&self) -> bool {
        self.senders.get() == 0 || self.is_closed.get() && self.limit.is_idle()
    }

    /// Moves messages to the end of a buffer. Returns their number, or `None` to wait.
    fn try_recv_many(&self, buffer: &mut Vec<T>, limit: usize) -> Option<usize> {
        let count = self.queue.borrow_mut().pop_many(buffer, limit);
        if count > 0 {
            self.limit.release(count);
        }
        (count > 0 || limit == 0 || self.is_over()).then_some(count)
    }

    #[inline]
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll(cx, || match self.try_recv() {
            Ok(message) => Some(Some(message)),
            Err(TryRecvError::Disconnected) => Some(None),
            Err(TryRecvError::Empty) => None,
        })
    }

    pub(super) fn poll_recv_many(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        self.poll(cx, || self.try_recv_many(buffer, limit))
    }

    #[inline]
    fn poll<R>(&self, cx: &mut Context<'_>, mut receive: impl FnMut() -> Option<R>) -> Poll<R> {
        ready!(coop::poll_budget(cx));
        let mut received = receive();
        if received.is_none() {
            self.receiver.leave(cx.waker());
            // The clone of a foreign waker may have sent a message.
            received = receive();
            if received.is_some() {
                self.receiver.clear();
            }
        }
        match received {
            Some(received) => {
                coop::spend();
                Poll::Ready(received)
            }
            None => Poll::Pending,
        }
    }

    pub(super) fn close(&self) {
        if !self.is_closed.replace(true) {
            self.limit.close();
            self.closed.notify_all();
            self.wake_if_over();
        }
    }

    /// Ends the receiver's side.
    pub(super) fn remove_receiver(&self) {
        self.has_receiver.set(false);
        self.receiver.clear();
        let messages = self.queue.borrow_mut().take();
        // Closed before the room is given back, so that no sender gets it.
        self.close();
        self.limit.release(messages.len());
        unwind::drop_each(messages);
    }
}
