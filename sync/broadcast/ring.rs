//! The messages of a broadcast channel, by position. Positions are numbers that wrap; only their differences count.
//!
//! ```text
//!              head                       tail
//!                │  messages that somebody  │
//!   received     ▼  has still to receive    ▼   not sent yet
//!  ──────────────┬──────────────────────────┬───────────────►
//!        ▲                    ▲             ▲
//!        next of a receiver   next of       next of a receiver
//!        that has lagged      another       that has got all
//! ```
//!
//! Each message counts the receivers that have still to get it. A receiver gets the messages in order, so the counts never
//! fall from head to tail, and the messages that everybody has got are at the head, where they leave the ring.
//!
//! The ring runs no user code: it hands out what is to be dropped or cloned. A message for several receivers is in an `Rc`, so
//! that it can be cloned while the ring is not borrowed, and while the clone sends to the channel.

use std::collections::VecDeque;
use std::rc::Rc;

/// The capacity in slots below which memory is kept after a burst.
const KEPT: usize = 64;

pub(super) struct Ring<T> {
    slots: VecDeque<Slot<T>>,
    capacity: usize,
    /// The position of the next message that is sent.
    tail: u64,
}

/// A message, by the number of receivers that it is sent to.
pub(super) enum Message<T> {
    /// The receiver takes it as it is.
    ForOne(T),
    /// All receivers but the last one clone it.
    ForMany(Rc<T>),
}

struct Slot<T> {
    message: Message<T>,
    /// The number of receivers that have still to get the message.
    remaining: usize,
}

/// The outcome when a receiver looks for its next message.
pub(super) enum Found<T> {
    /// The receiver is the last one for this message, which has left the ring.
    Taken(Message<T>),
    /// The receiver calls [`Ring::pass`] after it has cloned this message.
    Shared(Rc<T>),
    /// The receiver has missed so many messages.
    Lagged(u64),
    Nothing,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize, tail: u64) -> Ring<T> {
        Ring { slots: VecDeque::new(), capacity, tail }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    #[inline]
    fn head(&self) -> u64 {
        self.tail.wrapping_sub(self.slots.len() as u64)
    }

    /// Returns the index of the slot at a position. It is beyond the slots for the tail, and for positions before the head.
    #[inline]
    fn index(&self, position: u64) -> usize {
        usize::try_from(position.wrapping_sub(self.head())).unwrap_or(usize::MAX)
    }

    /// Adds a message for so many receivers. Returns the message that had to make room.
    #[inline]
    pub(super) fn push(&mut self, message: Message<T>, receivers: usize) -> Option<Message<T>> {
        let removed = if self.slots.len() == self.capacity {
            self.slots.pop_front().map(|slot| slot.message)
        } else {
            None
        };
        self.slots.push_back(Slot { message, remaining: receivers });
        self.tail = self.tail.wrapping_add(1);
        removed
    }

    /// Looks for the message at the position of a receiver, and moves the position on, unless the message is shared.
    #[inline]
    pub(super) fn look(&mut self, next: &mut u64) -> Found<T> {
        if *next == self.tail {
            return Found::Nothing;
        }
        let index = self.index(*next);
        match self.slots.get(index) {
            // The counts do not fall from head to tail, so this is the head.
            Some(slot) if slot.remaining == 1 => {
                debug_assert_eq!(index, 0, "everybody has got the messages before");
                *next = next.wrapping_add(1);
                let taken = self.slots.pop_front().map(|slot| slot.message);
                self.shrink();
                taken.map_or(Found::Nothing, Found::Taken)
            }
            Some(slot) => match &slot.message {
                Message::ForMany(message) => Found::Shared(message.clone()),
                Message::ForOne(_) => unreachable!("a message for one receiver has one that remains"),
            },
            None => {
                let missed = self.head().wrapping_sub(*next);
                *next = self.head();
                Found::Lagged(missed)
            }
        }
    }

    /// Notes that a receiver has got the message at its position, unless that has left the ring in the meantime.
    /// Returns the message if the receiver was the last one for it.
    #[inline]
    pub(super) fn pass(&mut self, next: &mut u64) -> Option<Message<T>> {
        let index = self.index(*next);
        *next = next.wrapping_add(1);
        let slot = self.slots.get_mut(index)?;
        slot.remaining -= 1;
        if slot.remaining > 0 {
            return None;
        }
        debug_assert_eq!(index, 0, "everybody has got the messages before");
        let message = self.slots.pop_front().map(|slot| slot.message);
        self.shrink();
        message
    }

    /// Notes that a receiver which is dropped will get no more messages. Returns the messages for which it was the last one.
    pub(super) fn leave(&mut self, next: u64) -> Vec<Message<T>> {
        if next == self.tail {
            return Vec::new();
        }
        // A receiver that has lagged has all messages in the ring before it.
        let index = self.index(next);
        let first = if index < self.slots.len() { index } else { 0 };
        self.slots.range_mut(first..).for_each(|slot| slot.remaining -= 1);
        let count = self.slots.iter().take_while(|slot| slot.remaining == 0).count();
        let removed = self.slots.drain(..count).map(|slot| slot.message).collect();
        self.shrink();
        removed
    }

    #[inline]
    fn shrink(&mut self) {
        if self.slots.capacity() > KEPT && self.slots.len() < self.slots.capacity() / 4 {
            self.reallocate();
        }
    }

    #[cold]
    fn reallocate(&mut self) {
        self.slots.shrink_to(KEPT.max(self.slots.len() * 2));
    }
}
