//! The words of kevent(2), as the C library of this system has them; on Linux as libkqueue does.
#![expect(unsafe_code, reason = "a C structure, parts of which differ from system to system")]

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::libkqueue as raw;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use libc as raw;

#[cfg(not(target_os = "netbsd"))]
mod types {
    pub(crate) type Filter = i16;
    pub(crate) type Flags = u16;
}
#[cfg(target_os = "netbsd")]
mod types {
    pub(crate) type Filter = u32;
    pub(crate) type Flags = u32;
}
pub(crate) use types::{Filter, Flags};

pub(super) const READ: Filter = raw::EVFILT_READ;
pub(super) const WRITE: Filter = raw::EVFILT_WRITE;

/// Events that a program makes itself. OpenBSD has them only of late.
#[cfg(not(target_os = "openbsd"))]
#[cfg_attr(test, allow(dead_code, reason = "the fake has none"))]
pub(super) const USER: Option<Filter> = Some(raw::EVFILT_USER);
#[cfg(target_os = "openbsd")]
pub(super) const USER: Option<Filter> = None;

pub(super) const ADD: Flags = raw::EV_ADD;
pub(super) const DELETE: Flags = raw::EV_DELETE;
pub(super) const ENABLE: Flags = raw::EV_ENABLE;
/// By edge.
pub(super) const CLEAR: Flags = raw::EV_CLEAR;
/// Each change is answered by an entry of its own, and no event is taken along.
pub(super) const RECEIPT: Flags = raw::EV_RECEIPT;
pub(super) const EOF: Flags = raw::EV_EOF;
pub(super) const ERROR: Flags = raw::EV_ERROR;
#[cfg_attr(test, allow(dead_code, reason = "the fake has none"))]
pub(super) const TRIGGER: u32 = raw::NOTE_TRIGGER;

/// A change, the answer to one, or an event.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Kevent(raw::kevent);

// SAFETY: the pointer in it is a number: made from one, and never followed.
unsafe impl Send for Kevent {}

impl Kevent {
    pub(super) fn new(ident: usize, filter: Filter, flags: Flags, key: u64) -> Kevent {
        // SAFETY: numbers and a pointer, all of which may be zero.
        let mut kevent: raw::kevent = unsafe { std::mem::zeroed() };
        kevent.ident = ident;
        kevent.filter = filter;
        kevent.flags = flags;
        kevent.udata = std::ptr::without_provenance_mut(key as usize);
        Kevent(kevent)
    }

    /// With flags of the filter's own.
    #[cfg_attr(test, allow(dead_code, reason = "the fake has none"))]
    pub(super) fn with_fflags(mut self, fflags: u32) -> Kevent {
        self.0.fflags = fflags;
        self
    }

    #[cfg_attr(not(test), allow(dead_code, reason = "the kernel fills it in"))]
    pub(super) fn with_data(mut self, data: i32) -> Kevent {
        self.0.data = data as _;
        self
    }

    #[cfg_attr(not(test), allow(dead_code, reason = "for tests"))]
    pub(super) fn ident(&self) -> usize {
        self.0.ident
    }

    pub(super) fn filter(&self) -> Filter {
        self.0.filter
    }

    pub(super) fn has(&self, flag: Flags) -> bool {
        self.0.flags & flag != 0
    }

    /// Of a receipt: the error, or zero.
    pub(super) fn errno(&self) -> i32 {
        self.0.data as i32
    }

    pub(super) fn key(&self) -> u64 {
        self.0.udata.addr() as u64
    }
}
