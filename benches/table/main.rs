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
//! This file selects the rows. [`common::experiment`] says what a row is, and the other modules have the rows.

#[path = "../common/mod.rs"]
mod common;

mod heap;
mod instructions;
mod memory;
mod sockets;
mod tasks;
mod threads;
mod timers;

use std::env;

use common::choice::Choice;
use common::experiment::{Experiment, Report};
use common::server::serve_if_asked;
use common::system::{CORE, pin_to, raise_descriptor_limit};

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

    let choice = Choice::from_args(USAGE);
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
            choice.run(experiment, &mut report);
        }
    }
    println!("{report}");
}
