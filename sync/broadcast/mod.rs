//! A channel between the tasks of one thread, with any number of senders and receivers. Every receiver gets every message.
//!
//! A receiver gets the messages that are sent after it was created, as clones. [`Sender::send`] never waits: the channel keeps
//! a number of messages, and if it is full, the oldest one makes room. A receiver that was too slow to get it learns from
//! [`RecvError::Lagged`](error::RecvError::Lagged) how many messages it has missed, and continues with the oldest one
//! that is left.
//!
//! A message is dropped when all receivers have got it. The last one gets the message itself and not a clone.
//!
//! # Examples
//!
//! ```
//! use runtime::sync::broadcast;
//!
//! # runtime::block_on(async {
//! let (sender, mut first) = broadcast::channel(16);
//! let mut second = sender.subscribe();
//! sender.send("hello").unwrap();
//! assert_eq!(first.recv().await, Ok("hello"));
//! assert_eq!(second.recv().await, Ok("hello"));
//! # });
//! ```

// `ring.rs` has the messages and their positions, and knows no handles. `shared.rs` adds the counts of handles and those who
// wait; `sender.rs` and `receiver.rs` are the handles.

pub mod error;
mod receiver;
mod ring;
mod sender;
mod shared;

pub use receiver::Receiver;
pub use sender::{Sender, WeakSender};
use shared::Shared;
use std::rc::Rc;

/// Creates a channel that keeps `capacity` messages for slow receivers, rounded up to a power of two.
///
/// # Panics
///
/// Panics if `capacity` is 0 or above `usize::MAX / 2`.
///
/// # Examples
///
/// ```
/// use runtime::sync::broadcast::{self, error::RecvError};
///
/// # runtime::block_on(async {
/// let (sender, mut receiver) = broadcast::channel(2);
/// for number in 1..=5 {
///     sender.send(number).unwrap();
/// }
/// assert_eq!(receiver.recv().await, Err(RecvError::Lagged(3)));
/// assert_eq!(receiver.recv().await, Ok(4));
/// assert_eq!(receiver.recv().await, Ok(5));
/// # });
/// ```
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared::new(capacity));
    let sender = Sender::from_shared(shared.clone());
    (sender, Receiver::from_shared(shared))
}

#[cfg(test)]
mod tests {
    use super::error::TryRecvError;
    use super::*;

    /// Creates a channel whose positions begin shortly before they wrap.
    fn channel_from(capacity: usize, tail: u64) -> (Sender<u64>, Receiver<u64>) {
        let shared = Rc::new(Shared::with_tail(capacity, tail));
        (Sender::from_shared(shared.clone()), Receiver::from_shared(shared))
    }

    #[test]
    fn positions_that_wrap_change_nothing() {
        for capacity in [1, 2, 4] {
            for before in 0..8 {
                let (sender, mut prompt) = channel_from(capacity, 0_u64.wrapping_sub(before));
                let slow = || sender.subscribe();
                let mut receivers: Vec<(Receiver<u64>, u64)> = Vec::new();
                for number in 0..16 {
                    receivers.push((slow(), number));
                    sender.send(number).unwrap();
                    assert_eq!(prompt.try_recv(), Ok(number));
                    assert_eq!(prompt.try_recv(), Err(TryRecvError::Empty));
                    assert_eq!((prompt.len(), sender.len()), (0, capacity.min(number as usize + 1)));
                }
                for (receiver, first) in &mut receivers {
                    let sent = 16 - *first;
                    assert_eq!(receiver.len() as u64, sent);
                    let missed = sent.saturating_sub(capacity as u64);
                    if missed > 0 {
                        assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(missed)));
                    }
                    for number in *first + missed..16 {
                        assert_eq!(receiver.try_recv(), Ok(number));
                    }
                    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
                }
                assert!(sender.is_empty());
            }
        }
    }

    #[test]
    fn receivers_that_have_lagged_over_the_wrap_are_dropped_in_peace() {
        for before in 0..8 {
            let (sender, receiver) = channel_from(2, 0_u64.wrapping_sub(before));
            (0..6).for_each(|number| drop(sender.send(number)));
            drop(receiver);
            assert!(sender.is_empty());
        }
    }
}
