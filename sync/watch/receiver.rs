//! The receiving half of a watch channel.

use super::error::RecvError;
use super::shared::{Ref, Shared, Version};
use crate::task::coop;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;

/// The receiving half of a watch channel. [`channel`](super::channel) and [`Sender::subscribe`](super::Sender::subscribe)
/// return it.
///
/// It remembers which value it has seen. A clone has seen the same one.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    seen: Version,
}

impl<T> Receiver<T> {
    pub(super) fn from_shared(seen: Version, shared: Rc<Shared<T>>) -> Receiver<T> {
        shared.receivers.set(shared.receivers.get() + 1);
        Receiver { shared, seen }
    }

    /// Returns a reference to the latest value, and does not mark it as seen: [`changed`](Self::changed) still returns at
    /// once if it was not seen before.
    ///
    /// # Panics
    ///
    /// Panics inside of the closure of [`Sender::send_modify`](super::Sender::send_modify) or `send_if_modified`.
    #[inline]
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow(self.is_behind())
    }

    /// Returns a reference to the latest value, and marks it as seen.
    ///
    /// In a loop with [`changed`](Self::changed) this is the better choice: if the value changes between `changed` and the
    /// look at it, the loop does not get the same value twice.
    ///
    /// # Panics
    ///
    /// Panics inside of the closure of [`Sender::send_modify`](super::Sender::send_modify) or `send_if_modified`.
    #[inline]
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.borrow(self.is_behind());
        self.seen = self.shared.version();
        value
    }

    /// Returns true if the latest value was not seen.
    ///
    /// # Errors
    ///
    /// Returns an error if all senders were dropped, also if there is a value that was not seen.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        if self.is_closed() { Err(RecvError(())) } else { Ok(self.is_behind()) }
    }

    /// Returns true if all senders were dropped.
    pub fn is_closed(&self) -> bool {
        !self.shared.has_sender()
    }

    /// Marks the value as not seen.
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.version().previous();
    }

    /// Marks the value as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version();
    }

    /// Waits until there is a value that was not seen, and marks it as seen.
    ///
    /// # Errors
    ///
    /// Returns an error if the value was seen and all senders were dropped.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has marked no value as seen.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = runtime::sync::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert!(receiver.changed().await.is_ok());
    /// assert_eq!(*receiver.borrow(), 2);
    /// drop(sender);
    /// assert!(receiver.changed().await.is_err());
    /// # });
    /// ```
    #[inline]
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        let Receiver { shared, seen } = self;
        shared.changed.until(|| shared.look(seen)).await
    }

    /// Waits until `f` returns true for the value, and returns a reference to it. The value is marked as seen.
    ///
    /// `f` is called with the present value first, whether it was seen or not, and then with each value that this task
    /// finds. It must not send to the channel.
    ///
    /// # Errors
    ///
    /// Returns an error if all senders were dropped and `f` returned false for the last value.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe. A call that is dropped has marked those values as seen for which `f` returned false.
    ///
    /// # Panics
    ///
    /// Panics if `f` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = runtime::sync::watch::channel(0);
    /// runtime::spawn(async move {
    ///     for number in 1..100 {
    ///         sender.send(number).unwrap();
    ///         runtime::task::yield_now().await;
    ///     }
    /// });
    /// assert_eq!(*receiver.wait_for(|number| *number > 9).await.unwrap(), 10);
    /// # });
    /// ```
    pub async fn wait_for(&mut self, mut f: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, RecvError> {
        let Receiver { shared, seen } = self;
        let mut is_open = true;
        poll_fn(coop::poll_budget).await;
        loop {
            let has_changed = *seen != shared.version();
            *seen = shared.version();
            if is_open || has_changed {
                let value = shared.borrow(has_changed);
                if f(&value) {
                    coop::spend();
                    return Ok(value);
                }
            }
            if !is_open {
                return Err(RecvError(()));
            }
            is_open = shared.changed.until(|| shared.look(seen)).await.is_ok();
        }
    }

    /// Returns true if both receivers belong to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    #[inline]
    fn is_behind(&self) -> bool {
        self.seen != self.shared.version()
    }
}

impl<T> Shared<T> {
    /// Looks for a version that was not seen, and marks it as seen. Returns `None` to wait.
    #[inline]
    fn look(&self, seen: &mut Version) -> Option<Result<(), RecvError>> {
        if *seen != self.version() {
            *seen = self.version();
            Some(Ok(()))
        } else if self.has_sender() {
            None
        } else {
            Some(Err(RecvError(())))
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver::from_shared(self.seen, self.shared.clone())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.set(self.shared.receivers.get() - 1);
        if self.shared.receivers.get() == 0 {
            self.shared.closed.notify_all();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("value", &self.shared.value)
            .field("has_changed", &self.is_behind())
            .finish_non_exhaustive()
    }
}
