//! The loads that keep the loop busy while it is measured. Those that come from other threads are in
//! [`floods`](super::floods).

use std::hint::spin_loop;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::system::{OTHER_CORE, pin_to, restore_priority};
use crate::floods::{self, Flood};
use crate::probes::Shared;
use crate::subject::{MESSAGE_LEN, Subject};

/// The kinds of load.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    Nothing,
    /// Tasks that compute for `step` and then `yield_now`.
    Yields {
        tasks: usize,
        step: Duration,
    },
    /// Tasks that compute for `step` and spend a unit of budget, and yield when none is left.
    Budgets {
        tasks: usize,
        step: Duration,
    },
    /// A task that writes and reads, and whose peer is a thread that answers.
    Answers,
    /// A task that writes and reads, and never has to wait: its peer is two threads, of which one always reads and
    /// one always writes.
    Saturated,
    /// Other threads that call into the loop, or connect to it.
    Flood(Flood),
    /// Timers with the same deadline, of this number. The load ends when all have fired.
    Timers(usize),
}

/// The time from the spawn of the last timer's task to the common deadline: enough to arm a million timers.
const ARMING: Duration = Duration::from_millis(600);

/// The probes begin this long before the timers fire, so that some sleeps are under way.
const AHEAD: Duration = Duration::from_millis(20);

/// The time that the timers may take to fire, in a round that otherwise ends by itself.
const FIRING: Duration = Duration::from_secs(10);

/// The number of bytes that the peer's threads move at once: many messages, so that two threads keep up with any
/// loop.
const CHUNK_LEN: usize = 1024 * MESSAGE_LEN;

/// Returns all rows, in the order of the table.
pub(crate) fn all(timers: usize) -> Vec<Load> {
    let mut loads = vec![Load::Nothing];
    for tasks in [1, 100] {
        let steps = [1, 10, 100, 1000].map(Duration::from_micros);
        loads.extend(steps.map(|step| Load::Yields { tasks, step }));
        loads.extend(steps.map(|step| Load::Budgets { tasks, step }));
    }
    loads.extend([Load::Answers, Load::Saturated]);
    loads.extend(Flood::ALL.map(Load::Flood));
    loads.push(Load::Timers(timers));
    loads
}

/// A load in progress: what has to be waited for at the end of a round.
#[derive(Default)]
pub(crate) struct Running {
    pub(crate) tasks: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(crate) threads: Vec<thread::JoinHandle<()>>,
}

impl Running {
    /// Waits for the load, which ends by itself when the round is over.
    pub(crate) async fn end(self) {
        for task in self.tasks {
            task.await;
        }
        for thread in self.threads {
            thread.join().expect("a thread of the load panicked");
        }
    }

    /// Starts a thread of the load, on the core on which the loop is not.
    pub(crate) fn start_thread(&mut self, work: impl FnOnce() + Send + 'static) {
        self.threads.push(thread::spawn(|| {
            pin_to(OTHER_CORE);
            restore_priority();
            work();
        }));
    }

    fn spawn<C: Subject>(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(Box::pin(C::spawn(task)));
    }
}

impl Load {
    /// Returns the name by which the command line selects the row, and which the table shows.
    pub(crate) fn name(self) -> String {
        match self {
            Load::Nothing => "nothing".to_owned(),
            Load::Yields { tasks, step } => format!("yield {tasks} × {} µs", step.as_micros()),
            Load::Budgets { tasks, step } => format!("budget {tasks} × {} µs", step.as_micros()),
            Load::Answers => "a peer that answers".to_owned(),
            Load::Saturated => "a peer that never keeps it waiting".to_owned(),
            Load::Flood(flood) => flood.name().to_owned(),
            Load::Timers(count) => format!("{count} timers on one tick"),
        }
    }

    /// Returns the maximum length of a round, if the caller does not choose it.
    pub(crate) fn window(self) -> Option<Duration> {
        matches!(self, Load::Timers(_)).then_some(FIRING)
    }

    /// Starts the load in the current runtime.
    pub(crate) async fn start<C: Subject>(self, shared: &Arc<Shared>) -> Running {
        let mut running = Running::default();
        match self {
            Load::Nothing => {}
            Load::Yields { tasks, step } => {
                for _ in 0..tasks {
                    let shared = shared.clone();
                    running.spawn::<C>(async move {
                        while !shared.is_over() {
                            compute(step, &shared);
                            C::yield_now().await;
                        }
                    });
                }
            }
            Load::Budgets { tasks, step } => {
                for _ in 0..tasks {
                    let shared = shared.clone();
                    running.spawn::<C>(async move {
                        while !shared.is_over() {
                            compute(step, &shared);
                            C::consume_budget().await;
                        }
                    });
                }
            }
            Load::Answers => answer::<C>(shared, &mut running),
            Load::Saturated => saturate::<C>(shared, &mut running),
            Load::Flood(flood) => floods::start::<C>(flood, shared, &mut running),
            Load::Timers(count) => arm::<C>(count, shared).await,
        }
        running
    }
}

/// Makes one step of a task that computes.
fn compute(step: Duration, shared: &Shared) {
    let end = Instant::now() + step;
    while Instant::now() < end {
        spin_loop();
    }
    shared.step();
}

/// Starts a thread that sends back whatever the task writes, as fast as it can.
fn answer<C: Subject>(shared: &Arc<Shared>, running: &mut Running) {
    let (task, mut peer) = pair();
    running.spawn::<C>(C::converse(task, shared.clone()));
    running.start_thread(move || {
        let mut message = [0; MESSAGE_LEN];
        // The task closes its end when the round is over.
        while peer.read_exact(&mut message).is_ok() && peer.write_all(&message).is_ok() {}
    });
}

/// Starts one thread that reads all that the task writes, and one that writes more than the task reads.
fn saturate<C: Subject>(shared: &Arc<Shared>, running: &mut Running) {
    let (task, mut reader) = pair();
    let mut writer = reader.try_clone().expect("duplicate a socket");
    running.spawn::<C>(C::converse(task, shared.clone()));
    running.start_thread(move || {
        let mut chunk = vec![0; CHUNK_LEN];
        while reader.read(&mut chunk).is_ok_and(|count| count > 0) {}
    });
    running.start_thread(move || while writer.write_all(&[0; CHUNK_LEN]).is_ok() {});
}

/// Returns two ends of a connection: the task's is non-blocking, and the other one is blocking.
fn pair() -> (UnixStream, UnixStream) {
    let (task, peer) = UnixStream::pair().expect("make a pair of sockets");
    task.set_nonblocking(true).expect("make the task's end non-blocking");
    (task, peer)
}

/// Arms `count` timers with one deadline, in as many tasks, and returns shortly before it. The task whose timer fires
/// last ends the round.
async fn arm<C: Subject>(count: usize, shared: &Arc<Shared>) {
    let deadline = Arc::new(Mutex::new(None));
    for _ in 0..count {
        let (deadline, shared) = (deadline.clone(), shared.clone());
        drop(C::spawn(async move {
            let deadline = deadline.lock().unwrap_or_else(PoisonError::into_inner).expect("set by now");
            C::sleep_until(deadline).await;
            shared.step();
            if shared.steps() == count as u64 {
                shared.end();
            }
        }));
    }
    // No task has been polled yet: this future has the loop's thread until it waits.
    let common = Instant::now() + ARMING;
    *deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(common);
    C::sleep_until(common - AHEAD).await;
}
