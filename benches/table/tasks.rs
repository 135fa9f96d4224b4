//! Rows of tasks: spawn and join, yield, wake one another.
//!
//! Each round makes a new runtime, so that no contender profits from a lucky layout for long. tokio spawns in a
//! `LocalSet` in the rows about spawning, and plainly elsewhere: that is its faster way.

use std::future::Future;
use std::time::Duration;

use crate::common::contender::{Contender, Ours, Tokio, TokioLocal};
use crate::common::experiment::{Experiment, Limit, Row, Side, Unit};
use crate::common::system::cpu_of;
use crate::common::{floor, tasks};

pub(crate) const ROUNDS: usize = 31;

const BATCHES: usize = 100;
const SPAWNS: usize = BATCHES * tasks::BATCH;

const YIELDERS: usize = 1000;
const YIELDS: usize = 1000;

const SWITCHES: usize = 200_000;

/// Measures the CPU time for each of `ops` operations of `work`, in a runtime of its own.
pub(crate) fn cpu<C: Contender, F: Future<Output = ()>>(ops: usize, work: impl Fn() -> F + 'static) -> Side {
    Box::new(move || {
        let runtime = C::new();
        per(ops, cpu_of(|| runtime.block_on(work())))
    })
}

pub(crate) fn floor_cpu(ops: usize, work: impl Fn() + 'static) -> Option<Side> {
    Some(Box::new(move || per(ops, cpu_of(&work))))
}

pub(crate) fn per(ops: usize, time: Duration) -> Vec<f64> {
    vec![time.as_nanos() as f64 / ops as f64]
}

fn row(work: &str, unit: Unit, of_tokio: f64) -> Vec<Row> {
    vec![Row { work: work.to_owned(), unit, limit: Limit::OfTokio(of_tokio) }]
}

pub(crate) fn experiments() -> Vec<Experiment> {
    vec![
        Experiment {
            name: "spawn batches",
            rounds: ROUNDS,
            only_if_asked: false,
            rows: row("spawn + join, batches of 1000", Unit::Nanoseconds, 0.20),
            ours: cpu::<Ours, _>(SPAWNS, || tasks::spawn_in_batches::<Ours>(BATCHES)),
            tokio: cpu::<TokioLocal, _>(SPAWNS, || tasks::spawn_in_batches::<TokioLocal>(BATCHES)),
            floor: floor_cpu(SPAWNS, || floor::spawn_in_batches(BATCHES)),
        },
        Experiment {
            name: "spawn one",
            rounds: ROUNDS,
            only_if_asked: false,
            rows: row("spawn + join one at a time, from a task", Unit::Nanoseconds, 0.20),
            ours: cpu::<Ours, _>(SPAWNS, || tasks::spawn_one_by_one::<Ours>(SPAWNS)),
            tokio: cpu::<TokioLocal, _>(SPAWNS, || tasks::spawn_one_by_one::<TokioLocal>(SPAWNS)),
            floor: floor_cpu(SPAWNS, || floor::spawn_one_by_one(SPAWNS)),
        },
        Experiment {
            name: "yield",
            rounds: ROUNDS,
            only_if_asked: false,
            rows: row("`yield_now`, 1000 tasks × 1000", Unit::Nanoseconds, 0.28),
            ours: cpu::<Ours, _>(YIELDERS * YIELDS, || tasks::yield_all::<Ours>(YIELDERS, YIELDS)),
            tokio: cpu::<Tokio, _>(YIELDERS * YIELDS, || tasks::yield_all::<Tokio>(YIELDERS, YIELDS)),
            floor: floor_cpu(YIELDERS * YIELDS, || floor::yield_all(YIELDERS, YIELDS)),
        },
        ring("wake two", "two tasks waking each other", 2),
        ring("wake ring", "a ring of 1000 tasks, each waking the next", 1000),
    ]
}

fn ring(name: &'static str, work: &str, len: usize) -> Experiment {
    let laps = SWITCHES / len;
    Experiment {
        name,
        rounds: ROUNDS,
        only_if_asked: false,
        rows: row(work, Unit::Nanoseconds, 0.35),
        ours: cpu::<Ours, _>(SWITCHES, move || tasks::pass_around::<Ours>(len, laps)),
        tokio: cpu::<Tokio, _>(SWITCHES, move || tasks::pass_around::<Tokio>(len, laps)),
        floor: floor_cpu(SWITCHES, move || floor::pass_around(len, laps)),
    }
}
