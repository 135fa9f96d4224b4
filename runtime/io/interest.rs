//! Interest and readiness: two small sets of flags, with the same meaning as tokio's.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

const READ: u8 = 1;
const WRITE: u8 = 2;
const READ_CLOSED: u8 = 4;
const WRITE_CLOSED: u8 = 8;

/// The directions of a descriptor that the caller waits for: reading, writing, or either.
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
    /// Interest in reading: data, the peer's end of file, or an error.
    pub const READABLE: Interest = Interest(READ);

    /// Interest in writing: room for data, or an error.
    pub const WRITABLE: Interest = Interest(WRITE);

    /// Returns the union of both interests. The operator `|` does the same.
    #[must_use = "this returns a new interest, and changes neither of the two"]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// Returns the interest without `other`, or `None` if nothing is left.
    #[must_use = "this returns a new interest, and changes neither of the two"]
    pub const fn remove(self, other: Interest) -> Option<Interest> {
        match self.0 & !other.0 {
            0 => None,
            left => Some(Interest(left)),
        }
    }

    /// Returns true if the interest includes reading.
    pub const fn is_readable(self) -> bool {
        self.0 & READ != 0
    }

    /// Returns true if the interest includes writing.
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

/// The readiness of a descriptor, as far as it has been reported.
///
/// It may be out of date by the time it is used: only an operation tells whether the descriptor is still
/// ready.
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
    /// No readiness.
    pub const EMPTY: Ready = Ready(0);

    /// A read may make progress.
    pub const READABLE: Ready = Ready(READ);

    /// A write may make progress.
    pub const WRITABLE: Ready = Ready(WRITE);

    /// Reads are about to reach the end of the stream or an error: the peer has closed or shut down its side,
    /// or there is an error to collect. Data may be left before that.
    pub const READ_CLOSED: Ready = Ready(READ_CLOSED);

    /// Writes will fail: the connection is closed in both directions, or there is an error to collect.
    pub const WRITE_CLOSED: Ready = Ready(WRITE_CLOSED);

    /// All of the flags above.
    pub const ALL: Ready = Ready(READ | WRITE | READ_CLOSED | WRITE_CLOSED);

    /// Returns true if no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns true if a read may make progress: there is data, the end of file, or an error to collect.
    pub const fn is_readable(self) -> bool {
        self.0 & (READ | READ_CLOSED) != 0
    }

    /// Returns true if a write may make progress, or if there is an error to collect.
    pub const fn is_writable(self) -> bool {
        self.0 & (WRITE | WRITE_CLOSED) != 0
    }

    /// Returns true if reads are about to reach the end of the stream or an error; see
    /// [`READ_CLOSED`](Ready::READ_CLOSED).
    pub const fn is_read_closed(self) -> bool {
        self.0 & READ_CLOSED != 0
    }

    /// Returns true if writes will fail; see [`WRITE_CLOSED`](Ready::WRITE_CLOSED).
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
    fn a_closed_side_counts_as_ready() {
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
