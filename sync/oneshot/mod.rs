//! A channel for a single value, between two tasks of one thread.
//!
//! [`channel`] returns the two halves. [`Sender::send`] is not async and never waits. The [`Receiver`] is a future: it is
//! ready when the value is sent, or when the sender is dropped.
//!
//! # Examples
//!
//! ```
//! use runtime::sync::oneshot;
//!
//! # runtime::block_on(async {
//! let (sender, receiver) = oneshot::channel();
//! runtime::spawn(async move {
//!     // Fails only if the receiver was dropped.
//!     sender.send(6 * 7).unwrap();
//! });
//! assert_eq!(receiver.await, Ok(42));
//! # });
//! ```

// The halves share one allocation, which holds the value between `send` and its receipt, and a waker for each half.
// A half that goes takes its own waker along, so that the other half does not keep its task's memory; and it leaves the
// cell as it has to be before it wakes the other half or drops the value, which are user code.

pub mod error;

use crate::runtime::unwind;
use crate::runtime::waker::WakerCell;
use crate::task::coop;
use error::{RecvError, TryRecvError};
use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Creates a channel for one value.
#[inline]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        value: Cell::new(None),
        is_complete: Cell::new(false),
        is_closed: Cell::new(false),
        sender: WakerCell::default(),
        receiver: WakerCell::default(),
    });
    (Sender { shared: Some(shared.clone()) }, Receiver { shared: Some(shared) })
}

struct Shared<T> {
    value: Cell<Option<T>>,
    /// The sender has sent the value, or is gone.
    is_complete: Cell<bool>,
    /// The receiver takes no more values, or is gone.
    is_closed: Cell<bool>,
    /// The waker of the task that waits in `Sender::closed`.
    sender: WakerCell,
    /// The waker of the task that waits for the value.
    receiver: WakerCell,
}

// A panic in user code leaves the state consistent.
impl<T> UnwindSafe for Shared<T> {}
impl<T> RefUnwindSafe for Shared<T> {}

impl<T> Shared<T> {
    /// Returns true if there is nothing to wait for on the receiver's side.
    #[inline]
    fn is_done(&self) -> bool {
        self.is_complete.get() || self.is_closed.get()
    }

    fn has_value(&self) -> bool {
        let value = self.value.take();
        let has_value = value.is_some();
        self.value.set(value);
        has_value
    }

    /// Ends the sender's side: with a value in the cell, or without.
    #[inline]
    fn complete(&self) {
        self.is_complete.set(true);
        self.sender.clear();
        self.receiver.wake();
    }

    fn close(&self) {
        if !self.is_closed.replace(true) {
            self.sender.wake();
        }
    }
}

/// The sending half of a channel. [`channel`] returns it.
///
/// If it is dropped without sending a value, the receiver gets a [`RecvError`].
pub struct Sender<T> {
    /// `Some` until the value is sent.
    shared: Option<Rc<Shared<T>>>,
}

impl<T> Sender<T> {
    /// Sends the value to the receiver, without waiting.
    ///
    /// A value that is sent may never be received, since the receiver may be dropped first.
    ///
    /// # Errors
    ///
    /// Returns the value if the receiver was dropped or closed.
    #[inline]
    pub fn send(mut self, value: T) -> Result<(), T> {
        let shared = self.shared.take().expect("a sender has its channel until it is gone");
        if shared.is_closed.get() {
            shared.is_complete.set(true);
            shared.sender.clear();
            return Err(value);
        }
        shared.value.set(Some(value));
        shared.complete();
        Ok(())
    }

    /// Waits until the receiver is dropped or closed.
    ///
    /// A task that computes the value can thereby stop when nobody wants it any more.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::oneshot;
    ///
    /// # runtime::block_on(async {
    /// let (mut sender, receiver) = oneshot::channel::<u32>();
    /// runtime::spawn(async move { drop(receiver) });
    /// sender.closed().await;
    /// assert_eq!(sender.send(1), Err(1));
    /// # });
    /// ```
    pub async fn closed(&mut self) {
        let shared = self.shared();
        let _forget = ForgetOnDrop(&shared.sender);
        poll_fn(|cx| shared.poll_closed(cx)).await
    }

    /// Returns true if the receiver was dropped or closed.
    pub fn is_closed(&self) -> bool {
        self.shared().is_closed.get()
    }

    /// Polls for the receiver to be dropped or closed.
    ///
    /// Only the waker passed to the latest call is woken.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared().poll_closed(cx)
    }

    fn shared(&self) -> &Shared<T> {
        self.shared.as_ref().expect("a sender has its channel until it is gone")
    }
}

impl<T> Shared<T> {
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(coop::poll_budget(cx));
        if !self.is_closed.get() {
            self.sender.leave(cx.waker());
            // The clone of a foreign waker may have dropped the receiver.
            if !self.is_closed.get() {
                return Poll::Pending;
            }
        }
        self.sender.clear();
        coop::spend();
        Poll::Ready(())
    }
}

impl<T> Drop for Sender<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.complete();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// Takes a waker out of its cell when the future that left it is dropped.
struct ForgetOnDrop<'a>(&'a WakerCell);

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// The receiving half of a channel, a future. [`channel`] returns it.
///
/// The future is ready with the value, or with a [`RecvError`] if the sender is dropped without sending one. To wait for
/// the value in one branch of a `select!` again and again, poll `&mut receiver`.
///
/// If it is dropped, [`Sender::send`] fails, and a value that was sent and not received is dropped at once.
///
/// # Cancel safety
///
/// `&mut receiver` may be awaited again after it was dropped: the value stays in the channel.
///
/// # Panics
///
/// Polling panics after the value, or an error, was received.
#[must_use = "futures do nothing unless they are polled"]
pub struct Receiver<T> {
    /// `None` after the result was received.
    shared: Option<Rc<Shared<T>>>,
}

impl<T> Receiver<T> {
    /// Makes [`Sender::send`] fail from now on. A value that was sent before can still be received.
    ///
    /// To know that the value is not lost, call this method and then [`try_recv`](Self::try_recv).
    pub fn close(&mut self) {
        if let Some(shared) = &self.shared {
            shared.close();
            // Another task may have polled this half.
            shared.receiver.wake();
        }
    }

    /// Returns true if the value, or an error, was received. Polling the receiver then panics.
    pub fn is_terminated(&self) -> bool {
        self.shared.is_none()
    }

    /// Returns true if there is no value to receive at present.
    pub fn is_empty(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| !shared.has_value())
    }

    /// Receives the value if it was sent.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError::Empty`] if the sender may still send, and [`TryRecvError::Closed`] if there is no value and
    /// none will come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let Some(shared) = &self.shared else { return Err(TryRecvError::Closed) };
        if !shared.is_done() {
            return Err(TryRecvError::Empty);
        }
        let value = shared.value.take();
        self.release();
        value.ok_or(TryRecvError::Closed)
    }

    /// Lets go of the channel, after which the sender holds no waker of this side.
    #[inline]
    fn release(&mut self) -> Option<Rc<Shared<T>>> {
        let shared = self.shared.take()?;
        // A sender that is gone holds nothing, and waits for nothing.
        if !shared.is_complete.get() {
            shared.receiver.clear();
            shared.close();
        }
        Some(shared)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(shared) = &this.shared else { panic!("called after complete") };
        ready!(coop::poll_budget(cx));
        if !shared.is_done() {
            shared.receiver.leave(cx.waker());
            // The clone of a foreign waker may have sent the value.
            if !shared.is_done() {
                return Poll::Pending;
            }
        }
        coop::spend();
        let value = shared.value.take();
        this.release();
        Poll::Ready(value.ok_or(RecvError(())))
    }
}

impl<T> Drop for Receiver<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(shared) = self.release() {
            unwind::drop(shared.value.take());
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("is_empty", &self.is_empty())
            .field("is_terminated", &self.is_terminated())
            .finish_non_exhaustive()
    }
}
