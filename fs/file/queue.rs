//! The order of the operations on one file. The pool has many threads, so it does not keep an order by itself.
//!
//! The operations of a file wait in a queue. One job of the pool at a time, the *runner*, makes them one after the
//! other, and ends when none is left.
//!
//! A pool that is closed still makes the operations in a queue, since writes that were accepted may be among them. If no
//! thread can be started for the runner, the operations are dropped, and their join handles report that.

use crate::runtime::mutex::Mutex;
use crate::runtime::remote::blocking::{Class, Job};
use crate::runtime::remote::blocking_call::Home;
use crate::runtime::selector::Process;
use crate::runtime::unwind;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;

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
        let runner = Runner { queue: self.clone(), process: Process::current(), has_run: false };
        home.pool.spawn(Class::OpenFile, Box::new(move || runner.run()))
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
    process: Process,
    has_run: bool,
}

impl Runner {
    fn run(mut self) {
        // From now on, the queue is empty before this is dropped.
        self.has_run = true;
        while let Some(job) = self.queue.next() {
            unwind::contain(job);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // In a forked child, the runner still exists in the parent.
        if !self.has_run && self.process.is_current() {
            while let Some(job) = self.queue.next() {
                unwind::drop(job);
            }
        }
    }
}
