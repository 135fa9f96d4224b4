//! The receiver of a bounded channel.

use super::bounded::Room;
use super::chan::Chan;
use super::error::TryRecvError;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The receiving half of a bounded channel. [`channel`](super::channel) returns it.
///
/// If it is dropped, the messages in the channel are dropped at once.
pub struct Receiver<T> {
    pub(super) chan: Rc<Chan<T, Room>>,
}

impl<T> Receiver<T> {
    /// Receives the next message, or `None` if there is none and all senders were dropped, or [`close`](Self::close) was
    /// called and no permit is left.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has received nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = runtime::sync::mpsc::channel(1);
    /// sender.send("hello").await.unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv().await, Some("hello"));
    /// assert_eq!(receiver.recv().await, None);
    /// # });
    /// ```
    #[inline]
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.chan.poll_recv(cx)).await
    }

    /// Receives messages, and appends `limit` of them at most to the buffer. Returns their number.
    ///
    /// Waits until there is a message. Returns 0 if there is none and none will come, or if `limit` is 0.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has received nothing.
    pub async fn recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        poll_fn(|cx| self.chan.poll_recv_many(cx, buffer, limit)).await
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError::Empty`] if there is no message at present, and [`TryRecvError::Disconnected`] if none will
    /// come.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.chan.try_recv()
    }

    /// Makes sending fail from now on, except by permits that were given before. The messages in the channel can still be
    /// received.
    pub fn close(&mut self) {
        self.chan.close();
    }

    /// Returns true if [`close`](Self::close) was called or all senders were dropped. There may still be messages.
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed() || self.chan.senders.get() == 0
    }

    /// Returns true if there is no message in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of messages in the channel.
    pub fn len(&self) -> usize {
        self.chan.len()
    }

    /// Returns the number of messages for which there is room. Messages for which there is a permit count as sent.
    pub fn capacity(&self) -> usize {
        self.chan.limit.semaphore.available_permits()
    }

    /// Returns the number of messages for which an empty channel has room.
    pub fn max_capacity(&self) -> usize {
        self.chan.limit.bound
    }

    /// Polls for the next message, as [`recv`](Self::recv) does.
    ///
    /// Only the waker passed to the latest call is woken.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.chan.poll_recv(cx)
    }

    /// Polls for messages, as [`recv_many`](Self::recv_many) does.
    ///
    /// Only the waker passed to the latest call is woken.
    pub fn poll_recv_many(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<T>, limit: usize) -> Poll<usize> {
        self.chan.poll_recv_many(cx, buffer, limit)
    }

    /// Returns the number of senders of the channel.
    pub fn sender_strong_count(&self) -> usize {
        self.chan.senders.get()
    }

    /// Returns the number of weak senders of the channel.
    pub fn sender_weak_count(&self) -> usize {
        self.chan.weak_senders.get()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.chan.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("is_closed", &self.is_closed()).field("len", &self.len()).finish()
    }
}
