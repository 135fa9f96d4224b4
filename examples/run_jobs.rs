//! A small make: runs shell commands, several at once, and prints their output in the order of the commands.
//!
//! ```text
//! cargo run --example run_jobs -- 'echo one; sleep 1' 'echo two' 'echo three >&2'
//! cargo run --example run_jobs -- -j 2 'sleep 1' 'sleep 2' 'false' 'sleep 3'
//! ```
//!
//! The first command that fails stops those that run, and no further one is started. Ctrl-C and SIGTERM do the same. Each
//! command leads a process group, so that what the shell has started is stopped together with the shell.
//!
//! Everything is stopped by dropping it: a task has its child, and the drop of the child's guard sends the signal.

use runtime::io::AsyncReadExt;
use runtime::net::unix::pipe::Receiver;
use runtime::process::{Child, Command};
use runtime::signal;
use runtime::signal::unix::SignalKind;
use runtime::sync::Semaphore;
use runtime::task::JoinSet;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::rc::Rc;

#[runtime::main]
async fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut limit = std::thread::available_parallelism().map_or(1, |count| count.get());
    if words.first().is_some_and(|word| word == "-j") {
        match words.get(1).and_then(|count| count.to_str()?.parse().ok()) {
            Some(count @ 1..) => limit = count,
            _ => return usage(),
        }
        words.drain(..2);
    }
    if words.is_empty() {
        return usage();
    }
    // The commands are in other process groups, so a signal that ended this process would not end them.
    let shutdown = signal::shutdown();
    let all = run_all(words, limit);
    let result = runtime::select! {
        result = all => result,
        kind = shutdown => kind.and(Err(io::ErrorKind::Interrupted.into())),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("run_jobs: {error}");
            ExitCode::from(2)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: run_jobs [-j COUNT] COMMAND...");
    ExitCode::from(2)
}

/// The output and the exit status of a command.
struct Finished {
    command: OsString,
    output: Vec<u8>,
    status: ExitStatus,
}

/// Runs the commands, at most `limit` at once. Returns false if one has failed.
async fn run_all(commands: Vec<OsString>, limit: usize) -> io::Result<bool> {
    let slots = Rc::new(Semaphore::new(limit));
    // If this function returns early, the set drops the tasks that are left.
    let mut jobs = JoinSet::new();
    for (number, command) in commands.into_iter().enumerate() {
        let slots = slots.clone();
        jobs.spawn(async move {
            let _slot = slots.acquire().await.expect("the semaphore is never closed");
            Ok((number, run(command).await?))
        });
    }
    let mut finished = BTreeMap::new();
    let mut printed = 0;
    while let Some(job) = jobs.join_next().await {
        let (number, job): (usize, Finished) = job.map_err(io::Error::other).flatten()?;
        if !job.status.success() {
            // The output of this command is shown even if earlier ones have not ended.
            show(&job)?;
            eprintln!("run_jobs: {} ended with {}", job.command.display(), job.status);
            return Ok(false);
        }
        finished.insert(number, job);
        while let Some(next) = finished.remove(&printed) {
            show(&next)?;
            printed += 1;
        }
    }
    Ok(true)
}

fn show(job: &Finished) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(&job.output)?;
    stdout.flush()
}

/// A child that leads a process group, all of which is asked to end when this is dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // After the end of the child, this does nothing.
        _ = self.0.send_process_group_signal(SignalKind::terminate());
    }
}

/// Runs one command. If this future is dropped, the command is stopped.
async fn run(command: OsString) -> io::Result<Finished> {
    let (mut group, mut reader) = start(&command)?;
    let mut output = Vec::new();
    // The pipe ends when no process of the group has it any more.
    reader.read_to_end(&mut output).await?;
    let status = group.0.wait().await?;
    Ok(Finished { command, output, status })
}

/// Starts a command whose standard output and standard error are one pipe, so that their order is kept.
fn start(command: &OsStr) -> io::Result<(Group, Receiver)> {
    let (reader, writer) = io::pipe()?;
    // The `Command` has the writing end, and the pipe would not end while it exists.
    let child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    Ok((Group(child), Receiver::from_owned_fd(reader.into())?))
}
