//! The threads: they are started together, run, and are joined.

use super::affinity;
use super::core::Core;
use super::error::CoreError;
use super::stop::{Stop, UntilStopped};
use crate::runtime::builder::Builder;
use crate::runtime::handle::{Handle, Runtime};
use crate::runtime::unwind;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A description of the threads to start.
pub(super) struct Plan<'a> {
    pub(super) threads: usize,
    /// The CPUs to which the threads are pinned, in turn. Empty if they are not pinned.
    pub(super) cpus: &'a [usize],
    /// The CPUs on which the caller may run.
    pub(super) allowed: &'a [usize],
    pub(super) name: &'a str,
    pub(super) stack_size: Option<usize>,
    pub(super) builder: &'a Builder,
}

/// A thread's report that it is ready, or the reason why it is not.
struct Report {
    index: usize,
    ready: io::Result<Handle>,
}

impl Plan<'_> {
    /// Starts all threads, or none of them. Returns when all have ended.
    pub(super) fn run<F, T, E>(&self, main: F) -> Result<Vec<T>, CoreError<E>>
    where
        F: AsyncFn(Core) -> Result<T, E> + Sync,
        T: Send,
        E: Send,
    {
        let stop = Stop::new(self.threads);
        let outputs: Vec<Option<T>> = thread::scope(|scope| {
            let (report, reports) = channel();
            let (mut gates, mut threads) = (Vec::new(), Vec::new());
            for index in 0..self.threads {
                let (gate, go) = channel();
                let (report, failed) = (report.clone(), report.clone());
                let (main, stop) = (&main, &stop);
                let thread = move || self.work(index, report, go, main, stop);
                match self.thread(index).spawn_scoped(scope, thread) {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        // One thread that cannot be started is enough to give up.
                        let _ = failed.send(Report { index, ready: Err(error) });
                        break;
                    }
                }
                gates.push(gate);
            }
            drop(report);
            match self.handles(reports) {
                Ok(handles) => {
                    let handles: Arc<[Handle]> = handles.into();
                    for (index, gate) in gates.into_iter().enumerate() {
                        let core = Core { index, cpu: self.cpu(index), handles: handles.clone() };
                        // A thread that has reported its handle waits for this message.
                        let _ = gate.send(core);
                    }
                }
                Err(error) => {
                    stop.raise(error);
                    // The threads that wait for the message end.
                    drop(gates);
                }
            }
            // Each thread is joined explicitly: only then has it ended completely, with its thread-locals destroyed.
            let join = |(index, thread): (usize, thread::ScopedJoinHandle<'_, Option<T>>)| {
                thread.join().unwrap_or_else(|payload| {
                    stop.raise(CoreError::panic(index, payload));
                    None
                })
            };
            threads.into_iter().enumerate().map(join).collect()
        });
        match stop.into_first() {
            Some(error) => {
                unwind::drop_each(outputs);
                Err(error)
            }
            None => Ok(outputs.into_iter().flatten().collect()),
        }
    }

    fn thread(&self, index: usize) -> thread::Builder {
        let thread = thread::Builder::new().name(format!("{}-{index}", self.name));
        match self.stack_size {
            Some(bytes) => thread.stack_size(bytes),
            None => thread,
        }
    }

    fn cpu(&self, index: usize) -> Option<usize> {
        self.cpus.get(index.checked_rem(self.cpus.len())?).copied()
    }

    /// Waits for the reports of all threads, and returns the handles of their runtimes.
    fn handles<E>(&self, reports: Receiver<Report>) -> Result<Vec<Handle>, CoreError<E>> {
        let mut handles = vec![None; self.threads];
        for Report { index, ready } in reports {
            handles[index] = Some(ready.map_err(|error| CoreError::start(index, error))?);
        }
        handles
            .into_iter()
            .enumerate()
            .map(|(index, handle)| {
                handle.ok_or_else(|| {
                    CoreError::start(index, io::Error::other("the thread ended before it reported"))
                })
            })
            .collect()
    }

    /// Runs on each thread. Returns `None` if the thread has failed or was stopped.
    fn work<F, T, E>(
        &self,
        index: usize,
        report: Sender<Report>,
        go: Receiver<Core>,
        main: &F,
        stop: &Stop<E>,
    ) -> Option<T>
    where
        F: AsyncFn(Core) -> Result<T, E>,
    {
        let runtime = match self.prepare(index) {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = report.send(Report { index, ready: Err(error) });
                return None;
            }
        };
        let _ = report.send(Report { index, ready: Ok(runtime.handle().clone()) });
        drop(report);
        let core = go.recv().ok()?;
        // The state that a panic may leave inconsistent belongs to the caller, who is told of the panic.
        let result = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(UntilStopped::new(async { main(core).await }, stop, index))
        }));
        let output = match result {
            Ok(None) => None,
            Ok(Some(Ok(output))) => Some(output),
            Ok(Some(Err(error))) => {
                stop.raise(CoreError::failed(index, error));
                None
            }
            Err(payload) => {
                stop.raise(CoreError::panic(index, payload));
                None
            }
        };
        // The tasks of the runtime are dropped here. The output is already safe.
        drop(runtime);
        output
    }

    /// Pins the thread, and then makes its runtime, so that the runtime's memory is allocated near that CPU.
    fn prepare(&self, index: usize) -> io::Result<Runtime> {
        let mut builder = self.builder.clone();
        builder.name(format!("{}-{index}", self.name));
        if let Some(cpu) = self.cpu(index) {
            affinity::allow(&[cpu]).map_err(|error| {
                io::Error::new(error.kind(), format!("the thread cannot be pinned to CPU {cpu}: {error}"))
            })?;
            // The threads of the blocking pool inherit the one CPU, and would compete with the loop for it. Careful: a
            // thread whose restriction cannot be lifted still does its work.
            let allowed = self.allowed.to_vec();
            builder.before_thread_start(move || drop(affinity::allow(&allowed)));
        }
        builder.build()
    }
}
