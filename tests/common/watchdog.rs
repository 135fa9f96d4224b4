//! A watchdog instead of patience: a test that hangs ends the process, and says which it was.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// No test here takes more than a few seconds; one that takes this long hangs.
const LIMIT: Duration = if cfg!(miri) { Duration::from_secs(1200) } else { Duration::from_secs(60) };

/// Aborts the process unless it is dropped in time.
pub(crate) struct Watchdog(#[expect(dead_code, reason = "its drop is the message")] Sender<()>);

pub(crate) fn watchdog() -> Watchdog {
    let (sender, receiver) = channel();
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    std::thread::spawn(move || {
        if receiver.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // Not by `eprintln!`: what that says the test harness keeps until the test has ended.
            _ = writeln!(std::io::stderr(), "{name} hangs");
            std::process::abort();
        }
    });
    Watchdog(sender)
}

/// Runs a future on a fresh runtime, watched.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = watchdog();
    runtime::block_on(future)
}
