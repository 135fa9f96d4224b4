//! Measures timers and pings on a loop that is busy with something else.
//!
//! ```text
//! cargo bench --bench fairness                               everything (about three minutes)
//! cargo bench --bench fairness -- yield 'budget 1 × 10 µs'   rows that have the word, or the name
//! cargo bench --bench fairness -- --rounds 5                 five rounds of each row instead of three
//! cargo bench --bench fairness -- --seconds 0.3              each side runs for 0.3 s a round instead of 1 s
//! ```
//!
//! Each row is a load on the loop's thread: `yield 100 × 10 µs` is a hundred tasks that compute for 10 µs and yield.
//! A task that sleeps for a millisecond again and again runs on the same loop, and so does an echo server with one
//! connection, whose client is a plain thread. The table shows how late the sleeps end, how long the client waits for one
//! byte, and how many steps the load makes meanwhile.
//!
//! Every row runs this crate and tokio alternately, with a new runtime each time. A number is the median of the rounds. If
//! it begins with `>`, the end of the round cut the wait short. All times are wall time, so the bench needs a quiet machine.
//!
//! This file selects the rows and prints them. The loads are in [`loads`] and [`floods`], the measurement in [`probes`],
//! and what both need of a runtime in [`subject`].

#[path = "../common/mod.rs"]
mod common;

mod delay;
mod floods;
mod loads;
mod probes;
mod subject;

use std::env;
use std::time::Duration;

use common::arguments::{help, refuse};
use common::contender::{Ours, Tokio};
use common::system::{CORE, pin_to, raise_descriptor_limit, raise_priority};
use delay::{Delay, median};
use loads::Load;
use probes::{Round, measure};

const USAGE: &str = "\
cargo bench --bench fairness                               everything (about three minutes)
cargo bench --bench fairness -- yield 'budget 1 × 10 µs'   rows that have the word, or the name
cargo bench --bench fairness -- --rounds 5                 five rounds of each row instead of three
cargo bench --bench fairness -- --seconds 0.3              each side runs for 0.3 s a round instead of 1 s";

fn main() {
    let choice = Choice::from_args();
    raise_descriptor_limit().expect("raise the descriptor limit");
    raise_priority();
    pin_to(CORE);
    let heading = "| load on the loop | timer, p50: ours | tokio | timer, p99: ours | tokio | ping, p99: ours | tokio \
                   | sleeps and pings: ours | tokio | steps/s of the load: ours | tokio |";
    println!("{heading}\n|---|---|---|---|---|---|---|---|---|---|---|");
    for load in loads::all(choice.timers) {
        if choice.takes(&load.name()) {
            println!("{}", choice.row(load));
        }
    }
}

/// The rows to run, and for how long.
struct Choice {
    words: Vec<String>,
    rounds: usize,
    window: Duration,
    /// The number of timers in the row of many timers.
    timers: usize,
}

impl Choice {
    fn from_args() -> Choice {
        let (mut rounds, mut seconds) = (3, 1.0);
        let mut words = Vec::new();
        let mut as_bench = false;
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut number = || {
                let number = args.next().and_then(|n| n.parse::<f64>().ok()).filter(|n| *n > 0.0);
                number.unwrap_or_else(|| refuse(format_args!("{arg} needs a number"), USAGE))
            };
            match arg.as_str() {
                "--bench" => as_bench = true,
                "--rounds" => rounds = number() as usize,
                "--seconds" => seconds = number(),
                "--help" | "-h" => help(USAGE),
                flag if flag.starts_with('-') => refuse(format_args!("unknown option {flag}"), USAGE),
                word => words.push(word.to_owned()),
            }
        }
        let window = Duration::from_secs_f64(seconds);
        if as_bench {
            Choice { words, rounds, window, timers: 1_000_000 }
        } else {
            // `cargo test --benches` runs this without `--bench`: then it only checks that everything works.
            Choice { words, rounds: 1, window: Duration::from_millis(20), timers: 10_000 }
        }
    }

    fn takes(&self, name: &str) -> bool {
        let is_named = |word: &String| name == word || name.split(' ').any(|part| part == word);
        self.words.is_empty() || self.words.iter().any(is_named)
    }

    /// Runs both sides of a row in turn, and returns the line of the table.
    fn row(&self, load: Load) -> String {
        let (mut ours, mut tokio) = (Side::default(), Side::default());
        for _ in 0..self.rounds {
            ours.push(measure::<Ours>(load, self.window));
            tokio.push(measure::<Tokio>(load, self.window));
        }
        let cells = [
            (median(&ours.timer_p50), median(&tokio.timer_p50)),
            (median(&ours.timer_p99), median(&tokio.timer_p99)),
            (median(&ours.ping_p99), median(&tokio.ping_p99)),
        ];
        let mut line = format!("| {} |", load.name());
        for (ours, tokio) in cells {
            line += &format!(" {ours} | {tokio} |");
        }
        line += &format!(
            " {}, {} | {}, {} | {} | {} |",
            ours.sleeps,
            ours.pings,
            tokio.sleeps,
            tokio.pings,
            ours.rate(),
            tokio.rate()
        );
        line
    }
}

/// The rounds of one contender in one row.
#[derive(Default)]
struct Side {
    timer_p50: Vec<Delay>,
    timer_p99: Vec<Delay>,
    ping_p99: Vec<Delay>,
    sleeps: usize,
    pings: usize,
    rates: Vec<f64>,
}

impl Side {
    fn push(&mut self, round: Round) {
        self.timer_p50.push(delay::quantile(&round.sleeps, 0.5));
        self.timer_p99.push(delay::quantile(&round.sleeps, 0.99));
        self.ping_p99.push(delay::quantile(&round.pings, 0.99));
        self.sleeps += round.sleeps.len();
        self.pings += round.pings.len();
        self.rates.push(round.steps_per_second);
    }

    /// Returns the steps per second, as the median of the rounds.
    fn rate(&self) -> String {
        match common::stats::quantile(&self.rates, 0.5) {
            0.0 => "–".to_owned(),
            rate if rate < 10_000.0 => format!("{rate:.0}"),
            rate => format!("{:.0} k", rate / 1e3),
        }
    }
}
