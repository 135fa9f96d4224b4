//! Channels with any number of senders and one receiver, between the tasks of one thread.
//!
//! A bounded channel ([`channel`]) has room for a number of messages. A sender waits while it is full, so the
//! senders get no further ahead of the receiver than that. An unbounded channel ([`unbounded_channel`]) has no such limit:
//! sending never waits, and memory is the only bound.
//!
//! # The end of a channel
//!
//! When all senders are dropped, the receiver gets the messages that are still in the channel, and then `None`. When the
//! receiver is dropped, the messages in the channel are dropped at once, and sending fails with the message that was to be
//! sent. A receiver that wants the messages which are in the channel, and no further ones, calls `close` and receives until
//! it gets `None`.
//!
//! Messages that are dropped with the channel are dropped one after another. A message that holds the *receiver* of
//! another channel drops that channel's messages within its own drop, as a list of boxes does: a very long chain of this
//! kind overflows the stack.
//!
//! # Examples
//!
//! ```
//! use runtime::sync::mpsc;
//!
//! # runtime::block_on(async {
//! let (sender, mut receiver) = mpsc::channel(8);
//! for worker in 0..3 {
//!     let sender = sender.clone();
//!     runtime::spawn(async move { sender.send(worker * worker).await });
//! }
//! drop(sender);
//!
//! let mut sum = 0;
//! while let Some(square) = receiver.recv().await {
//!     sum += square;
//! }
//! assert_eq!(sum, 5);
//! # });
//! ```

mod bounded;
mod chan;
pub mod error;
mod permit;
mod queue;
mod receiver;
mod unbounded;

pub use bounded::{Sender, WeakSender, channel};
pub use permit::{OwnedPermit, Permit, PermitIterator};
pub use receiver::Receiver;
pub use unbounded::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};
