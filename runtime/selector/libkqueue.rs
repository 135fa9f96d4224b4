//! kevent(2) on Linux, provided by libkqueue: the structure and the constants of its `sys/event.h`, which are
//! those of older FreeBSD versions. They are used with `--cfg runtime_libkqueue`, and in tests of the
//! translation of events.
//!
//! libkqueue 2.7 or later is required. Earlier versions hold their lock while they wait, so that no other
//! thread can notify or remove a descriptor. libkqueue is built on epoll and does not notice a close, so a
//! registration outlives a descriptor that is closed without being deregistered.
#![allow(non_camel_case_types, reason = "the names are C's")]

#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct kevent {
    pub(super) ident: libc::uintptr_t,
    pub(super) filter: libc::c_short,
    pub(super) flags: libc::c_ushort,
    pub(super) fflags: libc::c_uint,
    pub(super) data: libc::intptr_t,
    pub(super) udata: *mut libc::c_void,
}

pub(super) const EVFILT_READ: i16 = -1;
pub(super) const EVFILT_WRITE: i16 = -2;
pub(super) const EVFILT_USER: i16 = -11;

pub(super) const EV_ADD: u16 = 0x0001;
pub(super) const EV_DELETE: u16 = 0x0002;
pub(super) const EV_ENABLE: u16 = 0x0004;
pub(super) const EV_CLEAR: u16 = 0x0020;
pub(super) const EV_RECEIPT: u16 = 0x0040;
pub(super) const EV_ERROR: u16 = 0x4000;
pub(super) const EV_EOF: u16 = 0x8000;

pub(super) const NOTE_TRIGGER: u32 = 0x0100_0000;
