//! Timeouts in the form that the system calls take: rounded up, never down, and limited.

use std::time::Duration;

/// The longest wait, some three years. A caller with a longer timeout waits again afterwards. Where the
/// kernel counts in microseconds of 32-bit seconds, a larger number is `EINVAL` (macOS and FreeBSD, see
/// `itimerfix`).
const LONGEST: u64 = 100_000_000;

/// The longest backoff of a loop whose kernel cannot report readiness for now, because it has no memory for
/// the answer or does not accept the list. A hundred attempts per second cost little.
const BACKOFF: Duration = Duration::from_millis(10);

/// Returns the time to back off in that case.
pub(super) fn backoff(timeout: Option<Duration>) -> Duration {
    timeout.map_or(BACKOFF, |timeout| timeout.min(BACKOFF))
}

/// Converts a timeout for `epoll_pwait2`, `ppoll`, `pselect` and `kevent`.
pub(super) fn timespec(timeout: Duration) -> libc::timespec {
    let seconds = timeout.as_secs();
    let (seconds, nanos) = if seconds < LONGEST { (seconds, timeout.subsec_nanos()) } else { (LONGEST, 0) };
    libc::timespec { tv_sec: seconds as _, tv_nsec: nanos as _ }
}

/// Converts a timeout for `epoll_wait` and `poll`; -1 is forever. The result is rounded up, so that a wait of
/// 0.4 ms does not become a busy loop. It is limited to 24.8 days, since a larger number would turn negative,
/// which means forever too.
#[allow(dead_code, reason = "the BSDs have nanoseconds everywhere")]
pub(super) fn milliseconds(timeout: Option<Duration>) -> i32 {
    match timeout {
        None => -1,
        Some(timeout) => i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up_and_clamped() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::from_micros(1500))), 2);
        assert_eq!(milliseconds(Some(Duration::from_millis(i32::MAX as u64))), i32::MAX);
        assert_eq!(milliseconds(Some(Duration::from_millis(1 << 31))), i32::MAX);
        assert_eq!(milliseconds(Some(Duration::from_millis(1 << 32))), i32::MAX);
        assert_eq!(milliseconds(Some(Duration::MAX)), i32::MAX);
    }

    #[test]
    fn nanoseconds_are_kept_and_seconds_clamped() {
        let parts = |timeout| {
            let timespec = timespec(timeout);
            (timespec.tv_sec, timespec.tv_nsec)
        };
        assert_eq!(parts(Duration::ZERO), (0, 0));
        assert_eq!(parts(Duration::new(3, 7)), (3, 7));
        assert_eq!(parts(Duration::new(LONGEST, 7)), (100_000_000, 0));
        assert_eq!(parts(Duration::MAX), (100_000_000, 0));
    }
}
