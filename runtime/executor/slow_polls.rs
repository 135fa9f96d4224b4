//! Slow polls: the threshold at which a poll is reported, and the line that reports it.
//!
//! The executor measures each poll if a threshold is set (`run_watched_tasks` in `executor/mod.rs`), and passes the
//! time in.

use crate::runtime::unwind;
use crate::task::Id;
use crate::task::origin::Origin;
use std::fmt;
use std::io;
use std::time::Duration;

/// The default threshold in debug builds. Users begin to notice delays of this length, and asyncio's debug mode has the
/// same threshold.
const DEBUG_THRESHOLD: Duration = Duration::from_millis(100);

/// The environment variable that sets the threshold of runtimes whose builder does not.
const VARIABLE: &str = "RUNTIME_SLOW_POLL_MS";

/// Returns the threshold of runtimes whose builder sets none: the value of the environment variable, or else the
/// default for a debug or a release build.
///
/// # Errors
///
/// Returns an error if the value of the variable is neither a number nor `off`.
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
            format!("{VARIABLE} must be a number of milliseconds, or \"off\", and not \"{value}\""),
        )),
    }
}

/// The future that was polled.
#[derive(Clone, Copy)]
pub(crate) enum Polled {
    /// The future of `block_on`.
    Main,
    /// A task, with the id that its join handle has, and the place where it was spawned.
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

/// Reports a poll if it has taken at least as long as the threshold.
pub(crate) fn check(threshold: Duration, begin_ns: u64, end_ns: u64, polled: Polled) {
    let took_ns = end_ns.saturating_sub(begin_ns);
    if Duration::from_nanos(took_ns) >= threshold {
        report(polled, took_ns / 1_000_000);
    }
}

#[cold]
fn report(polled: Polled, took_ms: u64) {
    // A panic is caught, since `eprintln` panics if standard error cannot be written to. The test harness captures the
    // line with the output of the test.
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
