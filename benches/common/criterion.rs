//! Adapts contenders and floors to criterion: a workload that does a given number of operations becomes a benchmark
//! that criterion calls with numbers of its choice.
//!
//! What criterion calls time is the CPU time of the measuring thread, unless a function says wall.

use std::time::{Duration, Instant};

use ::criterion::measurement::WallTime;
use ::criterion::{BenchmarkGroup, Criterion, Throughput};

use super::contender::Contender;
use super::system::{CORE, cpu_of, pin_to};

pub(crate) type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// The name of the floor in all groups of tasks and timers.
const FLOOR: &str = "floor";

/// Makes a group whose benchmarks do `elements` operations in each of criterion's iterations.
pub(crate) fn group<'a>(criterion: &'a mut Criterion, name: &str, elements: usize) -> Group<'a> {
    pin_to(CORE);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group
}

/// Shortens the measurement of a group that mostly waits: criterion plans by CPU time, and would let it run for
/// minutes.
pub(crate) fn keep_short(group: &mut Group<'_>) {
    group
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200))
        .sample_size(10);
}

/// Measures the CPU time of `work` in a runtime of contender `C`.
pub(crate) fn bench<C: Contender, F: Future<Output = ()>>(group: &mut Group<'_>, work: impl Fn(usize) -> F) {
    bench_with(group, C::NAME, C::new(), work);
}

/// Measures the CPU time of `work` in a runtime, for a group in which a contender has several benchmarks.
pub(crate) fn bench_with<C: Contender, F: Future<Output = ()>>(
    group: &mut Group<'_>,
    name: &str,
    runtime: C,
    work: impl Fn(usize) -> F,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| cpu_of(|| runtime.block_on(work(times as usize))));
    });
}

/// Measures the wall time of `work` in a runtime of contender `C`.
pub(crate) fn bench_wall<C: Contender, F: Future<Output = ()>>(
    group: &mut Group<'_>,
    work: impl Fn(usize) -> F,
) {
    let runtime = C::new();
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| {
            let start = Instant::now();
            runtime.block_on(work(times as usize));
            start.elapsed()
        });
    });
}

/// Measures the CPU time of `work` without a runtime.
pub(crate) fn bench_floor(group: &mut Group<'_>, work: impl Fn(usize)) {
    group.bench_function(FLOOR, |bencher| bencher.iter_custom(|times| cpu_of(|| work(times as usize))));
}

/// Measures the wall time of `work` without a runtime.
pub(crate) fn bench_floor_wall(group: &mut Group<'_>, work: impl Fn(usize)) {
    group.bench_function(FLOOR, |bencher| {
        bencher.iter_custom(|times| {
            let start = Instant::now();
            work(times as usize);
            start.elapsed()
        });
    });
}
