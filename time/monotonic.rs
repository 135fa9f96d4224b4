//! The system's monotonic clock, in nanoseconds: clock_gettime(2).
//!
//! std reads the same clock, but as seconds and nanoseconds that have to be subtracted from an
//! origin to become a number. A timer reads the clock once and does little else, so that a third of
//! its time would go there.
#![expect(unsafe_code, reason = "one system call, on memory owned here")]

/// Nanoseconds since some instant in the past, the same for the whole life of the system.
#[inline]
pub(super) fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec`, which is here.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    debug_assert_eq!(result, 0, "POSIX systems have this clock");
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
