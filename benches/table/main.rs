//! The comparison, as one Markdown table from one interleaved run.
//!
//! ```text
//! cargo bench --bench table                      everything (about five minutes)
//! cargo bench --bench table -- wake 'echo 50'    rows that have the word, or the name
//! cargo bench --bench table -- --rounds 31       more rounds than each row has by default
//! cargo bench --bench table -- instructions      user-space instructions; needs valgrind, and is
//!                                                measured only when asked for
//! ```
//!
//! Every row runs this crate, tokio and the floor in turn, again and again, and reports medians, with
//! the interquartile range in per cent of the median in brackets. Ratios are medians of the rounds' ratios.
//! Time is CPU time of the measured thread or process, unless a row says wall.
//!
//! This file selects the rows. [`experiment`] says what a row is, and the other modules have the rows.

#[path = "../common/mod.rs"]
mod common;

mod experiment;
mod heap;
mod instructions;
mod memory;
mod sockets;
mod tasks;
mod threads;
mod timers;

use std::env;

use common::arguments::{help, refuse};
use common::server::serve_if_asked;
use common::system::{CORE, pin_to, raise_descriptor_limit};
use experiment::{Experiment, Report};

const USAGE: &str = "\
cargo bench --bench table                      everything (about five minutes)
cargo bench --bench table -- wake 'echo 50'    rows that have the word, or the name
cargo bench --bench table -- --rounds 31       more rounds than each row has by default
cargo bench --bench table -- instructions      user-space instructions; needs valgrind, and is
                                               measured only when asked for";

fn main() {
    let counting = env::var_os(memory::COUNT_HEAP).is_some();
    if counting {
        heap::start_counting();
    }
    serve_if_asked(counting.then_some(heap::live_bytes));
    memory::measure_if_asked();

    let choice = Choice::from_args();
    raise_descriptor_limit().expect("raise the descriptor limit");
    pin_to(CORE);
    let mut report = Report::default();
    let parts: [fn() -> Vec<Experiment>; 6] = [
        tasks::experiments,
        timers::experiments,
        sockets::experiments,
        instructions::experiments,
        memory::experiments,
        // These come last: once a process has had a second thread, malloc stays slower.
        threads::experiments,
    ];
    for part in parts {
        for experiment in part() {
            if choice.takes(&experiment) {
                let rounds = choice.rounds.unwrap_or(experiment.rounds);
                report.add(experiment.run(rounds));
            }
        }
    }
    println!("{report}");
}

/// The rows to run, and the number of rounds of each.
struct Choice {
    words: Vec<String>,
    rounds: Option<usize>,
}

impl Choice {
    fn from_args() -> Choice {
        let mut choice = Choice { words: Vec::new(), rounds: None };
        let mut as_bench = false;
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => as_bench = true,
                "--rounds" => {
                    let rounds = args.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                    choice.rounds = Some(rounds.unwrap_or_else(|| refuse("--rounds needs a number", USAGE)));
                }
                "--help" | "-h" => help(USAGE),
                flag if flag.starts_with('-') => refuse(format_args!("unknown option {flag}"), USAGE),
                word => choice.words.push(word.to_owned()),
            }
        }
        if !as_bench {
            // `cargo test --benches` runs this without `--bench`: then it only checks that everything works.
            choice.rounds = Some(1);
        }
        choice
    }

    fn takes(&self, experiment: &Experiment) -> bool {
        if self.words.is_empty() {
            return !experiment.only_if_asked;
        }
        let name = experiment.name;
        self.words.iter().any(|word| name == word || name.split(' ').any(|part| part == word))
    }
}
