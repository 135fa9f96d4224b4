//! The state that the handles of a broadcast channel share: the ring of messages, the counts of handles, and the waiters.

use super::error::TryRecvError;
use super::ring::{Found, Message, Ring};
use crate::runtime::unwind;
use crate::sync::condition::Condition;
use std::cell::{Cell, RefCell};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

pub(super) struct Shared<T> {
    ring: RefCell<Ring<T>>,
    pub(super) senders: Cell<usize>,
    pub(super) weak_senders: Cell<usize>,
    pub(super) receivers: Cell<usize>,
    /// There is a message, or no sender is left.
    pub(super) sent: Condition,
    /// No receiver is left.
    pub(super) closed: Condition,
}

// A panic in user code leaves the state consistent.
impl<T> UnwindSafe for Shared<T> {}
impl<T> RefUnwindSafe for Shared<T> {}

impl<T> Shared<T> {
    /// Creates the state of a channel without handles.
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Shared<T> {
        assert!(capacity > 0, "broadcast channel capacity cannot be zero");
        assert!(capacity <= usize::MAX >> 1, "broadcast channel capacity exceeded `usize::MAX / 2`");
        Shared::with_tail(capacity.next_power_of_two(), 0)
    }

    /// Creates the state with the position of the first message.
    pub(super) fn with_tail(capacity: usize, tail: u64) -> Shared<T> {
        Shared {
            ring: RefCell::new(Ring::new(capacity, tail)),
            senders: Cell::new(0),
            weak_senders: Cell::new(0),
            receivers: Cell::new(0),
            sent: Condition::new(),
            closed: Condition::new(),
        }
    }

    /// Returns the position of the next message.
    #[inline]
    pub(super) fn tail(&self) -> u64 {
        self.ring.borrow().tail()
    }

    /// Returns the number of messages that somebody has still to receive.
    pub(super) fn len(&self) -> usize {
        self.ring.borrow().len()
    }

    #[inline]
    pub(super) fn has_sender(&self) -> bool {
        self.senders.get() > 0
    }

    #[inline]
    pub(super) fn send(&self, message: T, receivers: usize) {
        let message = match receivers {
            1 => Message::ForOne(message),
            _ => Message::ForMany(Rc::new(message)),
        };
        let removed = self.ring.borrow_mut().push(message, receivers);
        self.sent.notify_all();
        if let Some(removed) = removed {
            drop_message(removed);
        }
    }

    /// Counts a receiver that is dropped, and drops what only that one had still to receive.
    pub(super) fn remove_receiver(&self, next: u64) {
        self.receivers.set(self.receivers.get() - 1);
        let removed = self.ring.borrow_mut().leave(next);
        if self.receivers.get() == 0 {
            self.closed.notify_all();
        }
        removed.into_iter().for_each(drop_message);
    }
}

impl<T: Clone> Shared<T> {
    /// Receives the message at the position of a receiver, and moves the position on.
    #[inline]
    pub(super) fn receive(&self, next: &mut u64) -> Result<T, TryRecvError> {
        let found = self.ring.borrow_mut().look(next);
        match found {
            Found::Taken(Message::ForOne(message)) => Ok(message),
            // A receiver that is cloning it may still hold it.
            Found::Taken(Message::ForMany(message)) => Ok(Rc::unwrap_or_clone(message)),
            Found::Shared(message) => {
                let held = Held(Some(message));
                // If the clone panics, the message is received by the next call.
                let clone = held.0.as_deref().cloned();
                let removed = self.ring.borrow_mut().pass(next);
                if let Some(removed) = removed {
                    drop_message(removed);
                }
                clone.ok_or(TryRecvError::Closed)
            }
            Found::Lagged(missed) => Err(TryRecvError::Lagged(missed)),
            Found::Nothing if self.has_sender() => Err(TryRecvError::Empty),
            Found::Nothing => Err(TryRecvError::Closed),
        }
    }
}

/// A message that a receiver clones. Others may drop all other handles to it in the meantime.
struct Held<T>(Option<Rc<T>>);

impl<T> Drop for Held<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(message) = self.0.take() {
            drop_message(Message::ForMany(message));
        }
    }
}

/// Drops a message, if this is the last handle to it. If that panics, the panic is caught.
#[inline]
fn drop_message<T>(message: Message<T>) {
    let message = match message {
        Message::ForOne(message) => Some(message),
        Message::ForMany(message) => Rc::into_inner(message),
    };
    if let Some(message) = message {
        unwind::drop(message);
    }
}
