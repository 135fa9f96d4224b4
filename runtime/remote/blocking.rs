//! The blocking pool: the threads of `spawn_blocking`, which run calls that would block the loop.
//!
//! A job is a call for a thread of the pool. No thread runs until there is a job. A new thread is started whenever
//! more jobs wait than threads are idle, up to a limit, and a thread that has been idle for some time ends. When the
//! runtime is dropped, it does not wait for a job in progress: the thread finishes the job and ends. Jobs that have
//! not begun are dropped, and their join handles return a cancellation. Only writes to files are waited for
//! (`writes.rs`).
//!
//! Look-ups of host names have a limit of their own. A resolver that gets no answer blocks its thread for many
//! seconds. Without the limit, a program that connects to many hosts would have all its threads wait for the resolver,
//! and no other job would run. Operations on files have another limit, for a disk that does not answer. Jobs above the
//! limit of their class wait in a queue of their own. When another job of the class ends, the first of them is put at
//! the end of the queue of all jobs.

use crate::runtime::selector::Process;
use crate::runtime::unwind::{self, Contained};
use crate::runtime::writes::Writes;
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

/// The kinds of jobs that differ in how many of them may run at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// A call of the user's. Only the number of threads limits them.
    Call,
    /// A look-up of a host name.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    LookUp,
    /// An operation on a path.
    #[cfg_attr(not(feature = "fs"), allow(dead_code))]
    File,
    /// The operations of an open file, which counts as one operation on a path. Writes that were accepted may be among
    /// them, so the job is run even if the pool is closed.
    #[cfg_attr(not(feature = "fs"), allow(dead_code))]
    OpenFile,
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

/// The share of the threads that operations on files may take: one in two.
const FILE_SHARE: usize = 2;

/// Returns the maximum number of operations on files that run at once. If there are enough threads, one is left to
/// other calls even while all permitted look-ups and operations on files are in progress.
fn max_files(max_threads: usize) -> usize {
    (max_threads / FILE_SHARE).min(max_threads.saturating_sub(max_look_ups(max_threads) + 1)).max(1)
}

/// The queues of jobs, and the threads that run them.
pub(crate) struct Pool {
    max_threads: usize,
    keep_alive: Duration,
    threads: Threads,
    /// The process that the threads belong to. In a forked child there is no such thread, and no job is run any more.
    process: Process,
    /// The writes to files that are not finished.
    pub(crate) writes: Writes,
    state: Mutex<State>,
    /// Notified when a job arrives, or when the pool is closed.
    work: Condvar,
    /// Notified when a thread has ended.
    thread_end: Condvar,
}

#[derive(Default)]
struct State {
    /// The jobs to run.
    jobs: VecDeque<(Job, Class)>,
    look_ups: Limited,
    files: Limited,
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
    closed: bool,
}

/// The jobs of a class with a limit of its own.
#[derive(Default)]
struct Limited {
    limit: usize,
    /// The number of jobs of the class that are among the jobs of the pool or in progress.
    begun: usize,
    /// The jobs that wait until this number falls below the limit.
    waiting: VecDeque<(Job, Class)>,
}

impl Pool {
    pub(crate) fn new(max_threads: usize, keep_alive: Duration, threads: Threads) -> Arc<Pool> {
        let (work, thread_end) = (Condvar::new(), Condvar::new());
        let limited = |limit| Limited { limit, ..Limited::default() };
        let (look_ups, files) = (limited(max_look_ups(max_threads)), limited(max_files(max_threads)));
        Arc::new(Pool {
            max_threads,
            keep_alive,
            threads,
            process: Process::current(),
            writes: Writes::new(),
            state: Mutex::new(State { look_ups, files, ..State::default() }),
            work,
            thread_end,
        })
    }

    /// Has a thread run `job`, as soon as fewer jobs of its class run than may. If the pool has been closed, or in a
    /// forked child, the job is dropped; only operations of open files are run in a closed pool.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no thread and none can be started. The job is dropped.
    pub(crate) fn spawn(self: &Arc<Pool>, class: Class, job: Job) -> io::Result<()> {
        if !self.process.is_current() {
            unwind::drop(job);
            return Ok(());
        }
        let mut state = self.lock();
        if state.closed && class != Class::OpenFile {
            drop(state);
            unwind::drop(job);
            return Ok(());
        }
        state.active += 1;
        if let Some(limited) = state.limited(class) {
            if limited.begun >= limited.limit {
                limited.waiting.push_back((job, class));
                return Ok(());
            }
            limited.begun += 1;
        }
        state.jobs.push_back((job, class));
        if state.jobs.len() <= state.idle || state.threads >= self.max_threads {
            // Released first: the thread that wakes up takes the lock at once.
            drop(state);
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
        let jobs = state.take(false);
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
        let jobs = state.take(true);
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
            while let Some((job, class)) = state.jobs.pop_front() {
                drop(state);
                unwind::contain(job);
                state = self.lock();
                state.active -= 1;
                state.end(class);
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

    // Inlined, it would make every program larger, and a job costs far more than the call.
    #[inline(never)]
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs and none is dropped under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn limited(&mut self, class: Class) -> Option<&mut Limited> {
        match class {
            Class::Call => None,
            Class::LookUp => Some(&mut self.look_ups),
            Class::File | Class::OpenFile => Some(&mut self.files),
        }
    }

    /// Notes the end of a job. The next job of its class that waits is queued in its place.
    fn end(&mut self, class: Class) {
        let Some(limited) = self.limited(class) else { return };
        match limited.waiting.pop_front() {
            Some(job) => self.jobs.push_back(job),
            None => limited.begun -= 1,
        }
    }

    /// Takes out all jobs that have not begun, or all but the operations of open files.
    fn take(&mut self, leaves_open_files: bool) -> Vec<(Job, Class)> {
        let mut taken = Vec::new();
        // First those that wait, so that no job which is to be taken out begins in the place of another.
        take_from(&mut self.look_ups.waiting, leaves_open_files, &mut taken);
        take_from(&mut self.files.waiting, leaves_open_files, &mut taken);
        let waiting = taken.len();
        take_from(&mut self.jobs, leaves_open_files, &mut taken);
        taken[waiting..].iter().for_each(|job| self.end(job.1));
        self.active -= taken.len();
        taken
    }
}

fn take_from(queue: &mut VecDeque<(Job, Class)>, leaves_open_files: bool, taken: &mut Vec<(Job, Class)>) {
    for _ in 0..queue.len() {
        match queue.pop_front() {
            Some(job) if leaves_open_files && job.1 == Class::OpenFile => queue.push_back(job),
            Some(job) => taken.push(job),
            None => {}
        }
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
        pool.spawn(Class::Call, Box::new(move || sender.send(()).unwrap())).unwrap();
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
            pool.spawn(Class::Call, Box::new(move || sender.send(round).unwrap())).unwrap();
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
            pool.spawn(Class::Call, Box::new(job)).unwrap();
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
            pool.spawn(Class::LookUp, Box::new(resolve)).unwrap();
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
                pool.spawn(Class::Call, Box::new(move || sender.send(round).unwrap())).unwrap();
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
            assert_eq!((state.threads, state.active, state.look_ups.begun), (0, 0, 0));
        }
    }

    #[test]
    fn look_ups_and_files_that_get_no_answer_leave_a_thread_to_other_calls() {
        for threads in [6, 8, 9, 40].into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
            let pool = pool(threads, LONG);
            let (begun, has_begun) = mpsc::channel();
            let (answer, answered) = mpsc::channel::<()>();
            let answered = Arc::new(Mutex::new(answered));
            for class in [Class::LookUp, Class::File] {
                for _ in 0..threads {
                    let (begun, answered) = (begun.clone(), answered.clone());
                    let stuck = move || {
                        begun.send(class).unwrap();
                        answered.lock().unwrap().recv().unwrap_err();
                    };
                    pool.spawn(class, Box::new(stuck)).unwrap();
                }
            }
            let (look_ups, files) = (max_look_ups(threads), max_files(threads));
            assert!(look_ups + files < threads && files >= 1);
            let begun: Vec<Class> =
                (0..look_ups + files).map(|_| has_begun.recv_timeout(LONG).unwrap()).collect();
            assert_eq!(begun.iter().filter(|class| **class == Class::File).count(), files);
            let (sender, receiver) = mpsc::channel();
            pool.spawn(Class::Call, Box::new(move || sender.send(()).unwrap())).unwrap();
            assert_eq!(receiver.recv_timeout(LONG), Ok(()), "{threads} threads");
            assert!(has_begun.try_recv().is_err(), "the others wait");
            pool.close();
            drop(answer);
            pool.wait_until_empty(LONG);
            let state = pool.lock();
            assert_eq!((state.threads, state.active), (0, 0));
            assert_eq!((state.look_ups.begun, state.files.begun), (0, 0));
        }
    }

    #[test]
    fn one_thread_does_everything() {
        let pool = pool(1, LONG);
        let (has_begun, answer) = slow_look_ups(&pool, 3);
        let (sender, receiver) = mpsc::channel();
        pool.spawn(Class::Call, Box::new(move || sender.send(()).unwrap())).unwrap();
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
    fn closing_drops_no_operations_of_open_files() {
        let pool = pool(6, LONG);
        let (release, released) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        let released = Arc::new(Mutex::new(released));
        // One of six threads is for files. The first operation holds it up.
        for number in 0..4 {
            let (sender, released) = (sender.clone(), released.clone());
            let class = if number % 2 == 0 { Class::OpenFile } else { Class::File };
            let job = move || {
                released.lock().unwrap().recv().unwrap_err();
                sender.send(number).unwrap();
            };
            pool.spawn(class, Box::new(job)).unwrap();
        }
        pool.close();
        let late = sender.clone();
        pool.spawn(Class::OpenFile, Box::new(move || late.send(4).unwrap())).unwrap();
        pool.spawn(Class::File, Box::new(move || sender.send(5).unwrap())).unwrap();
        drop(release);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [0, 2, 4]);
        pool.wait_until_empty(LONG);
        let state = pool.lock();
        assert_eq!((state.threads, state.active, state.files.begun), (0, 0, 0));
    }

    #[test]
    fn closing_drops_what_has_not_begun() {
        let pool = pool(1, Duration::from_secs(10));
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        pool.spawn(
            Class::Call,
            Box::new(move || {
                begun.send(()).unwrap();
                released.recv().unwrap();
            }),
        )
        .unwrap();
        has_begun.recv().unwrap();
        let (sender, receiver) = mpsc::channel::<()>();
        pool.spawn(Class::Call, Box::new(move || sender.send(()).unwrap())).unwrap();
        pool.close();
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
        release.send(()).unwrap();
        pool.wait_until_empty(Duration::from_secs(10));
        assert_eq!(pool.lock().threads, 0);
    }
}
