//! Spawn tasks and join them: a thousand before the first join, and one at a time from a task.

mod common;

use common::contender::{Ours, TokioLocal};
use common::criterion::{bench, bench_floor, group};
use common::{floor, tasks};
use criterion::{Criterion, criterion_group, criterion_main};

fn batches(criterion: &mut Criterion) {
    let mut group = group(criterion, "spawn/batches of 1000", tasks::BATCH);
    bench::<Ours, _>(&mut group, tasks::spawn_in_batches::<Ours>);
    bench::<TokioLocal, _>(&mut group, tasks::spawn_in_batches::<TokioLocal>);
    bench_floor(&mut group, floor::spawn_in_batches);
}

fn one_by_one(criterion: &mut Criterion) {
    let mut group = group(criterion, "spawn/one at a time", 1);
    bench::<Ours, _>(&mut group, tasks::spawn_one_by_one::<Ours>);
    bench::<TokioLocal, _>(&mut group, tasks::spawn_one_by_one::<TokioLocal>);
    bench_floor(&mut group, floor::spawn_one_by_one);
}

criterion_group!(benches, batches, one_by_one);
criterion_main!(benches);
