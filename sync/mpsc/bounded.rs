//! The senders of a bounded channel. Its receiver is in `receiver.rs`, its permits in `permit.rs`.

use super::chan::{Chan, Limit};
use super::error::{SendError, TrySendError};
use super::permit::{OwnedPermit, Permit, PermitIterator};
use super::receiver::Receiver;
use crate::sync::batch_semaphore::{BatchSemaphore, TryAcquireError};
use std::fmt;
use std::rc::Rc;

/// Creates a channel with room for `buffer` messages. A sender waits while it is full.
///
/// # Panics
///
/// Panics if `buffer` is 0, or above [`Semaphore::MAX_PERMITS`](crate::sync::Semaphore::MAX_PERMITS).
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let (sender, mut receiver) = runtime::sync::mpsc::channel(1);
/// runtime::spawn(async move {
///     for number in 0..3 {
///         // Waits until the number before is received.
///         sender.send(number).await.unwrap();
///     }
/// });
/// assert_eq!(receiver.recv().await, Some(0));
/// assert_eq!(receiver.recv().await, Some(1));
/// assert_eq!(receiver.recv().await, Some(2));
/// assert_eq!(receiver.recv().await, None);
/// # });
/// ```
#[track_caller]
pub fn channel<T>(buffer: usize) -> (Sender<T>, Receiver<T>) {
    assert!(buffer > 0, "mpsc bounded channel requires buffer > 0");
    let chan = Rc::new(Chan::new(Room { semaphore: BatchSemaphore::new(buffer), bound: buffer }));
    (Sender { chan: chan.clone() }, Receiver { chan })
}

/// The limit of a bounded channel: a permit for each message that has still room. Waiting senders get theirs first in, first
/// out.
pub(super) struct Room {
    pub(super) semaphore: BatchSemaphore,
    pub(super) bound: usize,
}

impl Limit for Room {
    #[inline]
    fn release(&self, count: usize) {
        self.semaphore.release(count);
    }

    #[inline]
    fn is_idle(&self) -> bool {
        self.semaphore.available_permits() == self.bound
    }

    fn close(&self) {
        self.semaphore.close();
    }
}

/// The sending half of a bounded channel. [`channel`] returns it.
pub struct Sender<T> {
    pub(super) chan: Rc<Chan<T, Room>>,
}

impl<T> Sender<T> {
    /// Sends a message. Waits while the channel is full; waiting senders are served first in, first out.
    ///
    /// A message that is sent may never be received, since the receiver may be dropped first.
    ///
    /// # Errors
    ///
    /// Returns the message if the receiver was dropped or closed.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has sent nothing, and its message is dropped with it. To keep the message, call
    /// [`reserve`](Self::reserve) first. A call that is dropped also loses its place among those who wait.
    #[inline]
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.acquire(1).await {
            Ok(()) => {
                self.chan.push(value);
                Ok(())
            }
            Err(_) => Err(SendError(value)),
        }
    }

    /// Sends a message if there is room. Does not overtake senders that wait.
    ///
    /// # Errors
    ///
    /// Returns [`TrySendError::Full`] if there is no room, and [`TrySendError::Closed`] if the receiver was dropped or closed,
    /// with the message.
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.try_acquire(1) {
            Ok(()) => {
                self.chan.push(message);
                Ok(())
            }
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(message)),
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(message)),
        }
    }

    /// Sends a message, as [`send`](Self::send) does, unless there is no room until the timeout elapses.
    ///
    /// # Errors
    ///
    /// Returns [`SendTimeoutError::Timeout`] if the timeout elapses, and [`SendTimeoutError::Closed`] if the receiver was
    /// dropped or closed, with the message.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has sent nothing, and its message is dropped with it.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside of a runtime.
    ///
    /// [`SendTimeoutError::Timeout`]: super::error::SendTimeoutError::Timeout
    /// [`SendTimeoutError::Closed`]: super::error::SendTimeoutError::Closed
    #[cfg(feature = "time")]
    #[cfg_attr(docsrs, doc(cfg(feature = "time")))]
    pub async fn send_timeout(
        &self,
        value: T,
        timeout: std::time::Duration,
    ) -> Result<(), super::error::SendTimeoutError<T>> {
        use super::error::SendTimeoutError;

        match crate::time::timeout(timeout, self.acquire(1)).await {
            Ok(Ok(())) => {
                self.chan.push(value);
                Ok(())
            }
            Ok(Err(_)) => Err(SendTimeoutError::Closed(value)),
            Err(_) => Err(SendTimeoutError::Timeout(value)),
        }
    }

    /// Waits for room for a message, and returns the permit to send it.
    ///
    /// The room is kept until the permit is used or dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if the receiver was dropped or closed.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped keeps no room. It loses its place among those who wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = runtime::sync::mpsc::channel(1);
    /// let permit = sender.reserve().await.unwrap();
    /// assert!(sender.try_send(1).is_err());
    /// permit.send(2);
    /// assert_eq!(receiver.recv().await, Some(2));
    /// # });
    /// ```
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        self.acquire(1).await?;
        Ok(Permit { chan: &self.chan })
    }

    /// Waits for room for `n` messages, and returns the permits to send them.
    ///
    /// # Errors
    ///
    /// Returns an error if the receiver was dropped or closed, or if `n` is above [`max_capacity`](Self::max_capacity).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped keeps no room. It loses its place among those who wait.
    pub async fn reserve_many(&self, n: usize) -> Result<PermitIterator<'_, T>, SendError<()>> {
        if n > self.max_capacity() {
            return Err(SendError(()));
        }
        self.acquire(n).await?;
        Ok(PermitIterator { chan: &self.chan, n })
    }

    /// Waits for room for a message, and returns a permit that holds this sender and that can be moved to another task.
    ///
    /// # Errors
    ///
    /// Returns an error if the receiver was dropped or closed.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped keeps no room, and drops the sender. Clone the sender before the call to keep one.
    pub async fn reserve_owned(self) -> Result<OwnedPermit<T>, SendError<()>> {
        self.acquire(1).await?;
        Ok(OwnedPermit { sender: Some(self) })
    }

    /// Returns the permit to send a message if there is room.
    ///
    /// # Errors
    ///
    /// Returns [`TrySendError::Full`] if there is no room, and [`TrySendError::Closed`] if the receiver was dropped or
    /// closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        self.try_reserve_some(1)?;
        Ok(Permit { chan: &self.chan })
    }

    /// Returns the permits to send `n` messages if there is room for all of them.
    ///
    /// # Errors
    ///
    /// Returns [`TrySendError::Full`] if there is not enough room, and [`TrySendError::Closed`] if the receiver was dropped
    /// or closed.
    pub fn try_reserve_many(&self, n: usize) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        if n > self.max_capacity() {
            return Err(TrySendError::Full(()));
        }
        self.try_reserve_some(n)?;
        Ok(PermitIterator { chan: &self.chan, n })
    }

    /// Returns a permit that holds this sender if there is room.
    ///
    /// # Errors
    ///
    /// Returns [`TrySendError::Full`] if there is no room, and [`TrySendError::Closed`] if the receiver was dropped or
    /// closed, with the sender.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        match self.try_acquire(1) {
            Ok(()) => Ok(OwnedPermit { sender: Some(self) }),
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(self)),
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(self)),
        }
    }

    fn try_reserve_some(&self, n: usize) -> Result<(), TrySendError<()>> {
        self.try_acquire(n).map_err(|error| match error {
            TryAcquireError::Closed => TrySendError::Closed(()),
            TryAcquireError::NoPermits => TrySendError::Full(()),
        })
    }

    #[inline]
    fn try_acquire(&self, n: usize) -> Result<(), TryAcquireError> {
        self.chan.limit.semaphore.try_acquire(n)
    }

    #[inline]
    async fn acquire(&self, n: usize) -> Result<(), SendError<()>> {
        let on_failure = WakeIfOver(&self.chan);
        self.chan.limit.semaphore.acquire(n).await.map_err(|_| SendError(()))?;
        std::mem::forget(on_failure);
        Ok(())
    }

    /// Waits until the receiver is dropped or closed.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn closed(&self) {
        self.chan.closed().await
    }

    /// Returns true if the receiver was dropped or closed.
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed()
    }

    /// Returns true if both senders belong to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.chan, &other.chan)
    }

    /// Returns the number of messages for which there is room. Messages for which there is a permit count as sent.
    pub fn capacity(&self) -> usize {
        self.chan.limit.semaphore.available_permits()
    }

    /// Returns the number of messages for which an empty channel has room.
    pub fn max_capacity(&self) -> usize {
        self.chan.limit.bound
    }

    /// Returns a handle that does not keep the channel open for the receiver.
    #[must_use = "the sender itself stays as it is"]
    pub fn downgrade(&self) -> WeakSender<T> {
        self.chan.add_weak_sender();
        WeakSender { chan: self.chan.clone() }
    }

    /// Returns the number of senders of the channel.
    pub fn strong_count(&self) -> usize {
        self.chan.senders.get()
    }

    /// Returns the number of weak senders of the channel.
    pub fn weak_count(&self) -> usize {
        self.chan.weak_senders.get()
    }
}

/// Wakes a closed receiver when a wait for room ends without it: the wait may have held a part of the room that it wanted, and
/// the receiver waits for all of it to come back.
struct WakeIfOver<'a, T>(&'a Chan<T, Room>);

impl<T> Drop for WakeIfOver<'_, T> {
    fn drop(&mut self) {
        self.0.wake_if_over();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.chan.add_sender();
        Sender { chan: self.chan.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.chan.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("is_closed", &self.is_closed())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// A sender that does not keep its channel open: the receiver gets `None` although this handle exists.
/// [`Sender::downgrade`] returns it.
pub struct WeakSender<T> {
    chan: Rc<Chan<T, Room>>,
}

impl<T> WeakSender<T> {
    /// Returns a sender, or `None` if all senders have been dropped.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        (self.chan.senders.get() > 0).then(|| {
            self.chan.add_sender();
            Sender { chan: self.chan.clone() }
        })
    }

    /// Returns the number of senders of the channel.
    pub fn strong_count(&self) -> usize {
        self.chan.senders.get()
    }

    /// Returns the number of weak senders of the channel.
    pub fn weak_count(&self) -> usize {
        self.chan.weak_senders.get()
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        self.chan.add_weak_sender();
        WeakSender { chan: self.chan.clone() }
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        self.chan.remove_weak_sender();
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").finish_non_exhaustive()
    }
}
