//! The structure and the constants of kevent(2), from the C library of this system, or on Linux from libkqueue.
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

/// The filter of events that a program triggers itself. OpenBSD has it only in recent versions.
#[cfg(not(target_os = "openbsd"))]
#[cfg_attr(test, allow(dead_code, reason = "the fake has none"))]
pub(super) const USER: Option<Filter> = Some(raw::EVFILT_USER);
#[cfg(target_os = "openbsd")]
pub(super) const USER: Option<Filter> = None;

pub(super) const ADD: Flags = raw::EV_ADD;
pub(super) const DELETE: Flags = raw::EV_DELETE;
pub(super) const ENABLE: Flags = raw::EV_ENABLE;
/// Makes the filter edge-triggered.
pub(super) const CLEAR: Flags = raw::EV_CLEAR;
/// Requests an answer entry for each change, and no events.
pub(super) const RECEIPT: Flags = raw::EV_RECEIPT;
pub(super) const EOF: Flags = raw::EV_EOF;
pub(super) const ERROR: Flags = raw::EV_ERROR;
#[cfg_attr(test, allow(dead_code, reason = "the fake has none"))]
pub(super) const TRIGGER: u32 = raw::NOTE_TRIGGER;

/// A change, the answer to a change, or an event.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Kevent(raw::kevent);

// SAFETY: the pointer in it is only a number. It is created from a number and never dereferenced.
unsafe impl Send for Kevent {}

impl Kevent {
    pub(super) fn new(ident: usize, filter: Filter, flags: Flags, key: u64) -> Kevent {
        // SAFETY: the structure consists of numbers and a pointer, all of which may be zero.
        let mut kevent: raw::kevent = unsafe { std::mem::zeroed() };
        kevent.ident = ident;
        kevent.filter = filter;
        kevent.flags = flags;
        kevent.udata = std::ptr::without_provenance_mut(key as usize);
        Kevent(kevent)
    }

    /// Sets the flags that are specific to the filter.
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

    /// Returns the error of an answer, or zero.
    pub(super) fn errno(&self) -> i32 {
        self.0.data as i32
    }

    pub(super) fn key(&self) -> u64 {
        self.0.udata.addr() as u64
    }
}
