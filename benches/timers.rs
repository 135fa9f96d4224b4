//! Timers that are armed and dropped, timeouts around futures that need none, and a hundred thousand timers that
//! fire.

mod common;

use std::time::Duration;

use common::contender::{Contender, Ours, Tokio};
use common::criterion::{Group, bench, bench_floor, group, keep_short};
use common::{floor, system, timers};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};

/// Does what [`bench`] does, while a timer of an hour is armed.
fn bench_later<C: Contender, F: Future<Output = ()>>(group: &mut Group<'_>, work: impl Fn(usize) -> F) {
    let runtime = C::new();
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let earlier = timers::arm_earlier_one::<C>().await;
                let start = system::thread_cpu();
                work(times as usize).await;
                let spent = system::thread_cpu() - start;
                drop(earlier);
                spent
            })
        });
    });
}

fn create_and_drop(criterion: &mut Criterion) {
    let mut group = group(criterion, "timers/create and drop", 1);
    bench_later::<Ours, _>(&mut group, timers::arm_and_drop::<Ours>);
    bench_later::<Tokio, _>(&mut group, timers::arm_and_drop::<Tokio>);
    bench_floor(&mut group, floor::box_and_drop);
}

fn timeout_ready(criterion: &mut Criterion) {
    let mut group = group(criterion, "timers/timeout, ready", 1);
    bench_later::<Ours, _>(&mut group, timers::time_out_ready::<Ours>);
    bench_later::<Tokio, _>(&mut group, timers::time_out_ready::<Tokio>);
    bench_floor(&mut group, floor::poll_ready);
}

fn timeout_yields(criterion: &mut Criterion) {
    let mut group = group(criterion, "timers/timeout, yields once", 1);
    bench_later::<Ours, _>(&mut group, timers::time_out_yielding::<Ours>);
    bench_later::<Tokio, _>(&mut group, timers::time_out_yielding::<Tokio>);
    bench_floor(&mut group, floor::poll_yielding);
}

fn fire(criterion: &mut Criterion) {
    const COUNT: usize = 100_000;
    const SPAN: Duration = Duration::from_millis(200);

    async fn sleep_all<C: Contender>(times: usize) {
        for _ in 0..times {
            timers::sleep_all::<C>(COUNT, SPAN).await;
            timers::take_p99_lateness();
        }
    }

    let mut group = group(criterion, "timers/fire 100,000 in 200 ms", COUNT);
    keep_short(&mut group);
    group.sampling_mode(SamplingMode::Flat);
    bench::<Ours, _>(&mut group, sleep_all::<Ours>);
    bench::<Tokio, _>(&mut group, sleep_all::<Tokio>);
    bench_floor(&mut group, |times| {
        for _ in 0..times {
            timers::sleep_all_floor(COUNT, SPAN, timers::DEFAULT_SLACK);
            timers::take_p99_lateness();
        }
    });
}

criterion_group!(benches, create_and_drop, timeout_ready, timeout_yields, fire);
criterion_main!(benches);
