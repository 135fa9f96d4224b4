//! Rows of timers: armed and dropped, not needed at all, and fired.

use std::future::Future;
use std::time::Duration;

use super::tasks::per;
use crate::common::contender::{Contender, Ours, Tokio};
use crate::common::experiment::{Experiment, Limit, Row, Side, Unit};
use crate::common::system::{cpu_of, thread_cpu};
use crate::common::{floor, timers};

const ROUNDS: usize = 31;
const TIMES: usize = 100_000;

/// The number of rounds of the row that takes a second of wall time a side.
const SLEEP_ROUNDS: usize = 11;
const SLEEPS: usize = 100_000;
const SPAN: Duration = Duration::from_secs(1);

/// Measures the CPU time for each of [`TIMES`] operations of `work`, while a timer of an hour is armed.
fn cpu<C: Contender, F: Future<Output = ()>>(work: impl Fn() -> F + 'static) -> Side {
    Box::new(move || {
        C::new().block_on(async {
            let earlier = timers::arm_earlier_one::<C>().await;
            let start = thread_cpu();
            work().await;
            let spent = thread_cpu() - start;
            drop(earlier);
            per(TIMES, spent)
        })
    })
}

/// Measures the CPU time of all the sleeps together, and their lateness.
fn sleeps<C: Contender>() -> Side {
    Box::new(|| {
        let runtime = C::new();
        let spent = cpu_of(|| runtime.block_on(timers::sleep_all::<C>(SLEEPS, SPAN)));
        vec![spent.as_nanos() as f64, timers::take_p99_lateness()]
    })
}

fn floor_cpu(work: fn(usize)) -> Option<Side> {
    Some(Box::new(move || per(TIMES, cpu_of(|| work(TIMES)))))
}

fn row(work: &str, of_tokio: f64) -> Vec<Row> {
    vec![Row { work: work.to_owned(), unit: Unit::Nanoseconds, limit: Limit::OfTokio(of_tokio) }]
}

pub(crate) fn experiments() -> Vec<Experiment> {
    vec![
        Experiment {
            name: "timers arm",
            rounds: ROUNDS,
            only_if_asked: false,
            rows: row("arm and drop a `sleep`, an earlier one pending (with a `Box` of the harness)", 0.43),
            ours: cpu::<Ours, _>(|| timers::arm_and_drop::<Ours>(TIMES)),
            tokio: cpu::<Tokio, _>(|| timers::arm_and_drop::<Tokio>(TIMES)),
            floor: floor_cpu(floor::box_and_drop),
        },
        Experiment {
            name: "timers timeout ready",
            rounds: ROUNDS,
            only_if_asked: false,
            rows: row("`timeout` around a future that is ready", 0.2),
            ours: cpu::<Ours, _>(|| timers::time_out_ready::<Ours>(TIMES)),
            tokio: cpu::<Tokio, _>(|| timers::time_out_ready::<Tokio>(TIMES)),
            floor: floor_cpu(floor::poll_ready),
        },
        Experiment {
            name: "timers timeout yields",
            rounds: ROUNDS,
            only_if_asked: false,
            rows: row("`timeout` around a future that yields once", 0.4),
            ours: cpu::<Ours, _>(|| timers::time_out_yielding::<Ours>(TIMES)),
            tokio: cpu::<Tokio, _>(|| timers::time_out_yielding::<Tokio>(TIMES)),
            floor: floor_cpu(floor::poll_yielding),
        },
        Experiment {
            name: "timers fire",
            rounds: SLEEP_ROUNDS,
            only_if_asked: false,
            rows: vec![
                Row {
                    work: "100,000 sleeps over one second, all together".to_owned(),
                    unit: Unit::Milliseconds,
                    limit: Limit::OfTokio(0.7),
                },
                Row {
                    work: "their lateness, 99th percentile (wall)".to_owned(),
                    unit: Unit::Milliseconds,
                    limit: Limit::AtMost(200_000.0),
                },
            ],
            ours: sleeps::<Ours>(),
            tokio: sleeps::<Tokio>(),
            floor: Some(Box::new(|| {
                let spent = cpu_of(|| timers::sleep_all_floor(SLEEPS, SPAN, timers::DEFAULT_SLACK));
                vec![spent.as_nanos() as f64, timers::take_p99_lateness()]
            })),
        },
    ]
}
