//! The rows of the table, in CPU time or in user-space instructions.

use crate::child;
use crate::common::experiment::Unit;
use crate::rounds::{Experiment, Row};
use crate::sockets;
use crate::work::Work;

/// The number of rounds, unless the command line says another one. Each round of [`Work::Sleeps`] takes a second for
/// each contestant.
const ROUNDS: usize = 15;
const SLEEP_ROUNDS: usize = 9;

/// For each row of echo: the connections, and the requests over all of them in one round.
const ECHO: [(usize, usize); 3] = [(1, 3000), (50, 10_000), (1000, 10_000)];

/// The name of the row of short connections.
const SHORT_NAME: &str = "connect";

/// Returns the experiments that measure time, and bytes.
pub(crate) fn of_time() -> Vec<Experiment> {
    let mut all: Vec<Experiment> =
        Work::ALL.into_iter().filter(|work| !work.is_sleeps()).map(time_of).collect();
    all.extend(ECHO.map(|(connections, requests)| Experiment {
        name: format!("echo-{connections}"),
        rounds: ROUNDS,
        rows: vec![Row {
            work: format!("echo of 64 B, a request, connections: {connections}"),
            unit: Unit::Microseconds,
            in_short_table: connections == 50,
        }],
        prepare: Box::new(move |contestant| sockets::echo(contestant, connections, requests)),
    }));
    all.push(Experiment {
        name: SHORT_NAME.to_owned(),
        rounds: ROUNDS,
        rows: vec![Row {
            work: "connect, echo, close".to_owned(),
            unit: Unit::Microseconds,
            in_short_table: true,
        }],
        prepare: Box::new(sockets::short_connections),
    });
    all.push(Experiment {
        name: "idle".to_owned(),
        // Later rounds would give the same numbers.
        rounds: 1,
        rows: [("heap", true), ("resident", false)]
            .map(|(way, in_short_table)| Row {
                work: format!("an idle connection with its task and 256 B of buffer ({way})"),
                unit: Unit::Bytes,
                in_short_table,
            })
            .into(),
        prepare: Box::new(sockets::idle_connections),
    });
    all.extend([Work::Sleeps, Work::CoarseSleeps].map(sleeps));
    all
}

fn time_of(work: Work) -> Experiment {
    Experiment {
        name: work.name().to_owned(),
        rounds: ROUNDS,
        rows: vec![row(work, Unit::Nanoseconds)],
        prepare: Box::new(move |contestant| {
            Ok(Box::new(move || Ok(vec![child::measure(contestant, work)?.cpu_ns / work.times() as f64])))
        }),
    }
}

fn sleeps(work: Work) -> Experiment {
    let lateness = match work {
        Work::CoarseSleeps => "their lateness, 99th percentile (wall), ours with a slack of 1 ms",
        _ => "their lateness, 99th percentile (wall)",
    };
    Experiment {
        name: work.name().to_owned(),
        rounds: SLEEP_ROUNDS,
        rows: vec![
            row(work, Unit::Milliseconds),
            Row { work: lateness.to_owned(), unit: Unit::Milliseconds, in_short_table: false },
        ],
        prepare: Box::new(move |contestant| {
            Ok(Box::new(move || {
                let spent = child::measure(contestant, work)?;
                Ok(vec![spent.cpu_ns, spent.p99_late_ns])
            }))
        }),
    }
}

/// Returns the experiments that count instructions: those of time, less what is bound by waiting.
pub(crate) fn of_instructions() -> Vec<Experiment> {
    let counted = Work::ALL.into_iter().filter(|work| !work.is_sleeps());
    let mut all: Vec<Experiment> = counted.map(instructions_of).collect();
    let connections = sockets::COUNTED_CONNECTIONS;
    all.push(Experiment {
        name: format!("echo-{connections}"),
        rounds: 1,
        rows: vec![Row {
            work: format!("echo of 64 B, a request, connections: {connections}"),
            unit: Unit::Instructions,
            in_short_table: true,
        }],
        prepare: Box::new(sockets::echo_instructions),
    });
    all.push(Experiment {
        name: SHORT_NAME.to_owned(),
        rounds: 1,
        rows: vec![Row {
            work: "connect, echo, close".to_owned(),
            unit: Unit::Instructions,
            in_short_table: true,
        }],
        prepare: Box::new(sockets::short_connection_instructions),
    });
    all
}

fn instructions_of(work: Work) -> Experiment {
    const FEW: usize = 10_000;
    const MANY: usize = 60_000;
    Experiment {
        name: work.name().to_owned(),
        rounds: 1,
        rows: vec![row(work, Unit::Instructions)],
        prepare: Box::new(move |contestant| {
            Ok(Box::new(move || {
                let many = child::count_instructions(contestant, work, MANY)?;
                let few = child::count_instructions(contestant, work, FEW)?;
                Ok(vec![(many - few) as f64 / (MANY - FEW) as f64])
            }))
        }),
    }
}

fn row(work: Work, unit: Unit) -> Row {
    let text = match work {
        Work::SpawnBatches => "spawn + join, batches of 1000",
        Work::SpawnOne => "spawn + join one at a time, from a task",
        Work::Yield => "yield, 1000 tasks",
        Work::TwoTasks => "two tasks that wake each other, a wake",
        Work::Ring => "a ring of 1000 tasks, a wake",
        Work::ArmSleep => "arm and drop a sleep, an earlier one pending",
        Work::TimeoutYields => "timeout around a future that yields once",
        Work::TimeoutReady => "timeout around a future that is ready",
        Work::Sleeps => "100,000 sleeps in a second, all together",
        Work::CoarseSleeps => "100,000 sleeps in a second, ours with a slack of 1 ms",
    };
    let in_short_table = !matches!(work, Work::Ring | Work::TimeoutReady | Work::CoarseSleeps);
    Row { work: text.to_owned(), unit, in_short_table }
}
