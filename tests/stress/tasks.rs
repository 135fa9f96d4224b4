//! Tasks that end as planned, by a value, a panic or an abort, and all that may be done with their join handles.

use super::checks::{Checks, Guard};
use super::episode::Side;
use super::random::Random;
use super::wakers::{hostile, poll_with};
use crate::common::adversary::DEEDS;
use crate::common::{OnDrop, panic_quietly, yield_times};
use runtime::task::{JoinError, JoinHandle, spawn_blocking};
use runtime::time::{sleep, timeout};
use std::future::pending;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// The work of a task, and its end unless it is aborted.
#[derive(Clone, Copy, Debug)]
struct Plan {
    yields: usize,
    sleep: Option<Duration>,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Value(u64),
    Panic(u64),
    Never,
}

/// The output of a task, and the payload of its panic: a number, and a guard.
type Output = (u64, Guard);

impl Plan {
    fn new(random: &mut Random) -> Plan {
        let number = random.number();
        Plan {
            yields: random.within(0..6) as usize,
            sleep: random.chance(20).then(|| random.micros(0..1500)),
            end: match random.within(0..4) {
                0 => End::Panic(number),
                1 => End::Never,
                _ => End::Value(number),
            },
        }
    }

    /// Makes the task. Its future performs an action when it is dropped, on whichever thread that is.
    fn task(self, side: &Side, random: &mut Random) -> impl Future<Output = Output> + Send + use<> {
        let (checks, deed) = (side.checks.clone(), random.pick(&DEEDS));
        let guard = checks.guard();
        let on_drop = OnDrop::new(move || _ = deed.perform(0));
        async move {
            let _held = (guard, on_drop);
            yield_times(self.yields).await;
            if let Some(length) = self.sleep {
                sleep(length).await;
            }
            self.finish(&checks).await
        }
    }

    async fn finish(self, checks: &Arc<Checks>) -> Output {
        match self.end {
            End::Value(number) => (number, checks.guard()),
            End::Panic(number) => panic_quietly((number, checks.guard())),
            End::Never => pending().await,
        }
    }

    /// Checks that a task ended as planned, or was cancelled if it was aborted.
    fn check(self, result: Result<Output, JoinError>, was_aborted: bool) {
        let end = match result {
            Ok((number, _guard)) => End::Value(number),
            Err(error) if error.is_cancelled() => {
                assert!(was_aborted, "{self:?} was cancelled, and nobody aborted it");
                return;
            }
            Err(error) => {
                let payload = error.into_panic().downcast::<Output>();
                End::Panic(payload.expect("what a task panics with").0)
            }
        };
        assert_eq!(end, self.end, "another end than planned");
    }
}

/// Runs tasks on this thread.
pub(crate) async fn here(side: Side, mut random: Random) {
    for _ in 0..random.within(1..12) {
        let plan = Plan::new(&mut random);
        let task = runtime::spawn(plan.task(&side, &mut random));
        observe(&side, &mut random, plan, task).await;
    }
}

/// Runs tasks on the other thread.
pub(crate) async fn there(side: Side, mut random: Random) {
    for _ in 0..random.within(1..12) {
        let plan = Plan::new(&mut random);
        let task = side.there.spawn(plan.task(&side, &mut random));
        if random.chance(20) {
            // The join handle of such a task may be awaited anywhere.
            let (again, random) = (side.turned(), random.split());
            let observer = side.there.spawn(observe_owned(again, random, plan, task));
            observer.await.expect("the observer does not panic");
        } else {
            observe(&side, &mut random, plan, task).await;
        }
    }
}

/// Makes blocking calls, on the pool of this runtime or of the other one.
pub(crate) async fn blocking(side: Side, mut random: Random) {
    for _ in 0..random.within(1..4) {
        let plan = Plan { yields: 0, sleep: None, end: Plan::new(&mut random).end };
        let (checks, guard) = (side.checks.clone(), side.checks.guard());
        let call = move || {
            let _guard = guard;
            match plan.end {
                End::Panic(number) => panic_quietly((number, checks.guard())),
                End::Value(number) => (number, checks.guard()),
                End::Never => (0, checks.guard()),
            }
        };
        let mut task = if random.chance(50) { spawn_blocking(call) } else { side.there.spawn_blocking(call) };
        let was_aborted = random.chance(30);
        let early = poll_with(&mut task, &hostile(&side, &mut random));
        if was_aborted {
            task.abort();
        }
        let result = match early {
            Poll::Ready(result) => result,
            Poll::Pending => task.await,
        };
        let end = if plan.end == End::Never { End::Value(0) } else { plan.end };
        Plan { end, ..plan }.check(result, was_aborted);
    }
}

async fn observe_owned(side: Side, mut random: Random, plan: Plan, task: JoinHandle<Output>) {
    observe(&side, &mut random, plan, task).await;
}

/// Does something with a task, and checks how it ends unless it is detached.
async fn observe(side: &Side, random: &mut Random, plan: Plan, mut task: JoinHandle<Output>) {
    let mut was_aborted = false;
    let mut early = Poll::Pending;
    for _ in 0..random.within(0..3) {
        match random.within(0..6) {
            0 => yield_times(random.within(1..4) as usize).await,
            // A hostile waker is left, and replaced by the next.
            1 | 2 if early.is_pending() => early = poll_with(&mut task, &hostile(side, random)),
            3 => {
                let abort = task.abort_handle();
                drop(side.there.spawn(async move { abort.abort() }));
                was_aborted = true;
            }
            4 => {
                task.abort();
                was_aborted = true;
            }
            // The task is detached. One that never ends is aborted first; `leave_behind` tests those that stay.
            5 if random.chance(30) => {
                if plan.end == End::Never {
                    task.abort();
                }
                return;
            }
            _ if early.is_pending() => {
                if let Ok(result) = timeout(random.micros(0..200), &mut task).await {
                    early = Poll::Ready(result);
                }
            }
            _ => {}
        }
    }
    if plan.end == End::Never && !was_aborted && early.is_pending() {
        task.abort();
        was_aborted = true;
    }
    let result = match early {
        Poll::Ready(result) => result,
        Poll::Pending => task.await,
    };
    plan.check(result, was_aborted);
}
