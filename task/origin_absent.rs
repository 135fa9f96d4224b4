//! In release builds nobody remembers where something was made, and it takes no room.

use std::panic::Location;

/// Nothing.
#[derive(Clone, Copy)]
pub(crate) struct Origin;

impl Origin {
    pub(crate) const UNKNOWN: Origin = Origin;

    #[inline(always)]
    pub(crate) fn caller() -> Origin {
        Origin
    }

    pub(crate) fn location(self) -> Option<&'static Location<'static>> {
        None
    }
}

/// Nothing.
#[derive(Clone, Copy)]
pub(crate) struct NamedOrigin;

impl NamedOrigin {
    #[inline(always)]
    pub(crate) fn caller(_name: &'static str) -> NamedOrigin {
        NamedOrigin
    }

    pub(crate) fn name(self) -> Option<&'static str> {
        None
    }

    pub(crate) fn origin(self) -> Origin {
        Origin
    }
}
