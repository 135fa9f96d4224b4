//! Where something was made, for messages to say it. This is remembered in debug builds;
//! `origin_absent.rs` takes the place of this file in release builds.

use std::panic::Location;

/// The line in which something was made, if it is known.
#[derive(Clone, Copy)]
pub(crate) struct Origin(Option<&'static Location<'static>>);

impl Origin {
    pub(crate) const UNKNOWN: Origin = Origin(None);

    #[track_caller]
    pub(crate) fn caller() -> Origin {
        Origin(Some(Location::caller()))
    }

    pub(crate) fn location(self) -> Option<&'static Location<'static>> {
        self.0
    }
}

/// That line, and what was made by the name that users know.
#[derive(Clone, Copy)]
pub(crate) struct NamedOrigin {
    name: &'static str,
    origin: Origin,
}

impl NamedOrigin {
    /// The caller makes something of that name.
    #[track_caller]
    pub(crate) fn caller(name: &'static str) -> NamedOrigin {
        NamedOrigin { name, origin: Origin::caller() }
    }

    pub(crate) fn name(self) -> Option<&'static str> {
        Some(self.name)
    }

    pub(crate) fn origin(self) -> Origin {
        self.origin
    }
}
