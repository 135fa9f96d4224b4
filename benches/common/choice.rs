//! The choice of experiments by the command line: words that select rows, and the number of rounds.

use std::env;

use super::arguments::{help, refuse};
use super::experiment::{Experiment, Report};

/// The rows to run, and the number of rounds of each.
pub(crate) struct Choice {
    words: Vec<String>,
    rounds: Option<usize>,
}

impl Choice {
    /// Reads the command line. `usage` is what `--help` prints.
    pub(crate) fn from_args(usage: &str) -> Choice {
        let mut choice = Choice { words: Vec::new(), rounds: None };
        let mut as_bench = false;
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => as_bench = true,
                "--rounds" => {
                    let rounds = args.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                    choice.rounds = Some(rounds.unwrap_or_else(|| refuse("--rounds needs a number", usage)));
                }
                "--help" | "-h" => help(usage),
                flag if flag.starts_with('-') => refuse(format_args!("unknown option {flag}"), usage),
                word => choice.words.push(word.to_owned()),
            }
        }
        if !as_bench {
            // `cargo test --benches` runs this without `--bench`: then it only checks that everything works.
            choice.rounds = Some(1);
        }
        choice
    }

    /// Runs an experiment if it is chosen, and adds its rows to the report.
    pub(crate) fn run(&self, experiment: Experiment, report: &mut Report) {
        if self.takes(&experiment) {
            let rounds = self.rounds.unwrap_or(experiment.rounds);
            report.add(experiment.run(rounds));
        }
    }

    fn takes(&self, experiment: &Experiment) -> bool {
        if self.words.is_empty() {
            return !experiment.only_if_asked;
        }
        let name = experiment.name;
        self.words.iter().any(|word| name == word || name.split(' ').any(|part| part == word))
    }
}
