//! An experiment: the same work on this crate, on tokio and on the floor, many times in turn.
//!
//! One run of a side gives one number for each of the experiment's rows: 100,000 sleeps, for example, give CPU time
//! and lateness. The report turns medians into Markdown.

use std::fmt;

use super::stats::Samples;

/// Does the work once and returns a number for each row.
pub(crate) type Side = Box<dyn FnMut() -> Vec<f64>>;

/// The same work for each contender, before it is done.
pub(crate) struct Experiment {
    /// The name by which the command line selects the experiment.
    pub(crate) name: &'static str,
    pub(crate) rounds: usize,
    /// Set if the experiment is too slow, or needs too much, to run unless it is named.
    pub(crate) only_if_asked: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) ours: Side,
    pub(crate) tokio: Side,
    pub(crate) floor: Option<Side>,
}

/// The meaning of one number.
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) unit: Unit,
    pub(crate) limit: Limit,
}

/// The unit of a row's numbers; times are kept in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Bytes,
    Instructions,
}

/// The maximum that this crate may need.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    OfTokio(f64),
    OfFloor(f64),
    AtMost(f64),
}

impl Experiment {
    /// Runs `rounds` rounds of all sides in turn, after one that does not count if there are many.
    pub(crate) fn run(mut self, rounds: usize) -> Vec<Outcome> {
        eprintln!("{}: {rounds} rounds", self.name);
        let mut outcomes: Vec<Outcome> = self.rows.into_iter().map(Outcome::new).collect();
        let warm_up = usize::from(rounds > 2);
        for round in 0..rounds + warm_up {
            let ours = (self.ours)();
            let tokio = (self.tokio)();
            let floor = self.floor.as_mut().map(|floor| floor());
            if round < warm_up {
                continue;
            }
            for (index, outcome) in outcomes.iter_mut().enumerate() {
                outcome.ours.push(ours[index]);
                outcome.tokio.push(tokio[index]);
                if let Some(floor) = &floor {
                    outcome.floor.get_or_insert_default().push(floor[index]);
                }
            }
        }
        outcomes
    }
}

/// A row with its numbers.
pub(crate) struct Outcome {
    row: Row,
    ours: Samples,
    tokio: Samples,
    floor: Option<Samples>,
}

impl Outcome {
    fn new(row: Row) -> Outcome {
        Outcome { row, ours: Samples::default(), tokio: Samples::default(), floor: None }
    }

    fn of_tokio(&self) -> f64 {
        self.ours.over(&self.tokio).median()
    }

    fn of_floor(&self) -> Option<f64> {
        self.floor.as_ref().map(|floor| self.ours.over(floor).median())
    }

    fn is_over_limit(&self) -> bool {
        match self.row.limit {
            Limit::OfTokio(limit) => self.of_tokio() > limit,
            Limit::OfFloor(limit) => self.of_floor().is_some_and(|ratio| ratio > limit),
            // Half a byte or nanosecond is allowed: pages and clocks are no finer.
            Limit::AtMost(limit) => self.ours.median() >= limit + 0.5,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.row.unit;
        let number = |samples: &Samples| {
            format!("{} ({:.0} %)", unit.show(samples.median()), 100.0 * samples.spread())
        };
        let floor = self.floor.as_ref().map_or("–".to_owned(), number);
        let of_floor = self.of_floor().map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let limit = match self.row.limit {
            Limit::OfTokio(limit) => format!("{limit} of tokio"),
            Limit::OfFloor(limit) => format!("{limit} of floor"),
            Limit::AtMost(limit) => unit.show(limit),
        };
        let verdict = if self.is_over_limit() { "**over**" } else { "kept" };
        write!(
            f,
            "| {} | {} | {} | {floor} | {:.2} | {of_floor} | {limit} | {verdict} |",
            self.row.work,
            number(&self.ours),
            number(&self.tokio),
            self.of_tokio(),
        )
    }
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Unit::Nanoseconds if value < 100.0 => format!("{value:.1} ns"),
            Unit::Nanoseconds => format!("{value:.0} ns"),
            Unit::Microseconds => format!("{:.2} µs", value / 1e3),
            Unit::Milliseconds => format!("{:.2} ms", value / 1e6),
            Unit::Bytes => format!("{value:.0} B"),
            Unit::Instructions => format!("{value:.0}"),
        }
    }
}

/// All rows that were measured, as Markdown.
#[derive(Default)]
pub(crate) struct Report(Vec<Outcome>);

impl Report {
    /// Adds rows, and shows them on standard error so that a long run can be watched.
    pub(crate) fn add(&mut self, outcomes: Vec<Outcome>) {
        for outcome in &outcomes {
            eprintln!("{outcome}");
        }
        self.0.extend(outcomes);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| work | ours | tokio | floor | ours/tokio | ours/floor | at most | |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for outcome in &self.0 {
            writeln!(f, "{outcome}")?;
        }
        Ok(())
    }
}
