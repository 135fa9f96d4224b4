//! The sending half of a watch channel.

use super::error::SendError;
use super::shared::{Ref, Shared};
use super::{Receiver, channel};
use crate::runtime::unwind;
use std::fmt;
use std::rc::Rc;

/// The sending half of a watch channel. [`channel`] returns it.
///
/// It can be cloned. When all senders are dropped, [`Receiver::changed`] returns an error.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Creates a channel without a receiver. [`subscribe`](Self::subscribe) makes one.
    pub fn new(init: T) -> Sender<T> {
        channel(init).0
    }

    pub(super) fn from_shared(shared: Rc<Shared<T>>) -> Sender<T> {
        shared.senders.set(shared.senders.get() + 1);
        Sender { shared }
    }

    /// Replaces the value, and tells the receivers.
    ///
    /// # Errors
    ///
    /// Returns the value if there is no receiver; the value in the channel stays. [`send_replace`](Self::send_replace)
    /// works without a receiver.
    ///
    /// # Panics
    ///
    /// Panics while a [`Ref`] to the value exists.
    #[inline]
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        unwind::drop(self.send_replace(value));
        Ok(())
    }

    /// Changes the value in place, and tells the receivers, also if there is none.
    ///
    /// If `modify` panics, the receivers are not told, and the value stays as the closure has left it.
    ///
    /// # Panics
    ///
    /// Panics while a [`Ref`] to the value exists, and if `modify` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = runtime::sync::watch::channel(vec![1, 2]);
    /// sender.send_modify(|numbers| numbers.push(3));
    /// assert_eq!(*receiver.borrow(), [1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn send_modify<F>(&self, modify: F)
    where
        F: FnOnce(&mut T),
    {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value in place, and tells the receivers if `modify` returns true. Returns what `modify` returned.
    ///
    /// If `modify` panics, the receivers are not told, and the value stays as the closure has left it.
    ///
    /// # Panics
    ///
    /// Panics while a [`Ref`] to the value exists, and if `modify` panics.
    #[inline]
    #[track_caller]
    pub fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let Ok(mut value) = self.shared.value.try_borrow_mut() else {
            panic!(
                "the value of a watch channel is borrowed while another one is sent: \
                 do not keep what borrow returns across an await, or in the call of send"
            )
        };
        let is_modified = modify(value.get_mut());
        drop(value);
        if is_modified {
            self.shared.count_change();
            self.shared.changed.notify_all();
        }
        is_modified
    }

    /// Replaces the value, also if there is no receiver, tells the receivers, and returns the earlier value.
    ///
    /// # Panics
    ///
    /// Panics while a [`Ref`] to the value exists.
    #[inline]
    #[track_caller]
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_if_modified(|old| {
            std::mem::swap(old, &mut value);
            true
        });
        value
    }

    /// Returns a reference to the value.
    ///
    /// # Panics
    ///
    /// Panics inside of the closure of [`send_modify`](Self::send_modify) or [`send_if_modified`](Self::send_if_modified).
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow(false)
    }

    /// Returns true if there is no receiver. [`subscribe`](Self::subscribe) makes it false again.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn closed(&self) {
        self.shared.closed.until(|| self.is_closed().then_some(())).await
    }

    /// Creates a receiver, which has seen the value that is in the channel now.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let sender = runtime::sync::watch::Sender::new(0);
    /// assert!(sender.send(1).is_err());
    /// sender.send_replace(2);
    ///
    /// let receiver = sender.subscribe();
    /// assert!(!receiver.has_changed().unwrap());
    /// assert_eq!(*receiver.borrow(), 2);
    /// # });
    /// ```
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::from_shared(self.shared.version(), self.shared.clone())
    }

    /// Returns the number of receivers.
    #[inline]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// Returns the number of senders.
    pub fn sender_count(&self) -> usize {
        self.shared.senders.get()
    }

    /// Returns true if both senders belong to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender::from_shared(self.shared.clone())
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Sender::new(T::default())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.senders.set(self.shared.senders.get() - 1);
        if !self.shared.has_sender() {
            self.shared.changed.notify_all();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("value", &self.shared.value)
            .field("receiver_count", &self.receiver_count())
            .finish_non_exhaustive()
    }
}
