//! Rows of memory: what an idle task, an armed timer and an idle connection occupy.
//!
//! A child process that does nothing else measures them in two ways. *Heap* is the growth of the live
//! bytes on the heap, where each allocation counts with malloc's header and rounding (see
//! [`super::heap`]). *Resident* is the growth of the pages in use: holes that malloc leaves for the
//! sake of alignment count, and pages that have never been used do not.
//!
//! - *idle task*: growth by 100,000 detached tasks that wait for ever, polled once, divided by
//!   100,000; their future has size 0. The growth of the scheduler's own lists is included.
//! - *armed timer*: growth by 100,000 boxed sleeps of an hour, polled once, divided by 100,000, less
//!   what a box of that size occupies, plus the size of the sleep itself.
//! - *idle connection*: growth of an echo server by 8000 connections that have exchanged one
//!   message, divided by 8000, less the 4096 bytes of the buffer.
//!
//! Later rounds would give the same numbers, so there is only one.

use std::future::{Future, pending, poll_fn};
use std::ops::Sub;
use std::process::Command;
use std::task::Poll;
use std::time::Duration;
use std::{env, fs, process};

use super::heap::live_bytes;
use crate::common::contender::{Contender, Ours, Tokio};
use crate::common::experiment::{Experiment, Limit, Row, Side, Unit};
use crate::common::load::Load;
use crate::common::server::{Kind, Server};

/// The environment variable that makes children count what they allocate.
pub(crate) const COUNT_HEAP: &str = "TABLE_COUNT_HEAP";

/// The first argument of a child that is to measure itself.
const MEASURE: &str = "--measure-memory";

const COUNT: usize = 100_000;
const CONNECTIONS: usize = 8000;
const BUFFER_LEN: usize = 4096;

pub(crate) fn experiments() -> Vec<Experiment> {
    vec![
        Experiment {
            name: "memory task",
            rounds: 1,
            only_if_asked: false,
            rows: row("memory of an idle task beyond its future", 96.0),
            ours: child("ours", "task"),
            tokio: child("tokio", "task"),
            floor: None,
        },
        Experiment {
            name: "memory timer",
            rounds: 1,
            only_if_asked: false,
            rows: row("memory of an armed timer", 64.0),
            ours: child("ours", "timer"),
            tokio: child("tokio", "timer"),
            floor: None,
        },
        Experiment {
            name: "memory connection",
            rounds: 1,
            only_if_asked: false,
            rows: row("memory of an idle connection beyond its buffer", 450.0),
            ours: connections(Kind::Ours),
            tokio: connections(Kind::Tokio),
            floor: Some(connections(Kind::Epoll)),
        },
    ]
}

fn row(work: &str, bytes: f64) -> Vec<Row> {
    ["heap", "resident"]
        .map(|way| Row { work: format!("{work} ({way})"), unit: Unit::Bytes, limit: Limit::AtMost(bytes) })
        .into()
}

/// Returns a command that runs this executable again, counting what it allocates.
fn counting_self() -> Command {
    let mut command = Command::new(env::current_exe().expect("the path of this executable"));
    command.env(COUNT_HEAP, "1");
    command
}

fn child(contender: &'static str, what: &'static str) -> Side {
    Box::new(move || {
        let output = counting_self().args([MEASURE, contender, what]).output().expect("start a child");
        let text = String::from_utf8_lossy(&output.stdout);
        let number =
            |word: &str| word.parse().unwrap_or_else(|_| panic!("a child said {text:?}, not numbers"));
        text.split_whitespace().map(number).collect()
    })
}

fn connections(kind: Kind) -> Side {
    Box::new(move || {
        let mut server = Server::start_with(counting_self(), kind, BUFFER_LEN).expect("start a server");
        let addr = server.addr();
        let mut memory = || Memory {
            heap: server.live_bytes().expect("ask the server") as f64,
            resident: resident_bytes(server.id()),
        };
        let before = memory();
        let load = Load::connect(addr, CONNECTIONS, 64).expect("connect to the server");
        let grown = memory() - before;
        load.reset().expect("close the connections");
        grown.each(CONNECTIONS, -(BUFFER_LEN as f64)).into()
    })
}

/// The bytes in use, counted in both ways.
struct Memory {
    heap: f64,
    resident: f64,
}

impl Memory {
    fn now() -> Memory {
        Memory { heap: live_bytes() as f64, resident: resident_bytes(process::id()) }
    }

    /// Returns the share of each of `count` objects, with `correction` added.
    fn each(&self, count: usize, correction: f64) -> [f64; 2] {
        [self.heap, self.resident].map(|bytes| bytes / count as f64 + correction)
    }
}

impl Sub for Memory {
    type Output = Memory;

    fn sub(self, before: Memory) -> Memory {
        Memory { heap: self.heap - before.heap, resident: self.resident - before.resident }
    }
}

/// Returns the memory of process `pid`, as the kernel counts it.
fn resident_bytes(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read a process's status");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of resident memory");
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    1024.0 * kilobytes
}

/// Measures, prints two numbers and ends, if this process was started for that.
pub(crate) fn measure_if_asked() {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.first().map(String::as_str) != Some(MEASURE) {
        return;
    }
    let [heap, resident] = match (args[1].as_str(), args[2].as_str()) {
        ("ours", "task") => idle_task::<Ours>(),
        ("tokio", "task") => idle_task::<Tokio>(),
        ("ours", "timer") => armed_timer::<Ours>(),
        ("tokio", "timer") => armed_timer::<Tokio>(),
        other => panic!("cannot measure {other:?}"),
    };
    println!("{heap} {resident}");
    process::exit(0);
}

fn idle_task<C: Contender>() -> [f64; 2] {
    let runtime = C::new();
    runtime.block_on(async {
        let before = Memory::now();
        for _ in 0..COUNT {
            drop(C::spawn(pending::<()>()));
        }
        // This task is the last in the queue, so all others have been polled when it is done.
        C::spawn(async {}).await;
        (Memory::now() - before).each(COUNT, 0.0)
    })
}

fn armed_timer<C: Contender>() -> [f64; 2] {
    /// Returns by how much the memory has grown for all, and the size of one.
    async fn arm_all<F: Future>(make: impl Fn() -> F, end_poll: impl AsyncFn()) -> (Memory, usize) {
        // The vector is written to now, so that its pages are there before anything is counted.
        let mut all: Vec<_> = (0..COUNT).map(|_| None).collect();
        let before = Memory::now();
        for (index, place) in all.iter_mut().enumerate() {
            let mut future = Box::pin(make());
            poll_fn(|cx| {
                assert!(future.as_mut().poll(cx).is_pending(), "an hour cannot be over");
                Poll::Ready(())
            })
            .await;
            *place = Some(future);
            // Both runtimes give a poll a budget, and arm nothing once it is used up.
            if index % 64 == 0 {
                end_poll().await;
            }
        }
        (Memory::now() - before, size_of::<F>())
    }

    let runtime = C::new();
    runtime.block_on(async {
        let (grown, size) =
            arm_all(|| C::sleep(Duration::from_secs(3600)), async || C::yield_now().await).await;
        let before = live_bytes();
        let one = vec![0_u8; size].into_boxed_slice();
        let one_box = live_bytes() - before;
        drop(one);
        grown.each(COUNT, size as f64 - one_box as f64)
    })
}
