//! Rows of wakes from another thread: into a loop that sleeps, and into one that is busy.

use std::future::Future;
use std::time::Instant;

use super::tasks::{ROUNDS, cpu, floor_cpu, per};
use crate::common::contender::{Contender, Ours, Tokio};
use crate::common::cross_thread;
use crate::common::experiment::{Experiment, Limit, Row, Side, Unit};

const LETTERS_ASLEEP: usize = 2000;
const LETTERS_BUSY: usize = 20_000;

/// Measures the wall time for each of `ops` operations of `work`, in a runtime of its own.
fn wall<C: Contender, F: Future<Output = ()>>(ops: usize, work: impl Fn() -> F + 'static) -> Side {
    Box::new(move || {
        let runtime = C::new();
        let start = Instant::now();
        runtime.block_on(work());
        per(ops, start.elapsed())
    })
}

fn row(work: &str, of_tokio: f64) -> Vec<Row> {
    vec![Row { work: work.to_owned(), unit: Unit::Microseconds, limit: Limit::OfTokio(of_tokio) }]
}

pub(crate) fn experiments() -> Vec<Experiment> {
    vec![
        Experiment {
            name: "cross_thread asleep",
            rounds: ROUNDS,
            only_if_asked: false,
            rows: row("wake from another thread, loop asleep", 0.85),
            ours: cpu::<Ours, _>(LETTERS_ASLEEP, || cross_thread::wake_asleep::<Ours>(LETTERS_ASLEEP)),
            tokio: cpu::<Tokio, _>(LETTERS_ASLEEP, || cross_thread::wake_asleep::<Tokio>(LETTERS_ASLEEP)),
            floor: floor_cpu(LETTERS_ASLEEP, || cross_thread::wake_asleep_floor(LETTERS_ASLEEP)),
        },
        Experiment {
            name: "cross_thread busy",
            rounds: ROUNDS,
            only_if_asked: false,
            rows: row("wake from another thread, loop busy (wall)", 0.5),
            ours: wall::<Ours, _>(LETTERS_BUSY, || cross_thread::wake_busy::<Ours>(LETTERS_BUSY)),
            tokio: wall::<Tokio, _>(LETTERS_BUSY, || cross_thread::wake_busy::<Tokio>(LETTERS_BUSY)),
            floor: Some(Box::new(|| {
                let start = Instant::now();
                cross_thread::wake_busy_floor(LETTERS_BUSY);
                per(LETTERS_BUSY, start.elapsed())
            })),
        },
    ]
}
