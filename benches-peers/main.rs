//! This crate beside the other runtimes that serve one core, as one Markdown table from one interleaved run.
//!
//! ```text
//! cargo run --release -p benches-peers                     the table, with the best peer of each row
//! cargo run --release -p benches-peers -- --short          the ten rows of the README
//! cargo run --release -p benches-peers -- --all            and the numbers of all contestants
//! cargo run --release -p benches-peers -- --instructions   user-space instructions; needs valgrind
//! cargo run --release -p benches-peers -- ring echo-50     only these rows
//! cargo run --release -p benches-peers -- --rounds 31      more rounds than each row has by default
//! ```
//!
//! The contestants are this crate, tokio's `current_thread`, monoio on epoll, glommio, smol's `LocalExecutor` with async-io,
//! compio, and a floor without a runtime. No two of them share a process: there is one for each row and round or, where a
//! contestant serves sockets, one for each row. All take turns in each round, and the table has medians. Time is CPU time
//! of the whole process, unless a row says wall.
//!
//! This is a package of its own, and not a bench of `benches/`, so that nobody else compiles the peers. Like the other
//! benches, it is for Linux only.

mod child;
mod common;
mod contestant;
mod heap;
mod rounds;
mod rows;
mod runtimes;
mod sockets;
mod table;
mod work;

use std::env;

use common::arguments::{help, refuse};
use common::callgrind;
use common::system::{CORE, pin_to, raise_descriptor_limit};
use contestant::Contestant;
use rounds::{Experiment, Outcome};

const USAGE: &str = "\
cargo run --release -p benches-peers                     the table, with the best peer of each row
cargo run --release -p benches-peers -- --short          the ten rows of the README
cargo run --release -p benches-peers -- --all            and the numbers of all contestants
cargo run --release -p benches-peers -- --instructions   user-space instructions; needs valgrind
cargo run --release -p benches-peers -- ring echo-50     only these rows
cargo run --release -p benches-peers -- --rounds 31      more rounds than each row has by default";

fn main() {
    if child::work_if_asked() {
        return;
    }
    let options = Options::from_args();
    if options.instructions && !callgrind::is_installed() {
        refuse("valgrind is not installed", USAGE);
    }
    pin_to(CORE);
    raise_descriptor_limit().expect("raise the descriptor limit");
    let contestants = those_that_start();
    let experiments = if options.instructions { rows::of_instructions() } else { rows::of_time() };
    let mut outcomes: Vec<Outcome> = Vec::new();
    for experiment in experiments.into_iter().filter(|experiment| options.takes(experiment)) {
        let rounds = options.rounds.unwrap_or(experiment.rounds);
        outcomes.extend(experiment.run(&contestants, rounds));
    }
    if options.short {
        println!("{}", table::short(&outcomes));
    } else {
        println!("{}", table::best_peers(&outcomes));
    }
    if options.all {
        println!("{}", table::all(&outcomes));
    }
}

/// Returns the contestants that run on this machine, and says by which mechanism they wait, or why they do not run.
fn those_that_start() -> Vec<Contestant> {
    let mut contestants = Contestant::ALL.to_vec();
    contestants.retain(|contestant| {
        let mechanism = child::mechanism(*contestant);
        match &mechanism {
            Ok(mechanism) => eprintln!("{} on {mechanism}", contestant.name()),
            Err(error) => eprintln!("{} is left out: {error}", contestant.name()),
        }
        mechanism.is_ok()
    });
    contestants
}

/// The choices that the command line makes.
#[derive(Default)]
struct Options {
    words: Vec<String>,
    rounds: Option<usize>,
    short: bool,
    all: bool,
    instructions: bool,
}

impl Options {
    fn from_args() -> Options {
        let mut options = Options::default();
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--short" => options.short = true,
                "--all" => options.all = true,
                "--instructions" => options.instructions = true,
                "--rounds" => {
                    let rounds = args.next().and_then(|word| word.parse().ok()).filter(|rounds| *rounds > 0);
                    options.rounds = Some(rounds.unwrap_or_else(|| refuse("--rounds needs a number", USAGE)));
                }
                "--help" | "-h" => help(USAGE),
                flag if flag.starts_with('-') => refuse(format_args!("unknown option {flag}"), USAGE),
                word => options.words.push(word.to_owned()),
            }
        }
        options
    }

    /// Returns whether the experiment is chosen. The short table leaves out experiments of which it shows no row.
    fn takes(&self, experiment: &Experiment) -> bool {
        let is_named = self.words.is_empty() || self.words.contains(&experiment.name);
        let is_shown = !self.short || experiment.rows.iter().any(|row| row.in_short_table);
        is_named && is_shown
    }
}
