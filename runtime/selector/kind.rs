//! The names of the mechanisms, and which of them this system has.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;

/// A mechanism for watching many descriptors at once.
///
/// All of them can be named everywhere; [`available`](Kind::available) says which there are.
///
/// # Examples
///
/// ```
/// use runtime::selector::Kind;
///
/// let kind: Kind = "poll".parse()?;
/// assert_eq!(kind, Kind::Poll);
/// assert!(Kind::available().contains(&kind), "every Unix has it");
/// assert_eq!(kind.to_string(), "poll");
/// # Ok::<(), runtime::selector::ParseKindError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// epoll(7), edge-triggered: Linux and Android. By name `epoll`.
    Epoll,
    /// epoll(7), level-triggered: Linux and Android. By name `epoll-level`.
    EpollLevel,
    /// kqueue(2), edge-triggered (`EV_CLEAR`): macOS, iOS and the BSDs. By name `kqueue`.
    Kqueue,
    /// poll(2), level-triggered: every Unix. By name `poll`.
    Poll,
    /// select(2), level-triggered, for descriptors below 1024 (NetBSD: 256): every Unix. By name
    /// `select`.
    Select,
}

const ALL: [Kind; 5] = [Kind::Epoll, Kind::EpollLevel, Kind::Kqueue, Kind::Poll, Kind::Select];

/// Best first: the ladder.
const AVAILABLE: &[Kind] = &[
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Kind::Epoll,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Kind::EpollLevel,
    #[cfg(any(not(any(target_os = "linux", target_os = "android")), runtime_libkqueue))]
    Kind::Kqueue,
    Kind::Poll,
    Kind::Select,
];

impl Kind {
    /// The mechanisms that this system has, best first.
    pub const fn available() -> &'static [Kind] {
        AVAILABLE
    }

    /// Whether this system has it.
    pub fn is_available(self) -> bool {
        AVAILABLE.contains(&self)
    }

    /// Whether it reports a change once (edge), and not for as long as a state lasts (level).
    #[inline]
    pub const fn is_edge(self) -> bool {
        matches!(self, Kind::Epoll | Kind::Kqueue)
    }

    /// Its name: `epoll`, `epoll-level`, `kqueue`, `poll` or `select`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Epoll => "epoll",
            Kind::EpollLevel => "epoll-level",
            Kind::Kqueue => "kqueue",
            Kind::Poll => "poll",
            Kind::Select => "select",
        }
    }

    /// Says that this system does not have it, and what it has.
    pub(super) fn unsupported(self) -> io::Error {
        let message = format!("{self} is not available here; there is {}", list(AVAILABLE));
        io::Error::new(io::ErrorKind::Unsupported, message)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(name: &str) -> Result<Kind, ParseKindError> {
        ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| ParseKindError { name: name.into() })
    }
}

/// No mechanism has that name. Its message lists the names that there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseKindError {
    name: Box<str>,
}

impl fmt::Display for ParseKindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no selector {:?}; the names are {}", self.name, list(&ALL))
    }
}

impl Error for ParseKindError {}

fn list(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for kind in ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "iocp".parse::<Kind>().unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no selector \"iocp\"; the names are epoll, epoll-level, kqueue, poll, select"
        );
    }

    #[test]
    fn what_is_missing_is_told_with_what_there_is() {
        let error = Kind::Kqueue.unsupported();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("kqueue is not available here; there is "), "{error}");
        assert!(error.to_string().ends_with("poll, select"), "{error}");
    }
}
