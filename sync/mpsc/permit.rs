//! Permits: room in a bounded channel for messages that are not sent yet.

use super::bounded::{Room, Sender};
use super::chan::Chan;
use std::fmt;
use std::iter::FusedIterator;
use std::rc::Rc;

/// A permit to send one message without waiting. [`Sender::reserve`] and [`Sender::try_reserve`] return it.
///
/// If it is dropped, the next sender gets the room.
#[must_use = "dropped, it gives the room back"]
pub struct Permit<'a, T> {
    pub(super) chan: &'a Chan<T, Room>,
}

impl<T> Permit<'_, T> {
    /// Sends the message.
    ///
    /// If the receiver was dropped in the meantime, the message is dropped.
    pub fn send(self, value: T) {
        let chan = self.chan;
        // The permit is used up.
        std::mem::forget(self);
        chan.push(value);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.chan.release(1);
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// An iterator of permits. [`Sender::reserve_many`] and [`Sender::try_reserve_many`] return it.
///
/// If it is dropped, the room of the permits that were not taken out goes to the next senders.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let (sender, mut receiver) = runtime::sync::mpsc::channel(4);
/// for (permit, letter) in sender.reserve_many(3).await.unwrap().zip(["a", "b"]) {
///     permit.send(letter);
/// }
/// assert_eq!(sender.capacity(), 2);
/// assert_eq!(receiver.recv().await, Some("a"));
/// # });
/// ```
#[must_use = "dropped, it gives the room back"]
pub struct PermitIterator<'a, T> {
    pub(super) chan: &'a Chan<T, Room>,
    pub(super) n: usize,
}

impl<'a, T> Iterator for PermitIterator<'a, T> {
    type Item = Permit<'a, T>;

    fn next(&mut self) -> Option<Permit<'a, T>> {
        self.n = self.n.checked_sub(1)?;
        Some(Permit { chan: self.chan })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.n, Some(self.n))
    }
}

impl<T> ExactSizeIterator for PermitIterator<'_, T> {}
impl<T> FusedIterator for PermitIterator<'_, T> {}

impl<T> Drop for PermitIterator<'_, T> {
    fn drop(&mut self) {
        if self.n > 0 {
            self.chan.release(self.n);
        }
    }
}

impl<T> fmt::Debug for PermitIterator<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitIterator").field("capacity", &self.n).finish_non_exhaustive()
    }
}

/// A permit that holds its sender, and can be moved to another task. [`Sender::reserve_owned`] and
/// [`Sender::try_reserve_owned`] return it.
///
/// If it is dropped, the next sender gets the room.
#[must_use = "dropped, it gives the room back"]
pub struct OwnedPermit<T> {
    /// `Some` until the permit is used or given back.
    pub(super) sender: Option<Sender<T>>,
}

impl<T> OwnedPermit<T> {
    /// Sends the message, and returns the sender.
    ///
    /// If the receiver was dropped in the meantime, the message is dropped.
    pub fn send(mut self, value: T) -> Sender<T> {
        let sender = self.take();
        sender.chan.push(value);
        sender
    }

    /// Gives the room back, and returns the sender.
    pub fn release(mut self) -> Sender<T> {
        let sender = self.take();
        sender.chan.release(1);
        sender
    }

    /// Returns true if both permits belong to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        other.sender.as_ref().is_some_and(|sender| self.same_channel_as_sender(sender))
    }

    /// Returns true if the permit and the sender belong to the same channel.
    pub fn same_channel_as_sender(&self, sender: &Sender<T>) -> bool {
        self.sender.as_ref().is_some_and(|own| Rc::ptr_eq(&own.chan, &sender.chan))
    }

    fn take(&mut self) -> Sender<T> {
        self.sender.take().expect("a permit holds its sender until it is used")
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.chan.release(1);
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("sender", &self.sender).finish()
    }
}
