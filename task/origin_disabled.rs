//! The release-build version of `origin.rs`. It stores nothing and takes no memory.

use std::panic::Location;

/// An origin that stores nothing.
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

/// A named origin that stores nothing.
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
