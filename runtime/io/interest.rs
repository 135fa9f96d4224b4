//! What one waits for, and what one is told: two small sets of flags, with tokio's meanings.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

const READ: u8 = 1;
const WRITE: u8 = 2;
const READ_CLOSED: u8 = 4;
const WRITE_CLOSED: u8 = 8;

/// Which sides of a descriptor one waits for: reading, writing, or either.
///
/// # Examples
///
/// ```
/// use runtime::io::Interest;
///
/// let either = Interest::READABLE | Interest::WRITABLE;
/// assert!(either.is_readable() && either.is_writable());
/// assert_eq!(either.remove(Interest::WRITABLE), Some(Interest::READABLE));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// In data to read, the peer's end of file, or an error.
    pub const READABLE: Interest = Interest(READ);

    /// In room to write, or an error.
    pub const WRITABLE: Interest = Interest(WRITE);

    /// Both interests together; the same as `|`.
    #[must_use = "this makes a new interest, and changes neither of the two"]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// What is left without `other`: `None` if nothing is.
    #[must_use = "this makes a new interest, and changes neither of the two"]
    pub const fn remove(self, other: Interest) -> Option<Interest> {
        match self.0 & !other.0 {
            0 => None,
            left => Some(Interest(left)),
        }
    }

    /// Whether reading is of interest.
    pub const fn is_readable(self) -> bool {
        self.0 & READ != 0
    }

    /// Whether writing is of interest.
    pub const fn is_writable(self) -> bool {
        self.0 & WRITE != 0
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = self.add(other);
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(self.0, f)
    }
}

/// Which sides of a descriptor are ready, as far as has been heard.
///
/// It is a report from the past: only an operation shows for sure, and may find that nothing is
/// there.
///
/// # Examples
///
/// ```
/// use runtime::io::Ready;
///
/// let ready = Ready::READABLE | Ready::WRITE_CLOSED;
/// assert!(ready.is_readable() && ready.is_writable());
/// assert!(!ready.is_read_closed() && ready.is_write_closed());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ready(u8);

impl Ready {
    /// Nothing is ready.
    pub const EMPTY: Ready = Ready(0);

    /// A read is worth a try.
    pub const READABLE: Ready = Ready(READ);

    /// A write is worth a try.
    pub const WRITABLE: Ready = Ready(WRITE);

    /// Reads are near their end: the peer has closed or shut down, or there is an error to collect.
    /// Data may be left before that.
    pub const READ_CLOSED: Ready = Ready(READ_CLOSED);

    /// Writes will fail: the connection is gone in both directions, or there is an error to collect.
    pub const WRITE_CLOSED: Ready = Ready(WRITE_CLOSED);

    /// All of the above.
    pub const ALL: Ready = Ready(READ | WRITE | READ_CLOSED | WRITE_CLOSED);

    /// Whether nothing is ready.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a read is worth a try: data, end of file, or an error.
    pub const fn is_readable(self) -> bool {
        self.0 & (READ | READ_CLOSED) != 0
    }

    /// Whether a write is worth a try, if only to learn of an error.
    pub const fn is_writable(self) -> bool {
        self.0 & (WRITE | WRITE_CLOSED) != 0
    }

    /// Whether reads are near their end, see [`READ_CLOSED`](Ready::READ_CLOSED).
    pub const fn is_read_closed(self) -> bool {
        self.0 & READ_CLOSED != 0
    }

    /// Whether writes will fail, see [`WRITE_CLOSED`](Ready::WRITE_CLOSED).
    pub const fn is_write_closed(self) -> bool {
        self.0 & WRITE_CLOSED != 0
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Ready;

    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl Sub for Ready {
    type Output = Ready;

    fn sub(self, other: Ready) -> Ready {
        Ready(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(self.0, f)
    }
}

fn write_flags(flags: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let names = [
        (READ, "READABLE"),
        (WRITE, "WRITABLE"),
        (READ_CLOSED, "READ_CLOSED"),
        (WRITE_CLOSED, "WRITE_CLOSED"),
    ];
    let mut separator = "";
    for (flag, name) in names {
        if flags & flag != 0 {
            write!(f, "{separator}{name}")?;
            separator = " | ";
        }
    }
    if flags == 0 { f.write_str("EMPTY") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_side_is_worth_a_try_too() {
        assert!(Ready::READ_CLOSED.is_readable() && !Ready::READ_CLOSED.is_writable());
        assert!(Ready::WRITE_CLOSED.is_writable() && !Ready::WRITE_CLOSED.is_readable());
        assert!(Ready::EMPTY.is_empty() && !Ready::ALL.is_empty());
        assert_eq!(Ready::ALL - Ready::READABLE - Ready::WRITABLE, Ready::READ_CLOSED | Ready::WRITE_CLOSED);
    }

    #[test]
    fn an_interest_is_never_empty() {
        assert_eq!(Interest::READABLE.remove(Interest::READABLE), None);
        assert_eq!(Interest::READABLE.remove(Interest::WRITABLE), Some(Interest::READABLE));
    }

    #[test]
    fn flags_are_shown_by_name() {
        assert_eq!(format!("{:?}", Ready::READABLE | Ready::WRITE_CLOSED), "READABLE | WRITE_CLOSED");
        assert_eq!(format!("{:?}", Ready::EMPTY), "EMPTY");
        assert_eq!(format!("{:?}", Interest::READABLE | Interest::WRITABLE), "READABLE | WRITABLE");
    }
}
