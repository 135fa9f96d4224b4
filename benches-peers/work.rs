//! The workloads that a process measures in itself, on a runtime or on the floor. They are those of
//! [`common::tasks`](crate::common::tasks) and [`common::timers`](crate::common::timers).
//!
//! A process does one of them, on one runtime, and first a part of it that does not count. Time is the CPU time of
//! the whole process, so that a thread which a runtime starts counts as well.

use std::process;
use std::time::Duration;

use crate::common::contender::Contender;
use crate::common::system::process_cpu;
use crate::common::{floor, tasks, timers};

/// The number of tasks that yield in turn, and that of the larger ring.
const MANY_TASKS: usize = 1000;

/// The time over which all sleeps are spread.
const SPAN: Duration = Duration::from_secs(1);

/// The slack of the row that gives this crate the resolution of tokio's timers.
pub(crate) const COARSE_SLACK: Duration = Duration::from_millis(1);

/// A workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    SpawnBatches,
    SpawnOne,
    Yield,
    TwoTasks,
    Ring,
    ArmSleep,
    TimeoutYields,
    TimeoutReady,
    Sleeps,
    /// The same as [`Work::Sleeps`], with [`COARSE_SLACK`] where a slack can be set.
    CoarseSleeps,
}

/// The time and the count of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spent {
    /// The CPU time of all operations together.
    pub(crate) cpu_ns: f64,
    /// The 99th percentile of the lateness of sleeps, or 0 if the workload has none.
    pub(crate) p99_late_ns: f64,
}

impl Work {
    pub(crate) const ALL: [Work; 10] = [
        Work::SpawnBatches,
        Work::SpawnOne,
        Work::Yield,
        Work::TwoTasks,
        Work::Ring,
        Work::ArmSleep,
        Work::TimeoutYields,
        Work::TimeoutReady,
        Work::Sleeps,
        Work::CoarseSleeps,
    ];

    /// Returns the name by which the command line selects the workload.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::SpawnBatches => "spawn-batches",
            Work::SpawnOne => "spawn-one",
            Work::Yield => "yield",
            Work::TwoTasks => "two-tasks",
            Work::Ring => "ring",
            Work::ArmSleep => "arm-sleep",
            Work::TimeoutYields => "timeout-yields",
            Work::TimeoutReady => "timeout-ready",
            Work::Sleeps => "sleeps",
            Work::CoarseSleeps => "coarse-sleeps",
        }
    }

    /// Returns the number of operations of a round, which take some 10 ms. It is a multiple of 10,000, so that a tenth of
    /// it still has whole batches and laps.
    pub(crate) fn times(self) -> usize {
        match self {
            Work::SpawnBatches | Work::SpawnOne | Work::ArmSleep | Work::TimeoutYields => 200_000,
            Work::Yield | Work::TwoTasks | Work::Ring => 500_000,
            Work::TimeoutReady => 1_000_000,
            Work::Sleeps | Work::CoarseSleeps => 100_000,
        }
    }

    /// Returns the number of operations that come first and do not count. A second of sleeps needs none.
    pub(crate) fn warm_up(self) -> usize {
        if self.is_sleeps() { 0 } else { self.times() / 10 }
    }

    /// Returns whether the workload is bound by spawning, for which tokio has a faster way.
    pub(crate) fn spawns(self) -> bool {
        matches!(self, Work::SpawnBatches | Work::SpawnOne)
    }

    /// Returns whether the workload sleeps, and takes a second whatever the runtime does.
    pub(crate) fn is_sleeps(self) -> bool {
        matches!(self, Work::Sleeps | Work::CoarseSleeps)
    }

    /// Does the work `times` times on `runtime`, after `warm_up` times that do not count.
    pub(crate) fn run<C: Contender>(self, runtime: &C, warm_up: usize, times: usize) -> Spent {
        runtime.block_on(async {
            let earlier = match self {
                Work::ArmSleep | Work::TimeoutYields | Work::TimeoutReady => {
                    Some(timers::arm_earlier_one::<C>().await)
                }
                _ => None,
            };
            self.repeat::<C>(warm_up).await;
            let start_ns = cpu_ns();
            self.repeat::<C>(times).await;
            let cpu_ns = cpu_ns() - start_ns;
            drop(earlier);
            Spent { cpu_ns, p99_late_ns: timers::take_p99_lateness() }
        })
    }

    async fn repeat<C: Contender>(self, times: usize) {
        match self {
            Work::SpawnBatches => tasks::spawn_in_batches::<C>(times / tasks::BATCH).await,
            Work::SpawnOne => tasks::spawn_one_by_one::<C>(times).await,
            Work::Yield => tasks::yield_all::<C>(MANY_TASKS, times / MANY_TASKS).await,
            Work::TwoTasks => tasks::pass_around::<C>(2, times / 2).await,
            Work::Ring => tasks::pass_around::<C>(MANY_TASKS, times / MANY_TASKS).await,
            Work::ArmSleep => timers::arm_and_drop::<C>(times).await,
            Work::TimeoutYields => timers::time_out_yielding::<C>(times).await,
            Work::TimeoutReady => timers::time_out_ready::<C>(times).await,
            Work::Sleeps | Work::CoarseSleeps => timers::sleep_all::<C>(times, SPAN).await,
        }
    }

    /// Does what [`run`](Self::run) does, without a runtime.
    pub(crate) fn run_floor(self, warm_up: usize, times: usize) -> Spent {
        self.repeat_floor(warm_up);
        let start_ns = cpu_ns();
        self.repeat_floor(times);
        Spent { cpu_ns: cpu_ns() - start_ns, p99_late_ns: timers::take_p99_lateness() }
    }

    fn repeat_floor(self, times: usize) {
        match self {
            Work::SpawnBatches => floor::spawn_in_batches(times / tasks::BATCH),
            Work::SpawnOne => floor::spawn_one_by_one(times),
            Work::Yield => floor::yield_all(MANY_TASKS, times / MANY_TASKS),
            Work::TwoTasks => floor::pass_around(2, times / 2),
            Work::Ring => floor::pass_around(MANY_TASKS, times / MANY_TASKS),
            Work::ArmSleep => floor::box_and_drop(times),
            Work::TimeoutYields => floor::poll_yielding(times),
            Work::TimeoutReady => floor::poll_ready(times),
            Work::Sleeps => timers::sleep_all_floor(times, SPAN, timers::DEFAULT_SLACK),
            Work::CoarseSleeps => timers::sleep_all_floor(times, SPAN, COARSE_SLACK),
        }
    }
}

/// Returns the CPU time of this process so far.
fn cpu_ns() -> f64 {
    process_cpu(process::id()).expect("a process can read its own clock").as_nanos() as f64
}
