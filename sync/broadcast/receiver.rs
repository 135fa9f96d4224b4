//! The receiving half of a broadcast channel.

use super::error::{RecvError, TryRecvError};
use super::shared::Shared;
use std::fmt;
use std::rc::Rc;

/// The receiving half of a broadcast channel. [`channel`](super::channel), [`Sender::subscribe`](super::Sender::subscribe)
/// and [`resubscribe`](Self::resubscribe) return it.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The position of the next message to receive.
    next: u64,
}

impl<T> Receiver<T> {
    pub(super) fn from_shared(shared: Rc<Shared<T>>) -> Receiver<T> {
        shared.receivers.set(shared.receivers.get() + 1);
        let next = shared.tail();
        Receiver { shared, next }
    }

    /// Returns the number of messages that were sent and that this receiver has not received. It counts those it has
    /// missed, until it learns of them, so it may be above the capacity.
    pub fn len(&self) -> usize {
        self.shared.tail().wrapping_sub(self.next) as usize
    }

    /// Returns true if this receiver has received all messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true if both receivers belong to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    /// Returns the number of senders.
    pub fn sender_strong_count(&self) -> usize {
        self.shared.senders.get()
    }

    /// Returns the number of weak senders.
    pub fn sender_weak_count(&self) -> usize {
        self.shared.weak_senders.get()
    }

    /// Returns true if all senders were dropped. There may still be messages.
    pub fn is_closed(&self) -> bool {
        !self.shared.has_sender()
    }
}

impl<T: Clone> Receiver<T> {
    /// Creates a receiver that gets the messages which are sent from now on, and not those that are in the channel already.
    pub fn resubscribe(&self) -> Self {
        Receiver::from_shared(self.shared.clone())
    }

    /// Receives the next message.
    ///
    /// # Errors
    ///
    /// Returns [`RecvError::Lagged`] if messages were overwritten before they could be received, and then continues with the
    /// oldest message that is left. Returns [`RecvError::Closed`] when all messages are received and all senders were
    /// dropped.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has received nothing.
    #[inline]
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        let Receiver { shared, next } = self;
        shared
            .sent
            .until(|| match shared.receive(next) {
                Ok(message) => Some(Ok(message)),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
                Err(TryRecvError::Lagged(missed)) => Some(Err(RecvError::Lagged(missed))),
            })
            .await
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError::Empty`] if there is no message at present; the other errors are those of
    /// [`recv`](Self::recv).
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.receive(&mut self.next)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver(self.next);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::Receiver")
    }
}
