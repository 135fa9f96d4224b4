//! Keeps a program running: starts it again when it fails, after a pause that grows.
//!
//! ```text
//! cargo run --example supervise -- sh -c 'sleep 1; exit 1'
//! cargo run --example supervise -- --restarts 3 false
//! ```
//!
//! The pause doubles from 0.1 seconds to 10 seconds with each failure, and begins anew after the program has run for 10
//! seconds. After `--restarts` failures (5 by default) in such a row the supervisor gives up. If the program ends by
//! itself with success, so does the supervisor.
//!
//! Ctrl-C and SIGTERM stop the program: it gets SIGTERM, together with all that it has started, and is killed if it has not
//! ended after five seconds. A second Ctrl-C ends the supervisor at once, and the program is then not killed.

use runtime::process::{Child, Command};
use runtime::signal;
use runtime::signal::unix::SignalKind;
use runtime::time::{Instant, sleep, timeout};
use std::ffi::OsString;
use std::io;
use std::pin::pin;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A program that has run for so long counts as healthy.
const HEALTHY: Duration = Duration::from_secs(10);

/// The time that the program has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// SIGKILL, which has this number on all systems.
const KILL: SignalKind = SignalKind::from_raw(9);

#[runtime::main]
async fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut restarts = 5;
    if words.first().is_some_and(|word| word == "--restarts") {
        match words.get(1).and_then(|count| count.to_str()?.parse().ok()) {
            Some(count) => restarts = count,
            None => return usage(),
        }
        words.drain(..2);
    }
    let Some((program, arguments)) = words.split_first() else { return usage() };
    let mut command = Command::new(program);
    // A Ctrl-C on the terminal then reaches the supervisor alone, which passes it on.
    command.args(arguments).process_group(0).kill_on_drop(true);
    match supervise(&mut command, restarts).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("supervise: {}: {error}", program.display());
            ExitCode::from(2)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: supervise [--restarts COUNT] PROGRAM [ARGUMENT...]");
    ExitCode::from(2)
}

/// Runs the command until it succeeds or this program should end, and then returns true. Returns false after too many
/// failures.
async fn supervise(command: &mut Command, restarts: u32) -> io::Result<bool> {
    let mut shutdown = pin!(signal::shutdown());
    let (mut failures, mut pause) = (0, FIRST_PAUSE);
    loop {
        let begin = Instant::now();
        let mut child = command.spawn()?;
        let status = runtime::select! {
            status = child.wait() => status?,
            kind = &mut shutdown => {
                kind?;
                return stop(child).await.map(|_| true);
            }
        };
        if status.success() {
            return Ok(true);
        }
        if begin.elapsed() >= HEALTHY {
            (failures, pause) = (0, FIRST_PAUSE);
        }
        if failures == restarts {
            eprintln!("supervise: the program ended with {status}, and is not started again");
            return Ok(false);
        }
        failures += 1;
        eprintln!("supervise: the program ended with {status}, and is started again in {pause:?}");
        runtime::select! {
            () = sleep(pause) => {}
            kind = &mut shutdown => return kind.map(|_| true),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks the program and what it has started to end, and kills them if the program does not.
async fn stop(mut child: Child) -> io::Result<ExitStatus> {
    child.send_process_group_signal(SignalKind::terminate())?;
    match timeout(GRACE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            child.send_process_group_signal(KILL)?;
            child.wait().await
        }
    }
}
