//! A thousand tasks that yield in turn.

mod common;

use common::contender::{Ours, Tokio};
use common::criterion::{bench, bench_floor, group};
use common::{floor, tasks};
use criterion::{Criterion, criterion_group, criterion_main};

const TASKS: usize = 1000;

fn yield_now(criterion: &mut Criterion) {
    let mut group = group(criterion, "yield/1000 tasks", TASKS);
    bench::<Ours, _>(&mut group, |times| tasks::yield_all::<Ours>(TASKS, times));
    bench::<Tokio, _>(&mut group, |times| tasks::yield_all::<Tokio>(TASKS, times));
    bench_floor(&mut group, |times| floor::yield_all(TASKS, times));
}

criterion_group!(benches, yield_now);
criterion_main!(benches);
