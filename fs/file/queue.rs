//! The order of the operations on one file. The pool has many threads, so it does not keep an order by itself.
//!
//! The operations of a file wait in a queue. One job of the pool at a time, the *runner*, makes them one after the
//! other, and ends when none is left. After a number of operations, other jobs of the pool that wait for a thread come
//! first.
//!
//! A pool that is closed still makes the operations in a queue, since writes that were accepted may be among them. If no
//! thread can be started for the runner, the operations are dropped, and their join handles report that.

use crate::runtime::mutex::Mutex;
use crate::runtime::remote::blocking::{Class, Job, Pool};
use crate::runtime::remote::blocking_call::Home;
use crate::runtime::selector::Process;
use crate::runtime::unwind;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;

/// The most operations that a runner makes while other jobs wait for its thread.
const MAX_JOBS: usize = 16;

#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// The process in which a runner exists. A forked child does not have the runner of its parent.
    runs_in: Option<Process>,
}

impl Queue {
    /// Has the job run after all that are in the queue.
    ///
    /// # Errors
    ///
    /// Returns an error if no thread can be started. All jobs of the queue are dropped.
    pub(super) fn push(self: &Arc<Queue>, home: &Home, job: Job) -> io::Result<()> {
        let inherited;
        {
            let Some(mut state) = self.0.lock() else {
                unwind::drop(job);
                return Ok(());
            };
            if state.runs_in.is_some_and(Process::is_current) {
                state.jobs.push_back(job);
                return Ok(());
            }
            // The parent of a forked child makes those that are there.
            inherited = mem::take(&mut state.jobs);
            state.jobs.push_back(job);
            state.runs_in = Some(Process::current());
        }
        unwind::drop_each(inherited);
        let (queue, pool) = (self.clone(), home.pool.clone());
        Runner { queue, pool, process: Process::current(), has_ended: false }.start()
    }

    /// Returns the next job, or notes that the runner ends.
    fn next(&self) -> Option<Job> {
        let mut state = self.0.lock()?;
        let next = state.jobs.pop_front();
        if next.is_none() {
            state.runs_in = None;
        }
        next
    }
}

struct Runner {
    queue: Arc<Queue>,
    pool: Arc<Pool>,
    process: Process,
    /// True once this runner has found the queue empty. Another runner may exist from then on.
    has_ended: bool,
}

impl Runner {
    fn start(self) -> io::Result<()> {
        let pool = self.pool.clone();
        pool.spawn(Class::OpenFile, Box::new(move || self.run()))
    }

    fn run(mut self) {
        for _ in 0..MAX_JOBS {
            match self.queue.next() {
                Some(job) => unwind::contain(job),
                None => {
                    self.has_ended = true;
                    return;
                }
            }
        }
        // It does not fail: there is a thread, this one.
        _ = self.start();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // In a forked child, the runner still exists in the parent.
        if !self.has_ended && self.process.is_current() {
            while let Some(job) = self.queue.next() {
                unwind::drop(job);
            }
        }
    }
}
