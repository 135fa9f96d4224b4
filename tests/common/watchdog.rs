//! A watchdog: a test that hangs ends the process, which prints the name of the test.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The time after which a test counts as hanging. None takes more than a few seconds, but a machine that is busy with
/// other work may make that a minute.
const LIMIT: Duration = if cfg!(miri) { Duration::from_secs(1200) } else { Duration::from_secs(180) };

/// A guard that aborts the process unless it is dropped in time.
pub(crate) struct Watchdog {
    /// Its drop is the message that the test has ended.
    _running: Sender<()>,
}

pub(crate) fn watchdog() -> Watchdog {
    let (sender, receiver) = channel();
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    std::thread::spawn(move || {
        if receiver.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // This does not use `eprintln!`, whose output the test harness keeps until the test has ended.
            _ = writeln!(std::io::stderr(), "{name} hangs");
            std::process::abort();
        }
    });
    Watchdog { _running: sender }
}

/// Runs a future on a new runtime, with a watchdog.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = watchdog();
    runtime::block_on(future)
}
