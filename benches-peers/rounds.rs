//! An experiment: the same work by all contestants in turn, again and again.
//!
//! One run of a contestant gives a number for each of the experiment's rows: 100,000 sleeps give CPU time and
//! lateness. A contestant that fails is left out of the experiment, with a line that says why.

use std::io;

use crate::common::experiment::Unit;
use crate::common::stats::Samples;
use crate::contestant::Contestant;

/// Does the work once and returns a number for each row.
pub(crate) type Side = Box<dyn FnMut() -> io::Result<Vec<f64>>>;

/// The same work for all contestants, before it is done.
pub(crate) struct Experiment {
    /// The name by which the command line selects the experiment.
    pub(crate) name: String,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
    /// Prepares a contestant, which starts its server if it has one.
    pub(crate) prepare: Box<dyn Fn(Contestant) -> io::Result<Side>>,
}

/// The meaning of one number.
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) unit: Unit,
    /// Set if the row is one of the README's.
    pub(crate) in_short_table: bool,
}

/// A row with its numbers.
pub(crate) struct Outcome {
    pub(crate) row: Row,
    pub(crate) samples: Vec<(Contestant, Samples)>,
}

impl Experiment {
    /// Runs `rounds` rounds of all contestants in turn, after one that does not count if there are many.
    pub(crate) fn run(self, contestants: &[Contestant], rounds: usize) -> Vec<Outcome> {
        eprintln!("{}: {rounds} rounds", self.name);
        let mut sides = Vec::new();
        for contestant in contestants {
            match (self.prepare)(*contestant) {
                Ok(side) => sides.push((*contestant, side, Vec::new())),
                Err(error) => self.leave_out(*contestant, &error),
            }
        }
        let warm_up = usize::from(rounds > 2);
        for round in 0..warm_up + rounds {
            // A failure ends what the contestant does, and not what the others do.
            sides.retain_mut(|(contestant, side, results)| match side() {
                Ok(numbers) => {
                    if round >= warm_up {
                        results.push(numbers);
                    }
                    true
                }
                Err(error) => {
                    self.leave_out(*contestant, &error);
                    false
                }
            });
        }
        let outcome = |(index, row)| {
            let samples_of = |results: &[Vec<f64>]| {
                let mut samples = Samples::default();
                results.iter().for_each(|numbers| samples.push(numbers[index]));
                samples
            };
            let samples = sides.iter().map(|(contestant, _, results)| (*contestant, samples_of(results)));
            Outcome { row, samples: samples.collect() }
        };
        self.rows.into_iter().enumerate().map(outcome).collect()
    }

    fn leave_out(&self, contestant: Contestant, error: &io::Error) {
        eprintln!("{}: {} is left out: {error}", self.name, contestant.name());
    }
}

impl Outcome {
    /// Returns the numbers of a contestant, if it was not left out.
    pub(crate) fn of(&self, contestant: Contestant) -> Option<&Samples> {
        self.samples.iter().find(|(name, _)| *name == contestant).map(|(_, samples)| samples)
    }

    /// Returns the peer with the lowest median.
    pub(crate) fn best_peer(&self) -> Option<(Contestant, &Samples)> {
        let peers = self.samples.iter().filter(|(contestant, _)| contestant.is_peer());
        let best = peers.min_by(|(_, mine), (_, theirs)| mine.median().total_cmp(&theirs.median()));
        best.map(|(contestant, samples)| (*contestant, samples))
    }
}
