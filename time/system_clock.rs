//! The system's monotonic clock, read as one word of nanoseconds.
//!
//! It is the clock of [`std::time::Instant`]. But std's instants have two fields, and to subtract one from the other
//! costs more than to read the clock. Nearly every timer reads the clock once.
//!
//! This file knows neither instants nor clocks that are paused.
#![expect(unsafe_code, reason = "clock_gettime(2)")]

/// The clock that std reads for its instants.
#[cfg(not(target_vendor = "apple"))]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
#[cfg(target_vendor = "apple")]
const CLOCK: libc::clockid_t = libc::CLOCK_UPTIME_RAW;

/// Reads the clock, in nanoseconds after an instant that stays the same while the system runs. The result is meant
/// modulo 2^64: a virtual machine or a test may set the clock back behind that instant.
#[inline]
pub(super) fn read_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for the call, which writes nothing but the `timespec`.
    let result = unsafe { libc::clock_gettime(CLOCK, &mut time) };
    if result != 0 {
        failed();
    }
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

#[cold]
#[inline(never)]
fn failed() -> ! {
    panic!("the system has no monotonic clock: {}", std::io::Error::last_os_error());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// The reading of std lies between two of ours, so the two clocks run at the same rate.
    #[test]
    fn it_is_the_clock_of_std() {
        let before_ns = read_ns();
        let std = Instant::now();
        let after_ns = read_ns();
        let least = Duration::from_millis(3);
        while std.elapsed() < least {
            std::thread::yield_now();
        }
        let late_before_ns = read_ns();
        let passed = std.elapsed();
        let late_after_ns = read_ns();
        assert!(Duration::from_nanos(late_before_ns - after_ns) <= passed);
        assert!(Duration::from_nanos(late_after_ns - before_ns) >= passed);
    }
}
