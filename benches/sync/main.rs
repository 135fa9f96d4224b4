//! Channels, locks, `select!` and `JoinSet`, beside those of tokio.
//!
//! ```text
//! cargo bench --bench sync                     all rows
//! cargo bench --bench sync -- mpsc             rows that have the word
//! cargo bench --bench sync -- instructions     user-space instructions of all rows; needs valgrind
//! ```
//!
//! Each side runs in a runtime of its own, tokio's with plain `spawn`. A workload is a task and not the future of
//! `block_on`, which tokio polls before all tasks that wait to run. Time is the CPU time of the
//! thread. In this file each row has its name, its workload in both crates, and its limit.

#[path = "../common/mod.rs"]
mod common;

mod workloads;

use std::env;
use std::future::Future;
use std::pin::Pin;
use std::process::Stdio;

use common::callgrind;
use common::choice::Choice;
use common::contender::{Contender, Ours, Tokio};
use common::experiment::{Experiment, Limit, Report, Row, Side, Unit};
use common::system::{CORE, cpu_of, pin_to};
use workloads::{ours, tokios};

const USAGE: &str = "\
cargo bench --bench sync                     all rows
cargo bench --bench sync -- mpsc             rows that have the word
cargo bench --bench sync -- --rounds 31      more rounds than each row has by default
cargo bench --bench sync -- instructions     user-space instructions of all rows; needs valgrind";

/// The first argument of a process whose instructions are counted. The number of a row, a side and a number of
/// operations follow.
const COUNT: &str = "--count";

const OPERATIONS: usize = 200_000;
const ROUNDS: usize = 21;

type Work = fn(usize) -> Pin<Box<dyn Future<Output = ()>>>;

/// A row: its words, what it does, and the same work in both crates.
struct Pair {
    name: &'static str,
    work: &'static str,
    ours: Work,
    tokio: Work,
}

macro_rules! pairs {
    ($($name:literal, $work:literal, $function:ident;)*) => {
        &[$(Pair {
            name: $name,
            work: $work,
            ours: |times| Box::pin(async move { runtime::spawn(ours::$function(times)).await.expect("no panic") }),
            tokio: |times| Box::pin(async move { tokio::spawn(tokios::$function(times)).await.expect("no panic") }),
        }),*]
    };
}

const PAIRS: &[Pair] = pairs! {
    "mpsc", "`mpsc`: send and receive in one task", mpsc_alone;
    "mpsc unbounded", "`mpsc` without bound: send and receive in one task", mpsc_unbounded_alone;
    "mpsc tasks", "`mpsc`: from one task to another, capacity 64", mpsc_two_tasks;
    "mpsc waiters", "`mpsc`: 100 tasks wait for room for one message", mpsc_waiters;
    "oneshot", "`oneshot`: make, send and receive in one task", oneshot_alone;
    "oneshot waiters", "`oneshot`: 100 tasks wait for a message each, with their spawn and join", oneshot_waiters;
    "watch", "`watch`: send, `changed` and borrow in one task", watch_alone;
    "watch waiters", "`watch`: 100 tasks wait for each value, a value of a task", watch_waiters;
    "broadcast", "`broadcast`: send and receive in one task", broadcast_alone;
    "broadcast waiters", "`broadcast`: 100 tasks wait for each value, a value of a task", broadcast_waiters;
    "semaphore", "`Semaphore`: acquire and release", semaphore_alone;
    "semaphore waiters", "`Semaphore`: 100 tasks hold the permit for a turn each", semaphore_waiters;
    "mutex", "`Mutex`: lock and unlock", mutex_alone;
    "mutex waiters", "`Mutex`: 100 tasks hold the lock for a turn each", mutex_waiters;
    "notify", "`Notify`: `notify_one` and `notified` in one task", notify_alone;
    "notify waiters", "`Notify`: `notify_waiters` wakes 100 tasks, a wake of a task", notify_waiters;
    "select", "`select!` of two channels, one of them with a message", select_of_two;
    "joinset", "`JoinSet`: spawn and join 1000 tasks", join_set;
};

fn main() {
    count_if_asked();
    let choice = Choice::from_args(USAGE);
    pin_to(CORE);
    let mut report = Report::default();
    for pair in PAIRS {
        choice.run(time(pair), &mut report);
    }
    for (index, pair) in PAIRS.iter().enumerate() {
        choice.run(instructions(index, pair), &mut report);
    }
    println!("{report}");
}

fn rows(work: String, unit: Unit) -> Vec<Row> {
    vec![Row { work, unit, limit: Limit::OfTokio(0.5) }]
}

fn time(pair: &Pair) -> Experiment {
    Experiment {
        name: pair.name,
        rounds: ROUNDS,
        only_if_asked: false,
        rows: rows(pair.work.to_owned(), Unit::Nanoseconds),
        ours: cpu::<Ours>(pair.ours),
        tokio: cpu::<Tokio>(pair.tokio),
        floor: None,
    }
}

/// CPU time of an operation, in a runtime of its own.
fn cpu<C: Contender>(work: Work) -> Side {
    Box::new(move || {
        let runtime = C::new();
        let time = cpu_of(|| runtime.block_on(work(OPERATIONS)));
        vec![time.as_nanos() as f64 / OPERATIONS as f64]
    })
}

fn instructions(index: usize, pair: &Pair) -> Experiment {
    Experiment {
        name: "instructions",
        rounds: 1,
        only_if_asked: true,
        rows: rows(format!("{}, in user-space instructions", pair.work), Unit::Instructions),
        ours: counted(index, "ours"),
        tokio: counted(index, "tokio"),
        floor: None,
    }
}

/// Instructions of an operation: a process does few operations and another one many, and the difference
/// counts.
fn counted(index: usize, side: &'static str) -> Side {
    const FEW: usize = 2_000;
    const MANY: usize = 12_000;
    Box::new(move || {
        let many = count(index, side, MANY) - count(index, side, FEW);
        vec![many as f64 / (MANY - FEW) as f64]
    })
}

fn count(index: usize, side: &str, operations: usize) -> i64 {
    let mut command = callgrind::command().expect("the path of this executable");
    command.args([COUNT, &index.to_string(), side, &operations.to_string()]);
    let output = command.stdout(Stdio::null()).output().expect("valgrind is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    callgrind::collected(&text)
}

/// Does the work of one side and ends the process, if this process was started to be counted.
fn count_if_asked() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [first, index, side, operations] = &args[..] else { return };
    if first != COUNT {
        return;
    }
    let pair = &PAIRS[index.parse::<usize>().expect("the number of a row")];
    let operations = operations.parse().expect("a number of operations");
    match side.as_str() {
        "ours" => Ours::new().block_on((pair.ours)(operations)),
        _ => Tokio::new().block_on((pair.tokio)(operations)),
    }
    std::process::exit(0);
}
