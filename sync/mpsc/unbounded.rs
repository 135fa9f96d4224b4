//! The handles of an unbounded channel.

use super::chan::{Chan, Limit};
use super::error::{SendError, TryRecvError};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Creates a channel without a limit on the number of messages in it.
///
/// If messages are sent faster than they are received, the channel takes ever more memory. It gives the memory back when
/// the messages are received.
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let chan = Rc::new(Chan::new(Unlimited));
    (UnboundedSender { chan: chan.clone() }, UnboundedReceiver { chan })
}

struct Unlimited;

impl Limit for Unlimited {
    fn release(&self, _count: usize) {}

    fn is_idle(&self) -> bool {
        // Asked only when the queue is empty, and there are no permits.
        true
    }

    fn close(&self) {}
}

/// The sending half of an unbounded channel. [`unbounded_channel`] returns it.
pub struct UnboundedSender<T> {
    chan: Rc<Chan<T, Unlimited>>,
}

impl<T> UnboundedSender<T> {
    /// Sends a message, without waiting.
    ///
    /// A message that is sent may never be received, since the receiver may be dropped first.
    ///
    /// # Errors
    ///
    /// Returns the message if the receiver was dropped or closed.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        if self.chan.is_closed() {
            return Err(SendError(message));
        }
        self.chan.push(message);
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

    /// Returns a handle that does not keep the channel open for the receiver.
    #[must_use = "the sender itself stays as it is"]
    pub fn downgrade(&self) -> WeakUnboundedSender<T> {
        self.chan.add_weak_sender();
        WeakUnboundedSender { chan: self.chan.clone() }
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

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        self.chan.add_sender();
        UnboundedSender { chan: self.chan.clone() }
    }
}

impl<T> Drop for UnboundedSender<T> {
    fn drop(&mut self) {
        self.chan.remove_sender();
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// A sender that does not keep its channel open: the receiver gets `None` although this handle exists.
/// [`UnboundedSender::downgrade`] returns it.
pub struct WeakUnboundedSender<T> {
    chan: Rc<Chan<T, Unlimited>>,
}

impl<T> WeakUnboundedSender<T> {
    /// Returns a sender, or `None` if all senders have been dropped.
    pub fn upgrade(&self) -> Option<UnboundedSender<T>> {
        (self.chan.senders.get() > 0).then(|| {
            self.chan.add_sender();
            UnboundedSender { chan: self.chan.clone() }
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

impl<T> Clone for WeakUnboundedSender<T> {
    fn clone(&self) -> Self {
        self.chan.add_weak_sender();
        WeakUnboundedSender { chan: self.chan.clone() }
    }
}

impl<T> Drop for WeakUnboundedSender<T> {
    fn drop(&mut self) {
        self.chan.remove_weak_sender();
    }
}

impl<T> fmt::Debug for WeakUnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakUnboundedSender").finish_non_exhaustive()
    }
}

/// The receiving half of an unbounded channel. [`unbounded_channel`] returns it.
///
/// If it is dropped, the messages in the channel are dropped at once.
pub struct UnboundedReceiver<T> {
    chan: Rc<Chan<T, Unlimited>>,
}

impl<T> UnboundedReceiver<T> {
    /// Receives the next message, or `None` if there is none and all senders were dropped, or [`close`](Self::close) was
    /// called.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: a call that is dropped has received nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = runtime::sync::mpsc::unbounded_channel();
    /// sender.send("hello").unwrap();
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

    /// Makes sending fail from now on. The messages in the channel can still be received.
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

impl<T> Drop for UnboundedReceiver<T> {
    fn drop(&mut self) {
        self.chan.remove_receiver();
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver")
            .field("is_closed", &self.is_closed())
            .field("len", &self.len())
            .finish()
    }
}
