//! Wakes from another thread: into a loop that sleeps (CPU time), and into a busy one (wall time).

mod common;

use common::contender::{Ours, Tokio};
use common::criterion::{bench, bench_floor, bench_floor_wall, bench_wall, group, keep_short};
use common::cross_thread::{wake_asleep, wake_asleep_floor, wake_busy, wake_busy_floor};
use criterion::{Criterion, criterion_group, criterion_main};

fn asleep(criterion: &mut Criterion) {
    let mut group = group(criterion, "cross_thread/asleep", 1);
    keep_short(&mut group);
    bench::<Ours, _>(&mut group, wake_asleep::<Ours>);
    bench::<Tokio, _>(&mut group, wake_asleep::<Tokio>);
    bench_floor(&mut group, wake_asleep_floor);
}

fn busy(criterion: &mut Criterion) {
    let mut group = group(criterion, "cross_thread/busy", 1);
    bench_wall::<Ours, _>(&mut group, wake_busy::<Ours>);
    bench_wall::<Tokio, _>(&mut group, wake_busy::<Tokio>);
    bench_floor_wall(&mut group, wake_busy_floor);
}

criterion_group!(benches, asleep, busy);
criterion_main!(benches);
