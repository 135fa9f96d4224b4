//! The clients: a process that holds connections open and sends messages on them.
//!
//! On many systems a process may have 20,000 descriptors, and a server that watches 19,000 sockets has no room for
//! their other ends. So these are in a child, which takes commands as lines on its standard input and answers each
//! with one line of numbers.

use std::env;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::load::{Load, PATIENCE_MS};
use crate::common::stats::quantile;
use crate::common::system::{end_with_parent, pin_to, raise_descriptor_limit};

/// The first argument of a child that is to be a client.
const CLIENTS: &str = "--clients";

pub(crate) const MESSAGE_LEN: usize = 64;

/// The result of a number of messages. Times are in nanoseconds.
pub(crate) struct Run {
    pub(crate) messages: f64,
    pub(crate) wall: f64,
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

/// A child that holds connections.
pub(crate) struct Clients {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Clients {
    /// Starts a child that has no connections yet, to run on `core`.
    pub(crate) fn start(core: usize) -> io::Result<Clients> {
        let mut child = Command::new(env::current_exe()?)
            .args([CLIENTS, &core.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Ok(Clients { child, input, output })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Opens `count` more connections to `server`, and lets each of them get an answer.
    pub(crate) fn open(&mut self, server: SocketAddr, count: usize) -> io::Result<()> {
        self.ask(&format!("open {server} {count}")).map(drop)
    }

    /// Keeps a message on its way on each of the latest connections, for `duration`.
    pub(crate) fn flat_out(&mut self, duration: Duration) -> io::Result<Run> {
        self.ask(&format!("flat-out {}", duration.as_nanos())).and_then(Run::from_numbers)
    }

    /// Sends `rate` messages a second for `duration`, on each connection in turn. A latency counts from the moment at
    /// which the message was due.
    pub(crate) fn paced(&mut self, rate: usize, duration: Duration) -> io::Result<Run> {
        self.ask(&format!("paced {} {rate}", duration.as_nanos())).and_then(Run::from_numbers)
    }

    fn ask(&mut self, command: &str) -> io::Result<Vec<f64>> {
        let input = self.input.as_mut().expect("open until dropped");
        writeln!(input, "{command}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let numbers = line.split_whitespace().map(str::parse).collect();
        match numbers {
            Ok(numbers) if line.ends_with('\n') => Ok(numbers),
            _ => Err(io::Error::other(format!("to {command:?} the clients said {line:?}"))),
        }
    }
}

impl Run {
    fn of(latencies: &[f64], wall: Duration) -> Run {
        Run {
            messages: latencies.len() as f64,
            wall: wall.as_nanos() as f64,
            median: quantile(latencies, 0.5),
            p99: quantile(latencies, 0.99),
        }
    }

    fn from_numbers(numbers: Vec<f64>) -> io::Result<Run> {
        let &[messages, wall, median, p99] = &numbers[..] else {
            return Err(io::Error::new(ErrorKind::InvalidData, "not the numbers of a run"));
        };
        Ok(Run { messages, wall, median, p99 })
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.messages / self.wall * 1e9
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // At the end of its input, the child resets its connections, so that none of them stays in TIME_WAIT.
        drop(self.input.take());
        // This fails only if the child was waited for already.
        let _ = self.child.wait();
    }
}

/// Acts as a client, and does not return, if this process was started for that.
pub(crate) fn obey_if_asked() {
    let mut args = env::args().skip(1);
    if args.next().as_deref() != Some(CLIENTS) {
        return;
    }
    let core = args.next().and_then(|core| core.parse().ok()).expect("the number of a core");
    end_with_parent();
    pin_to(core);
    raise_descriptor_limit().expect("raise the descriptor limit");
    let mut loads = Vec::new();
    for line in io::stdin().lines() {
        let line = line.expect("read a command");
        let run = obey(&line, &mut loads).unwrap_or_else(|error| panic!("{line}: {error}"));
        match run {
            Some(Run { messages, wall, median, p99 }) => println!("{messages} {wall} {median} {p99}"),
            None => println!(),
        }
    }
    for load in loads {
        load.reset().expect("reset the connections");
    }
    std::process::exit(0);
}

fn obey(line: &str, loads: &mut Vec<Load>) -> io::Result<Option<Run>> {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |index: usize| words[index].parse::<u64>().expect("a number");
    match words[0] {
        "open" => {
            let server = words[1].parse().expect("an address");
            loads.push(Load::connect(server, number(2) as usize, MESSAGE_LEN)?);
            Ok(None)
        }
        "flat-out" => {
            let load = loads.last_mut().expect("connections");
            flat_out(load, Duration::from_nanos(number(1))).map(Some)
        }
        "paced" => {
            let load = loads.last_mut().expect("connections");
            paced(load, number(2) as usize, Duration::from_nanos(number(1))).map(Some)
        }
        _ => panic!("not a command"),
    }
}

fn flat_out(load: &mut Load, duration: Duration) -> io::Result<Run> {
    let mut latencies = Vec::new();
    let start = Instant::now();
    let mut sent = vec![start; load.connections.len()];
    for connection in &load.connections {
        connection.send(&load.message)?;
    }
    let mut under_way = load.connections.len();
    while under_way > 0 {
        let count = load.epoll.wait(PATIENCE_MS)?;
        if count == 0 {
            return Err(silence(under_way));
        }
        for index in 0..count {
            let token = load.epoll.event(index).token;
            let connection = &mut load.connections[token];
            if !connection.receive(&load.message, &mut load.buf)? {
                continue;
            }
            let now = Instant::now();
            latencies.push((now - sent[token]).as_nanos() as f64);
            if now - start < duration {
                sent[token] = now;
                connection.send(&load.message)?;
            } else {
                under_way -= 1;
            }
        }
    }
    Ok(Run::of(&latencies, start.elapsed()))
}

fn paced(load: &mut Load, rate: usize, duration: Duration) -> io::Result<Run> {
    let total = (rate as f64 * duration.as_secs_f64()) as usize;
    let mut latencies = Vec::with_capacity(total);
    let start = Instant::now();
    let mut last_answer = start;
    let due = |message: usize| start + Duration::from_secs_f64(message as f64 / rate as f64);
    let mut waiting: Vec<Option<Instant>> = vec![None; load.connections.len()];
    let mut sent = 0;
    while latencies.len() < total {
        while sent < total && due(sent) <= Instant::now() {
            let token = sent % waiting.len();
            if waiting[token].is_some() {
                // The last message is still on its way. The next one waits, and its latency grows.
                break;
            }
            waiting[token] = Some(due(sent));
            load.connections[token].send(&load.message)?;
            sent += 1;
        }
        // The client does not sleep: it has a core of its own, and to be woken takes longer than some answers.
        for index in 0..load.epoll.wait(0)? {
            let token = load.epoll.event(index).token;
            if load.connections[token].receive(&load.message, &mut load.buf)? {
                last_answer = Instant::now();
                let due = waiting[token].take().expect("an answer to something");
                latencies.push((last_answer - due).as_nanos() as f64);
            }
        }
        if sent > latencies.len() && last_answer.elapsed() > Duration::from_millis(PATIENCE_MS as u64) {
            return Err(silence(sent - latencies.len()));
        }
    }
    Ok(Run::of(&latencies, start.elapsed()))
}

fn silence(under_way: usize) -> io::Error {
    let message = format!("{under_way} messages have not come back in {PATIENCE_MS} ms");
    io::Error::new(ErrorKind::TimedOut, message)
}
