//! The blocking pool: the threads of `spawn_blocking`, which run calls that would block the loop.
//!
//! A job is a call for a thread of the pool. No thread runs until there is a job. A new thread is started whenever
//! more jobs wait than threads are idle, up to a limit, and a thread that has been idle for some time ends. When the
//! runtime is dropped, it does not wait for a job in progress: the thread finishes the job and ends. Jobs that have
//! not begun are dropped, and their join handles return a cancellation.
//!
//! Look-ups of host names have a limit of their own. A resolver that gets no answer blocks its thread for many
//! seconds. Without the limit, a program that connects to many hosts would have all its threads wait for the resolver,
//! and no other job would run. Look-ups above the limit wait in a queue of their own. When another look-up ends, the
//! first of them is put at the end of the queue of all jobs.

use crate::runtime::selector::Process;
use crate::runtime::unwind::{self, Contained};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A call that sends its result itself. If it is dropped without being made, it reports a cancellation.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A function of the user that a thread of the pool calls when it starts or before it ends, or that the loop calls
/// before or after it sleeps.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn Fn() + Send + Sync>);

impl Hook {
    pub(crate) fn new(call: impl Fn() + Send + Sync + 'static) -> Hook {
        // The last thread that holds it drops it, so a panic of that drop is caught.
        let call = Contained::new(call);
        Hook(Arc::new(move || call.get()()))
    }

    pub(crate) fn call(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// A function of the user's that returns the name of a thread of the pool.
#[derive(Clone)]
pub(crate) struct NameFn(Arc<dyn Fn() -> String + Send + Sync>);

impl NameFn {
    pub(crate) fn new(call: impl Fn() -> String + Send + Sync + 'static) -> NameFn {
        let call = Contained::new(call);
        NameFn(Arc::new(move || call.get()()))
    }

    /// Returns a name that a thread can have, if the function returns one.
    fn call(&self) -> Option<String> {
        let mut name = None;
        unwind::contain(|| name = Some((self.0)()));
        name.filter(|name| !name.contains('\0'))
    }
}

impl fmt::Debug for NameFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameFn")
    }
}

/// The settings of the threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    pub(crate) name: String,
    pub(crate) name_fn: Option<NameFn>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_start: Option<Hook>,
    pub(crate) on_stop: Option<Hook>,
}

/// The share of the threads that look-ups of names may take: one in four. The other threads are left to calls that end
/// by themselves, such as reading a file.
const LOOK_UP_SHARE: usize = 4;

/// The number of threads that look-ups may take in any case, as long as one more thread is left. With several threads,
/// a few slow look-ups delay other look-ups less.
const MIN_LOOK_UPS: usize = 4;

/// Returns the maximum number of look-ups that run at once. If there is only one thread, it runs look-ups as well.
fn max_look_ups(max_threads: usize) -> usize {
    (max_threads / LOOK_UP_SHARE).max(MIN_LOOK_UPS).min(max_threads.saturating_sub(1)).max(1)
}

/// The queues of jobs, and the threads that run them.
pub(crate) struct Pool {
    max_threads: usize,
    max_look_ups: usize,
    keep_alive: Duration,
    threads: Threads,
    /// The process that the threads belong to. In a forked child there is no such thread, and no job is run any more.
    process: Process,
    state: Mutex<State>,
    /// Notified when a job arrives, or when the pool is closed.
    work: Condvar,
    /// Notified when a thread has ended.
    thread_end: Condvar,
}

#[derive(Default)]
struct State {
    /// The jobs to run. The flag says whether a job is a look-up.
    jobs: VecDeque<(Job, bool)>,
    /// The look-ups that wait until fewer look-ups are among the jobs and in progress.
    look_ups: VecDeque<Job>,
    /// The number of threads that may take a job.
    threads: usize,
    /// The number of threads that take no more jobs, but have not yet called the function that the user has set for
    /// their end.
    leaving: usize,
    /// The number of threads that wait for a job. A thread that was notified counts as idle until it has taken its job,
    /// which stays in `jobs` until then. So a new thread is needed if and only if there are more jobs than idle
    /// threads.
    idle: usize,
    /// The number of jobs that are queued or in progress.
    active: usize,
    /// The number of look-ups that are among the jobs or in progress.
    looking_up: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(max_threads: usize, keep_alive: Duration, threads: Threads) -> Arc<Pool> {
        let (work, thread_end) = (Condvar::new(), Condvar::new());
        let max_look_ups = max_look_ups(max_threads);
        Arc::new(Pool {
            max_threads,
            max_look_ups,
            keep_alive,
            threads,
            process: Process::current(),
            state: Mutex::default(),
            work,
            thread_end,
        })
    }

    /// Has a thread run `job`. If the pool has been closed, or in a forked child, the job is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no thread and none can be started. The job is dropped.
    pub(crate) fn spawn(self: &Arc<Pool>, job: Job) -> io::Result<()> {
        self.spawn_as(job, false)
    }

    /// Has a thread run `job`, which looks up a host name. Unlike with [`spawn`](Pool::spawn), the number of such jobs
    /// that run at once is limited.
    #[cfg(any(feature = "net", test))]
    pub(crate) fn spawn_look_up(self: &Arc<Pool>, job: Job) -> io::Result<()> {
        self.spawn_as(job, true)
    }

    fn spawn_as(self: &Arc<Pool>, job: Job, is_look_up: bool) -> io::Result<()> {
        if !self.process.is_current() {
            unwind::drop(job);
            return Ok(());
        }
        let mut state = self.lock();
        if state.closed {
            drop(state);
            unwind::drop(job);
            return Ok(());
        }
        state.active += 1;
        if is_look_up && state.looking_up >= self.max_look_ups {
            state.look_ups.push_back(job);
            return Ok(());
        }
        state.looking_up += usize::from(is_look_up);
        state.jobs.push_back((job, is_look_up));
        if state.jobs.len() <= state.idle || state.threads >= self.max_threads {
            self.work.notify_one();
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let Err(error) = self.start_thread() else {
            return Ok(());
        };
        let mut state = self.lock();
        state.threads -= 1;
        if state.threads > 0 {
            // One of the other threads will run the job.
            self.work.notify_one();
            return Ok(());
        }
        let jobs = state.take_all();
        drop(state);
        unwind::drop_each(jobs);
        Err(error)
    }

    /// Returns whether a job is queued or in progress.
    pub(crate) fn is_active(&self) -> bool {
        self.process.is_current() && self.lock().active > 0
    }

    /// Closes the pool: drops the jobs that have not begun, and lets idle threads end.
    pub(crate) fn close(&self) {
        // In a forked child, a thread that does not exist there may hold the lock.
        let state = if self.process.is_current() { Some(self.lock()) } else { self.state.try_lock().ok() };
        let Some(mut state) = state else { return };
        state.closed = true;
        let jobs = state.take_all();
        drop(state);
        self.work.notify_all();
        unwind::drop_each(jobs);
    }

    /// Waits until every thread has ended and has called the function for its end, but no longer than `timeout`. The
    /// pool has been [closed](Pool::close) before.
    pub(crate) fn wait_until_empty(&self, timeout: Duration) {
        if !self.process.is_current() {
            return;
        }
        let state = self.lock();
        let is_left = |state: &mut State| state.threads + state.leaving > 0;
        let left = self.thread_end.wait_timeout_while(state, timeout, is_left);
        drop(left);
    }

    fn start_thread(self: &Arc<Pool>) -> io::Result<()> {
        let pool = self.clone();
        let name = self.threads.name_fn.as_ref().and_then(NameFn::call);
        let mut thread = thread::Builder::new().name(name.unwrap_or_else(|| self.threads.name.clone()));
        if let Some(bytes) = self.threads.stack_size {
            thread = thread.stack_size(bytes);
        }
        thread.spawn(move || pool.work()).map(drop)
    }

    /// Runs jobs until the thread has been idle for too long, or the pool is closed.
    fn work(&self) {
        // A hook that panics does not end the thread, so no job is lost.
        let call = |hook: &Option<Hook>| hook.iter().for_each(|hook| unwind::contain(|| hook.call()));
        call(&self.threads.on_start);
        let mut state = self.lock();
        loop {
            while let Some((job, is_look_up)) = state.jobs.pop_front() {
                drop(state);
                unwind::contain(job);
                state = self.lock();
                state.active -= 1;
                if is_look_up {
                    state.end_look_up();
                }
            }
            if state.closed {
                break;
            }
            // `None` means forever.
            let until = Instant::now().checked_add(self.keep_alive);
            state.idle += 1;
            while state.jobs.is_empty() && !state.closed {
                let left =
                    until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
                if left.is_zero() {
                    break;
                }
                state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            state.idle -= 1;
            if state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        state.leaving += 1;
        drop(state);
        call(&self.threads.on_stop);
        self.lock().leaving -= 1;
        self.thread_end.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs and none is dropped under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes the end of a look-up. The next one that waits is queued in its place.
    fn end_look_up(&mut self) {
        match self.look_ups.pop_front() {
            Some(job) => self.jobs.push_back((job, true)),
            None => self.looking_up -= 1,
        }
    }

    /// Takes out all jobs that have not begun.
    fn take_all(&mut self) -> Vec<Job> {
        let mut all = Vec::new();
        while let Some((job, is_look_up)) = self.jobs.pop_front() {
            self.looking_up -= usize::from(is_look_up);
            all.push(job);
        }
        while let Some(job) = self.look_ups.pop_front() {
            all.push(job);
        }
        self.active -= all.len();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn pool(max_threads: usize, keep_alive: Duration) -> Arc<Pool> {
        Pool::new(max_threads, keep_alive, Threads { name: "pool".to_owned(), ..Threads::default() })
    }

    #[test]
    fn an_idle_pool_has_no_thread_and_an_idle_thread_leaves() {
        let pool = pool(4, Duration::from_millis(1));
        assert_eq!(pool.lock().threads, 0);
        let (sender, receiver) = mpsc::channel();
        pool.spawn(Box::new(move || sender.send(()).unwrap())).unwrap();
        receiver.recv().unwrap();
        pool.wait_until_empty(Duration::from_secs(10));
        let state = pool.lock();
        assert_eq!((state.threads, state.idle, state.active), (0, 0, 0));
    }

    #[test]
    fn no_job_is_lost_between_an_idle_thread_and_its_leaving() {
        let pool = pool(2, Duration::from_nanos(1));
        let (sender, receiver) = mpsc::channel();
        for round in 0..if cfg!(miri) { 50 } else { 20_000 } {
            let sender = sender.clone();
            pool.spawn(Box::new(move || sender.send(round).unwrap())).unwrap();
            assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok(round));
        }
        pool.wait_until_empty(Duration::from_secs(10));
    }

    #[test]
    fn the_cap_holds_and_every_job_is_run() {
        let pool = pool(3, Duration::from_secs(10));
        let (sender, receiver) = mpsc::channel();
        for _ in 0..100 {
            let (sender, counted) = (sender.clone(), pool.clone());
            let job = move || sender.send(counted.lock().threads).unwrap();
            pool.spawn(Box::new(job)).unwrap();
        }
        drop(sender);
        let threads: Vec<usize> = receiver.iter().collect();
        assert_eq!(threads.len(), 100);
        assert!(threads.iter().all(|threads| *threads <= 3));
        pool.close();
        pool.wait_until_empty(Duration::from_secs(10));
    }

    /// Spawns look-ups for which the resolver does not answer. Returns a channel that says which of them have begun,
    /// by number, and one that lets them end.
    fn slow_look_ups(pool: &Arc<Pool>, count: usize) -> (mpsc::Receiver<usize>, mpsc::Sender<()>) {
        let (begun, has_begun) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        let answered = Arc::new(Mutex::new(answered));
        for number in 0..count {
            let (begun, answered) = (begun.clone(), answered.clone());
            let resolve = move || {
                begun.send(number).unwrap();
                answered.lock().unwrap().recv().unwrap();
            };
            pool.spawn_look_up(Box::new(resolve)).unwrap();
        }
        (has_begun, answer)
    }

    const LONG: Duration = Duration::from_secs(10);

    /// Receives the numbers of the calls that have begun. They begin in order, but each on a thread of its own, so their
    /// messages may come in another order.
    fn first(has_begun: &mpsc::Receiver<usize>, count: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..count).map(|_| has_begun.recv_timeout(LONG).unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn slow_look_ups_of_names_leave_threads_to_other_calls() {
        let cases: &[(usize, usize)] = &[(2, 1), (3, 2), (4, 3), (8, 4), (40, 10)];
        // An interpreter takes long for so many threads.
        for &(threads, at_once) in if cfg!(miri) { &cases[..3] } else { cases } {
            let pool = pool(threads, LONG);
            let (has_begun, answer) = slow_look_ups(&pool, threads + 5);
            assert_eq!(first(&has_begun, at_once), (0..at_once).collect::<Vec<_>>());
            // Without the limit, each of these would wait for an answer.
            let (sender, receiver) = mpsc::channel();
            for round in 0..10 {
                let sender = sender.clone();
                pool.spawn(Box::new(move || sender.send(round).unwrap())).unwrap();
                assert_eq!(receiver.recv_timeout(LONG), Ok(round), "{threads} threads");
            }
            assert!(has_begun.try_recv().is_err(), "no more than {at_once} of {threads}");
            assert!(pool.lock().threads <= threads);
            // The waiting look-ups begin in their order, one for each that ends.
            for number in at_once..threads + 5 {
                answer.send(()).unwrap();
                assert_eq!(has_begun.recv_timeout(LONG), Ok(number));
            }
            (0..at_once).for_each(|_| answer.send(()).unwrap());
            pool.close();
            pool.wait_until_empty(LONG);
            let state = pool.lock();
            assert_eq!((state.threads, state.active, state.looking_up), (0, 0, 0));
        }
    }

    #[test]
    fn one_thread_does_everything() {
        let pool = pool(1, LONG);
        let (has_begun, answer) = slow_look_ups(&pool, 3);
        let (sender, receiver) = mpsc::channel();
        pool.spawn(Box::new(move || sender.send(()).unwrap())).unwrap();
        for number in 0..3 {
            assert_eq!(has_begun.recv_timeout(LONG), Ok(number));
            answer.send(()).unwrap();
        }
        assert_eq!(receiver.recv_timeout(LONG), Ok(()));
        pool.close();
        pool.wait_until_empty(LONG);
    }

    #[test]
    fn closing_drops_look_ups_that_wait() {
        let pool = pool(4, LONG);
        let (has_begun, answer) = slow_look_ups(&pool, 10);
        assert_eq!(first(&has_begun, 3), [0, 1, 2]);
        pool.close();
        assert!(pool.is_active());
        (0..3).for_each(|_| answer.send(()).unwrap());
        pool.wait_until_empty(LONG);
        assert!(has_begun.recv_timeout(LONG).is_err(), "the others were dropped");
        assert!(!pool.is_active());
    }

    #[test]
    fn closing_drops_what_has_not_begun() {
        let pool = pool(1, Duration::from_secs(10));
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        pool.spawn(Box::new(move || {
            begun.send(()).unwrap();
            released.recv().unwrap();
        }))
        .unwrap();
        has_begun.recv().unwrap();
        let (sender, receiver) = mpsc::channel::<()>();
        pool.spawn(Box::new(move || sender.send(()).unwrap())).unwrap();
        pool.close();
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
        release.send(()).unwrap();
        pool.wait_until_empty(Duration::from_secs(10));
        assert_eq!(pool.lock().threads, 0);
    }
}
