//! The values of socket options, converted to an int or a byte of C.
//!
//! A number that does not fit must not turn into another one with a meaning of its own: -1 may be a default, and 0 a
//! reset. A size or a duration is limited, since a longer one than the system can represent makes hardly any
//! difference; a field of a packet is refused.

use std::io;
use std::time::Duration;

/// The longest time for which a close can wait (`SO_LINGER`), in seconds: 68 years on Linux. The BSDs store it in a
/// short, and macOS in a short as hundredths of a second.
const LONGEST_LINGER: u64 = if cfg!(any(target_os = "linux", target_os = "android")) {
    i32::MAX as u64
} else if cfg!(target_vendor = "apple") {
    i16::MAX as u64 / 100
} else {
    i16::MAX as u64
};

/// Rounds up to whole seconds. Rounded down, half a second would become zero, which has another meaning.
pub(super) fn whole_seconds(duration: Duration) -> Duration {
    let ceil = u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs(duration.as_secs().saturating_add(ceil))
}

/// Limits the time for which a close waits, and rounds it up to whole seconds.
pub(super) fn linger(duration: Duration) -> Duration {
    whole_seconds(duration).min(Duration::from_secs(LONGEST_LINGER))
}

/// Limits the size of a buffer, in bytes.
pub(super) fn buffer_size(size: u32) -> usize {
    size.min(i32::MAX as u32) as usize
}

/// Limits the number of connections that wait to be accepted.
pub(super) fn backlog(connections: u32) -> i32 {
    i32::try_from(connections).unwrap_or(i32::MAX)
}

/// Limits the number of probes.
pub(super) fn probes(count: u32) -> u32 {
    count.min(i32::MAX as u32)
}

/// Checks the value of a field of one byte in each packet: a TTL, a hop limit, a type of service or a traffic class.
///
/// # Errors
///
/// Returns `EINVAL` if it is more than 255, as Linux does for most of these.
pub(super) fn field(value: u32) -> io::Result<u32> {
    match u8::try_from(value) {
        Ok(_) => Ok(value),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up_and_limited() {
        let seconds = |nanos| whole_seconds(Duration::from_nanos(nanos)).as_secs();
        assert_eq!([0, 1, 999_999_999, 1_000_000_000, 1_000_000_001].map(seconds), [0, 1, 1, 1, 2]);
        assert_eq!(whole_seconds(Duration::MAX), Duration::from_secs(u64::MAX));
        assert_eq!(linger(Duration::ZERO), Duration::ZERO);
        assert_eq!(linger(Duration::from_millis(1)), Duration::from_secs(1));
        for long in [LONGEST_LINGER, LONGEST_LINGER + 1, 1 << 32, u64::MAX] {
            assert_eq!(linger(Duration::from_secs(long)), Duration::from_secs(LONGEST_LINGER));
        }
        assert_eq!(linger(Duration::MAX), Duration::from_secs(LONGEST_LINGER));
    }

    #[test]
    fn numbers_stay_what_they_are_or_are_limited() {
        for (value, limited) in
            [(0, 0), (1, 1), (i32::MAX as u32, i32::MAX), (1 << 31, i32::MAX), (u32::MAX, i32::MAX)]
        {
            assert_eq!(buffer_size(value), limited as usize);
            assert_eq!(backlog(value), limited);
            assert_eq!(probes(value), limited as u32);
        }
    }

    #[test]
    fn a_field_of_a_byte_takes_no_more_than_that() {
        assert_eq!([0, 1, 255].map(|value| field(value).unwrap()), [0, 1, 255]);
        for large in [256, 1 << 31, u32::MAX] {
            assert_eq!(field(large).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        }
    }
}
