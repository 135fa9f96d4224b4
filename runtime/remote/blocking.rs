//! The pool of threads behind `spawn_blocking`: for calls that block, which the loop must not make.
//!
//! No thread runs until there is a call to make; then one is started whenever more calls wait than
//! threads, up to a cap, and a thread that has been idle for a while leaves. The runtime's end does
//! not wait for a call that is under way: its thread finishes it and leaves. Calls that have not
//! begun are dropped, and their join handles report a cancellation.
//!
//! Look-ups of names have a cap of their own. A resolver that gets no answer keeps its thread for many seconds, and
//! a program that connects to many hosts would have all its threads wait for that, and no call beside them. Look-ups
//! above their cap wait in a queue of their own, and come behind the other jobs when one has ended.

use crate::runtime::selector::Process;
use crate::runtime::unwind::{self, Contained};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A call, with the way its result takes. Dropped without being made, it reports that.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// What a thread calls when it begins and before it ends; what the loop calls around its sleep.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn Fn() + Send + Sync>);

impl Hook {
    pub(crate) fn new(call: impl Fn() + Send + Sync + 'static) -> Hook {
        // Dropped by whichever thread holds it last.
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

/// How the threads are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    pub(crate) name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_start: Option<Hook>,
    pub(crate) on_stop: Option<Hook>,
}

/// Look-ups of names take one of so many threads at most: the others are left to calls that end by themselves, such
/// as reading a file.
const LOOK_UP_SHARE: usize = 4;

/// But they take at least so many, as long as there is one more: a few names that are slow keep others waiting less.
const LEAST_LOOK_UPS: usize = 4;

/// Returns how many look-ups of names may be under way at once. One thread serves everything.
fn max_look_ups(max_threads: usize) -> usize {
    (max_threads / LOOK_UP_SHARE).max(LEAST_LOOK_UPS).min(max_threads.saturating_sub(1)).max(1)
}

/// The calls that block, and the threads that make them.
pub(crate) struct Pool {
    max_threads: usize,
    max_look_ups: usize,
    keep_alive: Duration,
    threads: Threads,
    /// Whose threads they are. In a child of it there is none, and no call is made any more.
    process: Process,
    state: Mutex<State>,
    /// A job has come, or the pool is closed.
    work: Condvar,
    /// A thread has left.
    departure: Condvar,
}

#[derive(Default)]
struct State {
    /// Jobs to be made, and whether each is a look-up.
    jobs: VecDeque<(Job, bool)>,
    /// Look-ups that wait until there are fewer of them among the jobs and under way.
    look_ups: VecDeque<Job>,
    /// Threads that may take a job.
    threads: usize,
    /// Threads that take none any more, and have yet to call their last hook.
    leaving: usize,
    /// Threads that wait for work. One that was notified counts until it has taken its job, which
    /// is still in `jobs` till then: so a job needs a new thread just if there are more jobs than this.
    idle: usize,
    /// Jobs in the queues or under way.
    active: usize,
    /// Look-ups among the jobs or under way.
    looking_up: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(max_threads: usize, keep_alive: Duration, threads: Threads) -> Arc<Pool> {
        let (work, departure) = (Condvar::new(), Condvar::new());
        let max_look_ups = max_look_ups(max_threads);
        Arc::new(Pool {
            max_threads,
            max_look_ups,
            keep_alive,
            threads,
            process: Process::current(),
            state: Mutex::default(),
            work,
            departure,
        })
    }

    /// Has a thread run `job`. After the pool is closed, and in a child of its process, the job is dropped.
    ///
    /// # Errors
    ///
    /// If there is no thread, and none can be started. The job is dropped.
    pub(crate) fn spawn(self: &Arc<Pool>, job: Job) -> io::Result<()> {
        self.spawn_as(job, false)
    }

    /// Has a thread run `job`, which looks up a name. Otherwise as [`spawn`](Pool::spawn).
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
            // One of the others will come to it.
            self.work.notify_one();
            return Ok(());
        }
        let jobs = state.take_all();
        drop(state);
        unwind::drop_each(jobs);
        Err(error)
    }

    /// Whether a job waits or is under way.
    pub(crate) fn is_active(&self) -> bool {
        self.process.is_current() && self.lock().active > 0
    }

    /// Drops the jobs that have not begun, and sends idle threads home.
    pub(crate) fn close(&self) {
        // In a child a thread that is not there may hold it.
        let state = if self.process.is_current() { Some(self.lock()) } else { self.state.try_lock().ok() };
        let Some(mut state) = state else { return };
        state.closed = true;
        let jobs = state.take_all();
        drop(state);
        self.work.notify_all();
        unwind::drop_each(jobs);
    }

    /// After [`close`](Pool::close): waits until every thread has left, and called its last hook, or the time is up.
    pub(crate) fn wait_until_empty(&self, timeout: Duration) {
        if !self.process.is_current() {
            return;
        }
        let state = self.lock();
        let is_left = |state: &mut State| state.threads + state.leaving > 0;
        let left = self.departure.wait_timeout_while(state, timeout, is_left);
        drop(left);
    }

    fn start_thread(self: &Arc<Pool>) -> io::Result<()> {
        let pool = self.clone();
        let mut thread = thread::Builder::new().name(self.threads.name.clone());
        if let Some(bytes) = self.threads.stack_size {
            thread = thread.stack_size(bytes);
        }
        thread.spawn(move || pool.work()).map(drop)
    }

    /// The life of a thread.
    fn work(&self) {
        // A hook that panics takes no thread along, and so no job.
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
            // None is for ever.
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
        self.departure.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs and none is dropped under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next one that waits takes its place, to be made by this thread in its turn.
    fn end_look_up(&mut self) {
        match self.look_ups.pop_front() {
            Some(job) => self.jobs.push_back((job, true)),
            None => self.looking_up -= 1,
        }
    }

    /// Takes out all that has not begun.
    fn take_all(&mut self) -> Vec<Job> {
        let jobs = std::mem::take(&mut self.jobs);
        self.looking_up -= jobs.iter().filter(|(_, is_look_up)| *is_look_up).count();
        let look_ups = std::mem::take(&mut self.look_ups);
        let all: Vec<Job> = jobs.into_iter().map(|(job, _)| job).chain(look_ups).collect();
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

    /// Look-ups of a resolver that does not answer: what tells how many have begun, and what lets them end, each
    /// with its number.
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

    #[test]
    fn slow_look_ups_of_names_leave_threads_to_other_calls() {
        for (threads, at_once) in [(2, 1), (3, 2), (4, 3), (8, 4), (40, 10)] {
            let pool = pool(threads, LONG);
            let (has_begun, answer) = slow_look_ups(&pool, threads + 5);
            for number in 0..at_once {
                assert_eq!(has_begun.recv_timeout(LONG), Ok(number));
            }
            // Each of these would wait for an answer otherwise.
            let (sender, receiver) = mpsc::channel();
            for round in 0..10 {
                let sender = sender.clone();
                pool.spawn(Box::new(move || sender.send(round).unwrap())).unwrap();
                assert_eq!(receiver.recv_timeout(LONG), Ok(round), "{threads} threads");
            }
            assert!(has_begun.try_recv().is_err(), "no more than {at_once} of {threads}");
            assert!(pool.lock().threads <= threads);
            // Those that wait come in their order, one for each that ends.
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
    }

    #[test]
    fn closing_drops_look_ups_that_wait() {
        let pool = pool(4, LONG);
        let (has_begun, answer) = slow_look_ups(&pool, 10);
        (0..3).for_each(|number| assert_eq!(has_begun.recv_timeout(LONG), Ok(number)));
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
