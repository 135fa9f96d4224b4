//! The place in the source where an object was created, for error messages. Debug builds keep it. In release
//! builds `origin_disabled.rs` takes the place of this file.

use std::panic::Location;

/// The source line in which an object was created, if it is known.
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

/// An [`Origin`], and the name under which users know the object.
#[derive(Clone, Copy)]
pub(crate) struct NamedOrigin {
    name: &'static str,
    origin: Origin,
}

impl NamedOrigin {
    /// Records that the caller creates an object with this name.
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
