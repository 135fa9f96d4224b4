//! Polls that hold up the loop: how long one may take, and the line that says of one that has taken longer.
//!
//! The executor measures each poll if it is asked to (`run_watched_tasks` in `executor.rs`). Time is passed in.

use crate::runtime::unwind;
use crate::task::Id;
use crate::task::origin::Origin;
use std::fmt;
use std::io;
use std::time::Duration;

/// The threshold of debug builds: a person begins to notice, and it is that of asyncio's debug mode.
const DEBUG_THRESHOLD: Duration = Duration::from_millis(100);

/// Says what the threshold is of runtimes whose builder does not.
const VARIABLE: &str = "RUNTIME_SLOW_POLL_MS";

/// Returns the threshold of runtimes whose builder sets none: that of the environment, or else that of the build.
///
/// # Errors
///
/// If the environment says neither a number nor `off`.
pub(crate) fn default_threshold() -> io::Result<Option<Duration>> {
    match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        Some(value) => parse(&value.to_string_lossy()),
        None => Ok(cfg!(debug_assertions).then_some(DEBUG_THRESHOLD)),
    }
}

fn parse(value: &str) -> io::Result<Option<Duration>> {
    if value == "off" {
        return Ok(None);
    }
    match value.parse() {
        Ok(milliseconds) => Ok(Some(Duration::from_millis(milliseconds))),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{VARIABLE} is a number of milliseconds, or \"off\", and not \"{value}\""),
        )),
    }
}

/// What is polled.
#[derive(Clone, Copy)]
pub(crate) enum Polled {
    /// The future of `block_on`.
    Main,
    /// A task, by the name that its handle has.
    Task(Option<Id>, Origin),
}

impl fmt::Display for Polled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Polled::Task(id, origin) = self else { return f.write_str("the future of block_on") };
        match id {
            Some(id) => write!(f, "task {id}")?,
            None => f.write_str("a task")?,
        }
        match origin.location() {
            Some(spawned) => write!(f, ", spawned at {spawned},"),
            None => Ok(()),
        }
    }
}

/// A poll has been made. Reports it if it has taken as long as the threshold.
pub(crate) fn check(threshold: Duration, begin_ns: u64, end_ns: u64, polled: Polled) {
    let took_ns = end_ns.saturating_sub(begin_ns);
    if Duration::from_nanos(took_ns) >= threshold {
        report(polled, took_ns / 1_000_000);
    }
}

#[cold]
fn report(polled: Polled, took_ms: u64) {
    // Contained, for it panics if there is nowhere to write to. What it writes the test harness keeps with the test.
    unwind::contain(|| eprintln!("runtime: {polled} held up the loop for {took_ms} ms"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_number_or_off() {
        assert_eq!(parse("off").unwrap(), None);
        assert_eq!(parse("0").unwrap(), Some(Duration::ZERO));
        assert_eq!(parse("250").unwrap(), Some(Duration::from_millis(250)));
        for wrong in ["", "on", "-1", "1.5", "100ms", "99999999999999999999"] {
            assert_eq!(parse(wrong).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
