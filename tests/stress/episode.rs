//! One episode: a plan made from a seed, two threads that carry it out, and the checks at the end.
//!
//! ```text
//! each thread:  make a runtime, exchange handles
//!               carry out the plan: a task for each part, joined in order
//!               wait for the other thread to be done, turning the loop for it
//!               leave tasks behind, here and there, and drop the runtime, in whatever order the two come to it
//! ```

use super::channel::{Receiver, Sender, channel};
use super::checks::{Checks, Guard};
use super::moves::{FixedEnd, Relay, begin};
use super::random::Random;
use super::wakers::{hostile, poll_with};
use super::{connections, tasks, timers};
use crate::common::adversary::{set_victim, spawn_bystander};
use crate::common::{Count, yield_times};
use runtime::{Handle, Runtime};
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

/// The state that each part of the plan uses: the handles of both runtimes, and the checks.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) checks: Arc<Checks>,
    /// The runtime of this thread.
    pub(crate) here: Handle,
    pub(crate) there: Handle,
}

impl Side {
    /// The same from the other thread's point of view.
    pub(crate) fn turned(&self) -> Side {
        Side { checks: self.checks.clone(), here: self.there.clone(), there: self.here.clone() }
    }
}

/// A part of the plan, on one of the threads.
enum Part {
    Here(Random),
    There(Random),
    Blocking(Random),
    Timers(Random),
    Connections(Random),
    FixedEnd(FixedEnd),
    Relay(Relay),
}

impl Part {
    fn name(&self) -> &'static str {
        match self {
            Part::Here(_) => "tasks here",
            Part::There(_) => "tasks there",
            Part::Blocking(_) => "blocking calls",
            Part::Timers(_) => "timers",
            Part::Connections(_) => "connections",
            Part::FixedEnd(_) => "the fixed end of a stream",
            Part::Relay(_) => "the moving end of a stream",
        }
    }

    fn run(self, side: Side) -> Pin<Box<dyn Future<Output = ()>>> {
        match self {
            Part::Here(random) => Box::pin(tasks::here(side, random)),
            Part::There(random) => Box::pin(tasks::there(side, random)),
            Part::Blocking(random) => Box::pin(tasks::blocking(side, random)),
            Part::Timers(random) => Box::pin(timers::run(side, random)),
            Part::Connections(random) => Box::pin(connections::run(side, random)),
            Part::FixedEnd(fixed) => Box::pin(fixed.run()),
            Part::Relay(relay) => Box::pin(relay.run(side)),
        }
    }
}

/// The parts of both threads.
type Plan = [Vec<Part>; 2];

fn plan(checks: &Arc<Checks>, random: &mut Random) -> Plan {
    let mut plan = [Vec::new(), Vec::new()];
    for _ in 0..random.within(4..20) {
        let thread = random.within(0..2) as usize;
        let part = match random.within(0..10) {
            0 | 1 => Part::Here(random.split()),
            2 | 3 => Part::There(random.split()),
            4 => Part::Blocking(random.split()),
            5 | 6 => Part::Timers(random.split()),
            7 => Part::Connections(random.split()),
            _ => {
                plan_moves(checks, random, &mut plan);
                continue;
            }
        };
        plan[thread].push(part);
    }
    plan
}

fn plan_moves(checks: &Arc<Checks>, random: &mut Random, plan: &mut Plan) {
    let (fixed, moving) = begin(checks.guard(), random);
    plan[random.within(0..2) as usize].push(Part::FixedEnd(fixed));
    let (there, from_here) = channel();
    let (back, from_there) = channel();
    let start = random.within(0..2) as usize;
    plan[start].push(Part::Relay(Relay { first: Some(moving), inbox: from_there, outbox: there }));
    plan[1 - start].push(Part::Relay(Relay { first: None, inbox: from_here, outbox: back }));
}

/// Runs the episode of a seed, and returns what was wrong.
pub(crate) fn run(seed: u64) -> Vec<String> {
    let checks = Arc::new(Checks::default());
    let mut random = Random::new(seed);
    let [first, second] = plan(&checks, &mut random);
    let ((to_second, from_first), (to_first, from_second)) = (mpsc::channel(), mpsc::channel());
    let ((done_first, first_is_done), (done_second, second_is_done)) = (channel(), channel());
    let plans = [
        ThreadPlan {
            parts: first,
            random: random.split(),
            checks: checks.clone(),
            handle_out: to_second,
            handle_in: from_second,
            done: done_first,
            other_is_done: second_is_done,
        },
        ThreadPlan {
            parts: second,
            random: random.split(),
            checks: checks.clone(),
            handle_out: to_first,
            handle_in: from_first,
            done: done_second,
            other_is_done: first_is_done,
        },
    ];
    let name = thread::current().name().unwrap_or("an episode").to_owned();
    let threads = plans.map(|plan| {
        let thread = thread::Builder::new().name(name.clone());
        thread.spawn(|| plan.run()).expect("start a thread")
    });
    for thread in threads {
        if let Err(payload) = thread.join() {
            checks.fault(format!("a thread panicked: {}", crate::common::message(&*payload)));
        }
    }
    checks.close()
}

/// The work of one thread.
struct ThreadPlan {
    parts: Vec<Part>,
    random: Random,
    checks: Arc<Checks>,
    handle_out: mpsc::Sender<Handle>,
    handle_in: mpsc::Receiver<Handle>,
    done: Sender<()>,
    other_is_done: Receiver<()>,
}

impl ThreadPlan {
    fn run(self) {
        let runtime = Runtime::new().expect("make a runtime");
        self.handle_out.send(runtime.handle().clone()).expect("the other thread waits for it");
        let there = self.handle_in.recv().expect("the other thread has sent its own");
        let side = Side { checks: self.checks, here: runtime.handle().clone(), there };
        let mut random = self.random;
        runtime.block_on(async {
            // The tasks that hostile wakers wake and abort.
            spawn_bystander(&Count::default(), &Count::default());
            let victim = runtime::spawn(held(side.checks.guard()));
            set_victim(victim.abort_handle());
            drop(victim);
            carry_out(self.parts, &side).await;
            self.done.send(());
            self.other_is_done.receive().await;
            leave_behind(&side, &mut random).await;
        });
        let late = side.there.spawn(held(side.checks.guard()));
        late.abort();
        drop(runtime);
        drop(late);
    }
}

/// Carries the parts out, all at once, and reports those that panic.
async fn carry_out(parts: Vec<Part>, side: &Side) {
    let mut running = Vec::new();
    for part in parts {
        running.push((part.name(), runtime::spawn(part.run(side.clone()))));
    }
    for (name, task) in running {
        if let Err(error) = task.await {
            side.checks.fault(format!("{name}: {error}"));
        }
    }
}

/// Leaves tasks to be dropped with the runtimes, some of them waited for by hostile wakers. The other runtime may go
/// meanwhile.
async fn leave_behind(side: &Side, random: &mut Random) {
    let mut kept = Vec::new();
    for _ in 0..random.within(0..10) {
        let guard = side.checks.guard();
        let mut task =
            if random.chance(50) { runtime::spawn(held(guard)) } else { side.there.spawn(held(guard)) };
        if let Poll::Ready(result) = poll_with(&mut task, &hostile(side, random)) {
            assert!(result.expect_err("it never ends").is_cancelled());
            continue;
        }
        if random.chance(50) {
            kept.push(task);
        }
        yield_times(random.within(0..3) as usize).await;
    }
    for _ in 0..random.within(0..4) {
        let guard = side.checks.guard();
        // The other runtime may have gone, and then it is cancelled.
        match side.there.spawn(async move { drop(guard) }).await {
            Ok(()) => {}
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
    }
}

async fn held(guard: Guard) {
    let _guard = guard;
    pending().await
}
