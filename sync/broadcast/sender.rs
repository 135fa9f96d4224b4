//! The sending half of a broadcast channel.

use super::Receiver;
use super::error::SendError;
use super::shared::Shared;
use std::fmt;
use std::rc::Rc;

/// The sending half of a broadcast channel. [`channel`](super::channel) returns it.
///
/// It can be cloned. When all senders are dropped, the receivers get the messages that are left and then an error.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Creates a channel without a receiver. [`subscribe`](Self::subscribe) makes one.
    ///
    /// # Panics
    ///
    /// Panics if `capacity` is 0 or above `usize::MAX / 2`.
    #[track_caller]
    pub fn new(capacity: usize) -> Sender<T> {
        Sender::from_shared(Rc::new(Shared::new(capacity)))
    }

    pub(super) fn from_shared(shared: Rc<Shared<T>>) -> Sender<T> {
        shared.senders.set(shared.senders.get() + 1);
        Sender { shared }
    }

    /// Sends a message to all receivers, without waiting. Returns their number.
    ///
    /// Some of them may be dropped, or lag, before they receive it.
    ///
    /// # Errors
    ///
    /// Returns the message if there is no receiver at present. A later call may succeed.
    #[inline]
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let receivers = self.receiver_count();
        if receivers == 0 {
            return Err(SendError(value));
        }
        self.shared.send(value, receivers);
        Ok(receivers)
    }

    /// Creates a receiver, which gets the messages that are sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::from_shared(self.shared.clone())
    }

    /// Returns a handle that does not keep the channel open for the receivers.
    #[must_use = "the sender itself stays as it is"]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::from_shared(self.shared.clone())
    }

    /// Returns the number of messages in the channel that a receiver has still to get.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Returns true if the receivers have got all messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of receivers.
    #[inline]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// Returns true if both senders belong to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn closed(&self) {
        self.shared.closed.until(|| (self.receiver_count() == 0).then_some(())).await
    }

    /// Returns the number of senders.
    pub fn strong_count(&self) -> usize {
        self.shared.senders.get()
    }

    /// Returns the number of weak senders.
    pub fn weak_count(&self) -> usize {
        self.shared.weak_senders.get()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender::from_shared(self.shared.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.senders.set(self.shared.senders.get() - 1);
        if !self.shared.has_sender() {
            self.shared.sent.notify_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::Sender")
    }
}

/// A sender that does not keep its channel open: the receivers get an error although this handle exists.
/// [`Sender::downgrade`] returns it.
pub struct WeakSender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> WeakSender<T> {
    fn from_shared(shared: Rc<Shared<T>>) -> WeakSender<T> {
        shared.weak_senders.set(shared.weak_senders.get() + 1);
        WeakSender { shared }
    }

    /// Returns a sender, or `None` if all senders have been dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.shared.has_sender().then(|| Sender::from_shared(self.shared.clone()))
    }

    /// Returns the number of senders.
    pub fn strong_count(&self) -> usize {
        self.shared.senders.get()
    }

    /// Returns the number of weak senders.
    pub fn weak_count(&self) -> usize {
        self.shared.weak_senders.get()
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        WeakSender::from_shared(self.shared.clone())
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        self.shared.weak_senders.set(self.shared.weak_senders.get() - 1);
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::WeakSender")
    }
}
