//! Events: what one wait brought, and room for it.

use std::fmt;

pub(crate) const READABLE: u8 = 1;
pub(crate) const WRITABLE: u8 = 2;
/// A short transfer does not mean that nothing is left.
pub(crate) const READ_MORE: u8 = 4;
pub(crate) const WRITE_CLOSED: u8 = 8;
/// The bits in between are for who keeps such flags.
pub(crate) const READ_END: u8 = 64;
pub(super) const PRIORITY: u8 = 128;

/// The peer has closed, or there is an error. The end is asked for seldom, and whether there is more often.
pub(super) const READ_CLOSED: u8 = READ_MORE | READ_END;

/// Nothing can be waited for any more: both directions, closed.
pub(super) const BROKEN: u8 = READABLE | WRITABLE | READ_CLOSED | WRITE_CLOSED;

/// What the kernel says about one descriptor.
///
/// It is a report from the past: only an operation shows for sure, and may find that nothing is
/// there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event {
    key: u64,
    flags: u8,
}

impl Event {
    #[inline]
    pub(super) const fn new(key: u64, flags: u8) -> Event {
        Event { key, flags }
    }

    /// The key under which the descriptor was registered.
    #[inline]
    pub const fn key(self) -> u64 {
        self.key
    }

    /// The constants above, or'ed.
    #[inline]
    pub(crate) const fn flags(self) -> u8 {
        self.flags
    }

    /// A read may get on: data, end of file, or an error to collect.
    #[inline]
    pub const fn is_readable(self) -> bool {
        self.flags & READABLE != 0
    }

    /// A write may get on, or has an error to collect.
    #[inline]
    pub const fn is_writable(self) -> bool {
        self.flags & WRITABLE != 0
    }

    /// Reads are near their end: the peer has closed or shut down (data may be left before the end
    /// of file), or there is an error to collect. A short read does not mean that nothing is left.
    ///
    /// A hint: macOS and the BSDs do not tell a half close by `poll` and `select`.
    #[inline]
    pub const fn is_read_closed(self) -> bool {
        self.flags & READ_END != 0
    }

    /// Urgent data has come (`EPOLLPRI`, see epoll_ctl(2)): a read stops at its mark, so that a short one does not
    /// mean that nothing is left.
    ///
    /// Only edge-triggered epoll tells. The others need not: they report what is left.
    #[inline]
    pub const fn is_priority(self) -> bool {
        self.flags & PRIORITY != 0
    }

    /// Writes will fail: there is an error to collect, or the connection is gone in both directions.
    ///
    /// A hint, as [`is_read_closed`](Event::is_read_closed).
    #[inline]
    pub const fn is_write_closed(self) -> bool {
        self.flags & WRITE_CLOSED != 0
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("key", &self.key)
            .field("readable", &self.is_readable())
            .field("writable", &self.is_writable())
            .field("read_closed", &self.is_read_closed())
            .field("write_closed", &self.is_write_closed())
            .field("priority", &self.is_priority())
            .finish()
    }
}

/// What one wait brought, and room for it: made once, filled anew by each wait.
///
/// # Examples
///
/// ```
/// use runtime::selector::Events;
///
/// let events = Events::with_capacity(64);
/// assert!(events.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Events {
    events: Vec<Event>,
    room: usize,
}

impl Events {
    /// Room for so many events, one at least. What finds no room comes with a later wait, in turn.
    pub fn with_capacity(capacity: usize) -> Events {
        let room = capacity.max(1);
        Events { events: Vec::with_capacity(room), room }
    }

    /// How many events one wait brings at most.
    pub fn capacity(&self) -> usize {
        self.room
    }

    /// How many events the last wait brought.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether the last wait brought none: its time was up, it was notified, or a signal came.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events, in no promised order. A descriptor may have more than one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.events.iter().copied()
    }

    /// Forgets the events. A wait does so by itself.
    pub fn clear(&mut self) {
        self.events.clear();
    }

    #[inline]
    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event;
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, Event>>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.iter().copied()
    }
}
