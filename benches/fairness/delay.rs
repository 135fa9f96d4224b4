//! The length of a wait. If the end of a round cut the wait short, it would have lasted longer, and its text says so.

use std::fmt;
use std::time::Duration;

/// The length of a wait. Delays compare by length first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delay {
    length: Duration,
    is_cut_short: bool,
}

impl Delay {
    pub(crate) fn new(length: Duration, is_cut_short: bool) -> Delay {
        Delay { length, is_cut_short }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_cut_short {
            f.write_str("> ")?;
        }
        match self.length.as_secs_f64() * 1e6 {
            us if us < 100.0 => write!(f, "{us:.1} µs"),
            us if us < 1000.0 => write!(f, "{us:.0} µs"),
            us if us < 100_000.0 => write!(f, "{:.1} ms", us / 1e3),
            us => write!(f, "{:.0} ms", us / 1e3),
        }
    }
}

/// Returns the `q` quantile by the nearest rank: a wait that was measured, never a mean of two.
pub(crate) fn quantile(delays: &[Delay], q: f64) -> Delay {
    let mut sorted = delays.to_vec();
    sorted.sort();
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.max(1) - 1]
}

/// Returns the median of the rounds.
pub(crate) fn median(rounds: &[Delay]) -> Delay {
    quantile(rounds, 0.5)
}
