//! The results as Markdown: a table with the best peer of each row, a short one for the README, and one with the
//! numbers of all contestants.

use crate::common::experiment::Unit;
use crate::common::stats::Samples;
use crate::contestant::Contestant;
use crate::rounds::Outcome;

/// The text of a cell without a number.
const NOTHING: &str = "–";

/// Returns the table with the best peer of each row, by name.
///
/// Ratios are medians of the rounds' ratios, and not ratios of medians: what slows a whole round has no effect on them.
pub(crate) fn best_peers(outcomes: &[Outcome]) -> String {
    let head = ["work", "ours", "tokio", "best peer", "floor", "ours/tokio", "ours/best peer", "ours/floor"];
    let rows = outcomes.iter().map(|outcome| {
        let best = outcome.best_peer().map(|(_, samples)| samples);
        let ratio = |to: Option<&Samples>| {
            let ratio = outcome.of(Contestant::Ours).zip(to).map(|(ours, to)| ours.over(to).median());
            ratio.map_or(NOTHING.to_owned(), |ratio| format!("{ratio:.2}"))
        };
        let mut cells = short_row(outcome);
        cells.extend([
            ratio(outcome.of(Contestant::Tokio)),
            ratio(best),
            ratio(outcome.of(Contestant::Floor)),
        ]);
        cells
    });
    markdown(&head, rows)
}

/// Returns the README's table: the same for its ten rows, and without ratios.
pub(crate) fn short(outcomes: &[Outcome]) -> String {
    let rows = outcomes.iter().filter(|outcome| outcome.row.in_short_table).map(short_row);
    markdown(&["work", "ours", "tokio", "best peer", "floor"], rows)
}

/// Returns a table with a column for each contestant, with the interquartile range in per cent of the median in brackets.
pub(crate) fn all(outcomes: &[Outcome]) -> String {
    let mut head = vec!["work"];
    head.extend(Contestant::ALL.map(Contestant::name));
    let rows = outcomes.iter().map(|outcome| {
        let mut cells = vec![outcome.row.work.clone()];
        cells.extend(Contestant::ALL.map(|contestant| {
            let number = |samples: &Samples| {
                let median = show(outcome.row.unit, samples);
                if samples.len() > 2 {
                    format!("{median} ({:.0} %)", 100.0 * samples.spread())
                } else {
                    median
                }
            };
            outcome.of(contestant).map_or(NOTHING.to_owned(), number)
        }));
        cells
    });
    markdown(&head, rows)
}

/// Returns the work, and the medians of this crate, of tokio, of the best peer and of the floor.
fn short_row(outcome: &Outcome) -> Vec<String> {
    let unit = outcome.row.unit;
    let cell = |contestant| outcome.of(contestant).map_or(NOTHING.to_owned(), |samples| show(unit, samples));
    let best = outcome.best_peer();
    let best = best.map(|(contestant, samples)| format!("{}: {}", contestant.name(), show(unit, samples)));
    vec![
        outcome.row.work.clone(),
        cell(Contestant::Ours),
        cell(Contestant::Tokio),
        best.unwrap_or(NOTHING.to_owned()),
        cell(Contestant::Floor),
    ]
}

fn show(unit: Unit, samples: &Samples) -> String {
    unit.show(samples.median())
}

fn markdown(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    text.push_str(&format!("|{}\n", "---|".repeat(head.len())));
    rows.for_each(|cells| text.push_str(&line(&cells)));
    text
}
