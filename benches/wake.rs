//! Tasks that wake one another in a circle: two of them, and a thousand.

mod common;

use common::contender::{Ours, Tokio};
use common::criterion::{bench, bench_floor, group};
use common::{floor, tasks};
use criterion::{Criterion, criterion_group, criterion_main};

fn two(criterion: &mut Criterion) {
    ring(criterion, "wake/two tasks", 2);
}

fn thousand(criterion: &mut Criterion) {
    ring(criterion, "wake/ring of 1000", 1000);
}

fn ring(criterion: &mut Criterion, name: &str, len: usize) {
    let mut group = group(criterion, name, len);
    bench::<Ours, _>(&mut group, |laps| tasks::pass_around::<Ours>(len, laps));
    bench::<Tokio, _>(&mut group, |laps| tasks::pass_around::<Tokio>(len, laps));
    bench_floor(&mut group, |laps| floor::pass_around(len, laps));
}

criterion_group!(benches, two, thousand);
criterion_main!(benches);
