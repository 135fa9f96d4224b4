//! Programs that use child processes and signals, as they are written for tokio, and one line that makes them run on this
//! crate: a build, a supervisor that Ctrl-C stops, a configuration that `SIGHUP` loads again, pipelines, a child that is
//! fed, and standard input that is saved to a file.
#![cfg(not(miri))] // Miri has no processes.
#![allow(clippy::arc_with_non_send_sync, reason = "with tokio, these types are shared between threads")]

mod common;

extern crate runtime as tokio;

use common::temp_path::TempPath;
use common::watchdog;
use std::collections::HashMap;
use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::{self, File};
use tokio::io::{self, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio::{select, signal as signals};

type BoxError = Box<dyn Error>;

/// Sends a signal to this process.
async fn kill(name: &str) {
    let id = std::process::id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
}

/// A step of a build.
struct Step {
    name: &'static str,
    script: &'static str,
    folder: PathBuf,
    env: HashMap<&'static str, String>,
    limit: Duration,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Failed(i32),
    Killed(i32),
    TimedOut,
    NotStarted(io::ErrorKind),
}

/// Passes lines on, and counts them.
fn forward<R>(stream: R, prefix: String, lines: mpsc::Sender<String>) -> JoinHandle<io::Result<usize>>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let mut reader = BufReader::new(stream).lines();
        let mut count = 0;
        while let Some(line) = reader.next_line().await? {
            count += 1;
            if lines.send(format!("{prefix}{line}")).await.is_err() {
                break;
            }
        }
        Ok(count)
    })
}

fn outcome(status: ExitStatus) -> Outcome {
    match status.code() {
        Some(0) => Outcome::Done,
        Some(code) => Outcome::Failed(code),
        None => Outcome::Killed(status.signal().expect("it has ended by a signal or by itself")),
    }
}

async fn run_step(step: Step, lines: mpsc::Sender<String>) -> (&'static str, Outcome, usize) {
    let spawned = Command::new("sh")
        .arg("-c")
        .arg(step.script)
        .current_dir(&step.folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(&step.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child: Child = match spawned {
        Ok(child) => child,
        Err(error) => return (step.name, Outcome::NotStarted(error.kind()), 0),
    };
    let out = forward(child.stdout.take().unwrap(), format!("{}: ", step.name), lines.clone());
    let errors = forward(child.stderr.take().unwrap(), format!("{}! ", step.name), lines);
    let outcome = match timeout(step.limit, child.wait()).await {
        Ok(status) => outcome(status.unwrap()),
        Err(_) => {
            child.kill().await.unwrap();
            assert_eq!(child.id(), None);
            Outcome::TimedOut
        }
    };
    let (out, errors) = tokio::try_join!(out, errors).unwrap();
    (step.name, outcome, out.unwrap() + errors.unwrap())
}

#[tokio::test]
async fn the_steps_of_a_build_print_fail_and_time_out() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let folder = TempPath::folder();
    fs::create_dir(folder.join("sub")).await?;
    let (lines, mut printed) = mpsc::channel::<String>(4);
    let mut steps = JoinSet::new();
    for (name, script, folder, limit_ms) in [
        ("1 compile", "echo one; echo two; echo warning >&2", folder.to_path_buf(), 3_600_000),
        ("2 env", "echo $STEP ${HOME-none}; basename $PWD", folder.join("sub"), 3_600_000),
        ("3 fail", "exit 3", folder.to_path_buf(), 3_600_000),
        ("4 end", "kill -TERM $$", folder.to_path_buf(), 3_600_000),
        ("5 hang", "exec sleep 3600", folder.to_path_buf(), 10),
        (
            "6 many",
            "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done",
            folder.to_path_buf(),
            3_600_000,
        ),
        ("7 nowhere", "true", folder.join("missing"), 3_600_000),
    ] {
        let env = HashMap::from([("STEP", format!("step {name}"))]);
        let step = Step { name, script, folder, env, limit: Duration::from_millis(limit_ms) };
        steps.spawn(run_step(step, lines.clone()));
    }
    drop(lines);
    let printer = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(line) = printed.recv().await {
            if !line.starts_with("6 many") {
                all.push(line);
            }
        }
        all
    });
    let mut results = steps.join_all().await;
    results.sort_by_key(|result| result.0);
    let expected = [
        ("1 compile", Outcome::Done, 3),
        ("2 env", Outcome::Done, 2),
        ("3 fail", Outcome::Failed(3), 0),
        ("4 end", Outcome::Killed(SignalKind::terminate().as_raw_value()), 0),
        ("5 hang", Outcome::TimedOut, 0),
        ("6 many", Outcome::Done, 2000),
        ("7 nowhere", Outcome::NotStarted(io::ErrorKind::NotFound), 0),
    ];
    assert_eq!(results, expected);
    let mut lines = printer.await?;
    lines.sort();
    let expected =
        ["1 compile! warning", "1 compile: one", "1 compile: two", "2 env: step 2 env none", "2 env: sub"];
    assert_eq!(lines, expected);
    Ok(())
}

#[derive(Debug, PartialEq)]
enum Event {
    Started(u32),
    Ended(Option<i32>),
    Stopped(Option<i32>),
}

/// Starts a program again when it fails, after a growing delay, until it succeeds or has to stop.
async fn supervise(
    mut command: Command,
    mut stop: watch::Receiver<bool>,
    events: mpsc::UnboundedSender<Event>,
) -> io::Result<()> {
    for attempt in 1.. {
        let mut child = command.env("ATTEMPT", attempt.to_string()).kill_on_drop(true).spawn()?;
        let _ = events.send(Event::Started(attempt));
        let status = select! {
            status = child.wait() => status?,
            _ = stop.changed() => {
                child.start_kill()?;
                let _ = events.send(Event::Stopped(child.wait().await?.signal()));
                return Ok(());
            }
        };
        let _ = events.send(Event::Ended(status.code()));
        if status.success() {
            break;
        }
        select! {
            () = sleep(Duration::from_millis(1 << attempt)) => {}
            _ = stop.changed() => break,
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_supervisor_restarts_its_program_until_ctrl_c() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let (stop, stopped) = watch::channel(false);
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut command = Command::new("sh");
    command.arg("-c").arg("[ $ATTEMPT -le 2 ] && exit $ATTEMPT; exec sleep 3600");
    let ctrl_c = signals::ctrl_c();
    tokio::pin!(ctrl_c);
    let supervisor = tokio::spawn(supervise(command, stopped, sender));
    let mut seen = Vec::new();
    loop {
        select! {
            biased;
            result = &mut ctrl_c => {
                result?;
                stop.send(true)?;
                break;
            }
            Some(event) = events.recv() => {
                if event == Event::Started(3) {
                    tokio::spawn(kill("INT"));
                }
                seen.push(event);
            }
        }
    }
    supervisor.await??;
    while let Some(event) = events.recv().await {
        seen.push(event);
    }
    let expected = [
        Event::Started(1),
        Event::Ended(Some(1)),
        Event::Started(2),
        Event::Ended(Some(2)),
        Event::Started(3),
        Event::Stopped(Some(libc::SIGKILL)),
    ];
    assert_eq!(seen, expected);
    Ok(())
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Config {
    workers: usize,
    greeting: String,
}

impl FromStr for Config {
    type Err = String;

    fn from_str(text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        for line in text.lines() {
            let (key, value) = line.split_once('=').ok_or(format!("{line:?} has no value"))?;
            match key.trim() {
                "workers" => config.workers = value.trim().parse().map_err(|error| format!("{error}"))?,
                "greeting" => config.greeting = value.trim().to_owned(),
                key => return Err(format!("unknown key {key}")),
            }
        }
        Ok(config)
    }
}

async fn load(path: &Path) -> io::Result<Config> {
    let text = fs::read_to_string(path).await?;
    text.parse().map_err(|error: String| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Loads a configuration at each `SIGHUP`, and reports whether it has changed.
async fn reload(
    path: PathBuf,
    config: watch::Sender<Arc<Config>>,
    events: mpsc::Sender<Result<bool, io::ErrorKind>>,
) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    let _ = events.send(Ok(true)).await;
    loop {
        select! {
            Some(()) = hangups.recv() => {
                let event = load(&path).await.map_err(|error| error.kind()).map(|new| {
                    config.send_if_modified(|old| {
                        let differs = **old != new;
                        *old = Arc::new(new);
                        differs
                    })
                });
                let _ = events.send(event).await;
            }
            () = config.closed() => return Ok(()),
        }
    }
}

#[tokio::test]
async fn a_configuration_is_loaded_again_at_a_signal() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let path = TempPath::file(b"workers = 1\ngreeting = hi\n");
    let (sender, mut config) = watch::channel(Arc::new(load(&path).await?));
    let (events, mut log) = mpsc::channel(4);
    let task = tokio::spawn(reload(path.to_path_buf(), sender, events));
    assert_eq!(log.recv().await, Some(Ok(true)));
    assert_eq!(config.borrow_and_update().workers, 1);
    for (text, event, workers) in [
        ("workers=2\ngreeting=hi", Ok(true), 2),
        ("workers = 2\ngreeting = hi", Ok(false), 2),
        ("workers=two", Err(io::ErrorKind::InvalidData), 2),
        ("workers=3", Ok(true), 3),
    ] {
        fs::write(&path, text).await?;
        kill("HUP").await;
        assert_eq!(log.recv().await, Some(event));
        assert_eq!(config.has_changed()?, event == Ok(true));
        assert_eq!(config.borrow_and_update().workers, workers);
    }
    fs::remove_file(&path).await?;
    kill("HUP").await;
    assert_eq!(log.recv().await, Some(Err(io::ErrorKind::NotFound)));
    drop(config);
    task.await??;
    Ok(())
}

#[tokio::test]
async fn a_pipeline_passes_the_output_of_a_child_to_the_next() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let mut first =
        Command::new("printf").arg("%s\\n").args(["pear", "apple", "fig"]).stdout(Stdio::piped()).spawn()?;
    let output: Stdio = first.stdout.take().unwrap().try_into()?;
    let mut second = Command::new("sort").stdin(output).stdout(Stdio::piped()).spawn()?;
    let output = second.stdout.take().unwrap().into_owned_fd()?;
    let third = Command::new("head").args(["-n", "2"]).stdin(output).stdout(Stdio::piped()).spawn()?;
    let (first, second, third) = tokio::try_join!(first.wait(), second.wait(), third.wait_with_output())?;
    assert!(first.success() && second.success() && third.status.success());
    assert_eq!(third.stdout, b"apple\nfig\n");
    Ok(())
}

fn numbers() -> String {
    (0..50_000).map(|number| format!("{number}\n")).collect()
}

#[tokio::test]
async fn a_child_is_fed_by_a_file_or_by_copying() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    let (input, output) = (TempPath::file(numbers().as_bytes()), TempPath::new());
    // The child reads the file by itself, from where this program has read it to.
    let mut file = File::open(&input).await?;
    file.read_exact(&mut [0; 4]).await?;
    let head = Command::new("head").arg("-n1").stdin(file.into_std().await).output().await?;
    assert_eq!(head.stdout, b"2\n");

    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut stdin, mut stdout) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
    let (mut from, mut to) = (File::open(&input).await?, File::create(&output).await?);
    let (sent, received) = tokio::try_join!(
        async move {
            let count = io::copy(&mut from, &mut stdin).await?;
            stdin.shutdown().await?;
            Ok(count)
        },
        async {
            let count = io::copy(&mut stdout, &mut to).await?;
            to.flush().await?;
            io::Result::Ok(count)
        },
    )?;
    assert_eq!((sent, received, cat.wait().await?.code()), (288_890, 288_890, Some(0)));
    assert!(fs::read_to_string(&output).await? == numbers());
    Ok(())
}

#[tokio::test]
async fn standard_input_is_saved_to_a_file() -> Result<(), BoxError> {
    let _watchdog = watchdog();
    const SAVE_TO: &str = "RUNTIME_TEST_SAVE_TO";
    if let Some(path) = std::env::var_os(SAVE_TO) {
        let mut file = BufWriter::new(File::create(path).await?);
        io::copy(&mut io::stdin(), &mut file).await?;
        file.flush().await?;
        return Ok(());
    }
    let saved = TempPath::new();
    let mut save = Command::new(std::env::current_exe()?)
        .args(["--exact", "standard_input_is_saved_to_a_file", "--nocapture"])
        .env(SAVE_TO, &*saved)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    save.stdin.as_mut().unwrap().write_all(numbers().as_bytes()).await?;
    assert!(save.wait_with_output().await?.status.success());
    assert!(fs::read_to_string(&saved).await? == numbers());
    Ok(())
}
