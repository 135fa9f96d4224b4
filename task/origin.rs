//! Where something was made, for messages to say it. This is remembered in debug builds;
//! `origin_absent.rs` takes the place of this file in release builds.

use std::panic::Location;

/// What somebody has made, by the name that users know, and in which line.
#[derive(Clone, Copy)]
pub(crate) struct Origin(Option<(&'static str, &'static Location<'static>)>);

impl Origin {
    pub(crate) const UNKNOWN: Origin = Origin(None);

    /// The caller makes something of that name.
    #[track_caller]
    pub(crate) fn caller(name: &'static str) -> Origin {
        Origin(Some((name, Location::caller())))
    }

    pub(crate) fn name(self) -> Option<&'static str> {
        self.0.map(|(name, _)| name)
    }

    pub(crate) fn location(self) -> Option<&'static Location<'static>> {
        self.0.map(|(_, location)| location)
    }
}
