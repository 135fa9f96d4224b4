//! The kinds of selectors, their names, and which of them this system has.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;

/// A kind of selector, named after its system call.
///
/// All kinds can be named on every system. [`available`](Kind::available) returns those that this system has.
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
    /// epoll(7), edge-triggered: Linux and Android. Its name is `epoll`.
    Epoll,
    /// epoll(7), level-triggered: Linux and Android. Its name is `epoll-level`.
    EpollLevel,
    /// kqueue(2), edge-triggered (`EV_CLEAR`): macOS, iOS and the BSDs. Its name is `kqueue`.
    Kqueue,
    /// poll(2), level-triggered: every Unix. Its name is `poll`.
    Poll,
    /// select(2), level-triggered, for descriptors below 1024 (NetBSD: 256): every Unix. Its name is `select`.
    Select,
}

const ALL: [Kind; 5] = [Kind::Epoll, Kind::EpollLevel, Kind::Kqueue, Kind::Poll, Kind::Select];

/// The kinds that this system has, best first.
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
    /// Returns the kinds that this system has, best first.
    pub const fn available() -> &'static [Kind] {
        AVAILABLE
    }

    /// Returns true if this system has this kind.
    pub fn is_available(self) -> bool {
        AVAILABLE.contains(&self)
    }

    /// Returns true if this kind is edge-triggered: it reports each change once. The other kinds are
    /// level-triggered: they report a descriptor for as long as it is ready.
    #[inline]
    pub const fn is_edge(self) -> bool {
        matches!(self, Kind::Epoll | Kind::Kqueue)
    }

    /// Returns the name: `epoll`, `epoll-level`, `kqueue`, `poll` or `select`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Epoll => "epoll",
            Kind::EpollLevel => "epoll-level",
            Kind::Kqueue => "kqueue",
            Kind::Poll => "poll",
            Kind::Select => "select",
        }
    }

    /// Returns an error which says that this system does not have this kind, and lists the kinds that it has.
    pub(super) fn unsupported(self) -> io::Error {
        let message = format!("{self} is not available here; there is {}", Names(AVAILABLE));
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

/// The error returned when no kind has the given name. Its message lists the names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseKindError {
    name: Box<str>,
}

impl fmt::Display for ParseKindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no selector {:?}; the names are {}", self.name, Names(&ALL))
    }
}

impl Error for ParseKindError {}

/// The names of several kinds, separated by commas.
struct Names<'a>(&'a [Kind]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, kind) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{kind}")?;
        }
        Ok(())
    }
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
    fn an_unsupported_kind_is_reported_with_the_available_ones() {
        let error = Kind::Kqueue.unsupported();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("kqueue is not available here; there is "), "{error}");
        assert!(error.to_string().ends_with("poll, select"), "{error}");
    }
}
