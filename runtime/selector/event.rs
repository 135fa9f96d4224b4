//! The events of one wait, and the list that holds them.

use std::fmt;

pub(crate) const READABLE: u8 = 1;
pub(crate) const WRITABLE: u8 = 2;
/// Set if a short transfer does not mean that no data is left.
pub(crate) const READ_MORE: u8 = 4;
pub(crate) const WRITE_CLOSED: u8 = 8;
/// The two bits below this one are left to callers that store these flags with flags of their own.
pub(crate) const READ_END: u8 = 64;
pub(super) const PRIORITY: u8 = 128;

/// The peer has closed, or there is an error. It is two bits: the end is queried rarely, and whether more
/// data is left is queried often.
pub(super) const READ_CLOSED: u8 = READ_MORE | READ_END;

/// The descriptor can no longer be waited for: both directions are ready and closed.
pub(super) const BROKEN: u8 = READABLE | WRITABLE | READ_CLOSED | WRITE_CLOSED;

/// The readiness of one descriptor, as the kernel reported it.
///
/// It may be out of date by the time it is used: only an operation tells whether the descriptor is still ready.
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

    /// Returns the key under which the descriptor was registered.
    #[inline]
    pub const fn key(self) -> u64 {
        self.key
    }

    /// Returns the flags: the constants above, combined with `|`.
    #[inline]
    pub(crate) const fn flags(self) -> u8 {
        self.flags
    }

    /// Returns true if a read may make progress: there is data, the end of file, or an error to collect.
    #[inline]
    pub const fn is_readable(self) -> bool {
        self.flags & READABLE != 0
    }

    /// Returns true if a write may make progress, or there is an error to collect.
    #[inline]
    pub const fn is_writable(self) -> bool {
        self.flags & WRITABLE != 0
    }

    /// Returns true if reads are about to reach the end of file or an error: the peer has closed or shut down its side,
    /// or there is an error to collect. Data may be left before that, so a short read does not mean that no data is
    /// left.
    ///
    /// This is a hint: on macOS and the BSDs `poll` and `select` do not report a half close.
    #[inline]
    pub const fn is_read_closed(self) -> bool {
        self.flags & READ_END != 0
    }

    /// Returns true if urgent data has arrived (`EPOLLPRI`, see epoll_ctl(2)). A read stops at the mark of
    /// urgent data, so a short read does not mean that no data is left.
    ///
    /// Only edge-triggered epoll reports this. The other kinds need not, because they report the data that is
    /// left.
    #[inline]
    pub const fn is_priority(self) -> bool {
        self.flags & PRIORITY != 0
    }

    /// Returns true if writes will fail: there is an error to collect, or the connection is closed in both
    /// directions.
    ///
    /// This is a hint: a system may not report it.
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

/// A list of the events of one wait. It is created once, and each wait fills it anew.
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
    /// Creates a list with room for `capacity` events, or for one if `capacity` is zero. Later waits return the events
    /// for which there is no room, so that no descriptor is left out.
    pub fn with_capacity(capacity: usize) -> Events {
        let room = capacity.max(1);
        Events { events: Vec::with_capacity(room), room }
    }

    /// Returns the maximum number of events that one wait returns.
    pub fn capacity(&self) -> usize {
        self.room
    }

    /// Returns the number of events that the latest wait returned.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns true if the latest wait returned no events: its timeout had passed, it was notified, or a signal
    /// arrived.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns an iterator over the events, in no particular order. A descriptor may have more than one event.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.events.iter().copied()
    }

    /// Removes all events. A wait does so by itself.
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
