//! The state of one watch: whether the runtime of a socket watches a direction for threads that have no runtime.
//!
//! A thread without a runtime tries an operation. If the operation would block, the thread asks the socket's runtime to
//! watch the direction, and tries once more when the runtime has begun to watch. The watch ends with the first event,
//! and the waiters are woken to try again:
//!
//! ```text
//!             failed: ask                     begin: wake the waiters
//!    NONE ─────────────────────► ASKED ────────────────────────────► WATCHING
//!      ▲                           │                                     │
//!      └───────────────────────────┴─────────────────────────────────────┘
//!               end: there was an event, or the runtime cannot watch; wake the waiters
//! ```
//!
//! No wake is lost: a caller waits only if the runtime has watched since before the latest attempt, or if a wake is
//! still to come. A runtime that watches reports whatever happens after that attempt. So it does not matter what the
//! reactor knew of the direction before. The model at the foot of this file is checked with loom.
//!
//! This file knows neither wakers nor the runtime. Its methods are called under a lock.

/// The watch of one direction.
pub(super) struct Watch {
    /// The number of the latest watch. Messages about an earlier one have no effect.
    number: u64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    None,
    Asked,
    Watching,
}

/// The next step of a caller whose operation would block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Leave a waker and wait.
    Wait,
    /// Leave a waker, ask the runtime for the watch with this number, and wait.
    Ask(u64),
    /// Try again, because the runtime has begun to watch since the attempt began.
    TryAgain,
}

impl Watch {
    pub(super) const fn new() -> Watch {
        Watch { number: 0, stage: Stage::None }
    }

    /// Returns the number of the watch that is in place, or zero. Call this before an operation is tried.
    pub(super) fn present(&self) -> u64 {
        if self.stage == Stage::Watching { self.number } else { 0 }
    }

    /// Decides what follows an operation that would block. `before` is what [`present`](Watch::present) returned before
    /// the operation was tried.
    pub(super) fn failed(&mut self, before: u64) -> Next {
        match self.stage {
            Stage::Asked => Next::Wait,
            Stage::Watching if self.number == before => Next::Wait,
            Stage::Watching => Next::TryAgain,
            Stage::None => {
                self.number += 1;
                self.stage = Stage::Asked;
                Next::Ask(self.number)
            }
        }
    }

    /// Notes that the runtime watches now. Returns true if the waiters have to be woken.
    pub(super) fn begin(&mut self, number: u64) -> bool {
        let is_asked = self.number == number && self.stage == Stage::Asked;
        if is_asked {
            self.stage = Stage::Watching;
        }
        is_asked
    }

    /// Notes that the runtime no longer watches. Returns true if the waiters have to be woken.
    pub(super) fn end(&mut self, number: u64) -> bool {
        let ends = self.number == number && self.stage != Stage::None;
        if ends {
            self.stage = Stage::None;
        }
        ends
    }
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_watch_serves_all_waiters_until_it_ends() {
        let mut watch = Watch::new();
        assert_eq!((watch.present(), watch.failed(0)), (0, Next::Ask(1)));
        assert_eq!(watch.failed(0), Next::Wait, "the runtime has been asked already");
        assert!(watch.begin(1) && !watch.begin(1));
        assert_eq!(watch.failed(0), Next::TryAgain, "the attempt was made before the runtime watched");
        assert_eq!((watch.present(), watch.failed(1)), (1, Next::Wait));
        assert!(watch.end(1) && !watch.end(1));
        assert_eq!(watch.failed(1), Next::Ask(2), "what the earlier watch has seen is over");
    }

    #[test]
    fn messages_about_an_earlier_watch_have_no_effect() {
        let mut watch = Watch::new();
        assert_eq!(watch.failed(0), Next::Ask(1));
        assert!(watch.end(1), "the runtime has gone");
        assert!(!watch.begin(1));
        assert_eq!(watch.failed(0), Next::Ask(2));
        assert!(!watch.begin(1) && !watch.end(1) && watch.begin(2));
    }
}

#[cfg(all(test, runtime_loom))]
mod model {
    use super::{Next, Watch};
    use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use loom::sync::{Arc, Condvar, Mutex};

    /// The number of threads without a runtime that wait for the same direction.
    const THREADS: usize = 2;

    /// The events that the loop of the home waits for.
    #[derive(Default)]
    struct Loop {
        /// The watch that a thread has asked for.
        asked: Option<u64>,
        /// The kernel has reported an edge.
        has_edge: bool,
        is_stopped: bool,
    }

    struct Shared {
        /// The socket: a peer makes it ready once. `EAGAIN` until then.
        is_ready: AtomicBool,
        /// The watch, and which threads have left a waker.
        watch: Mutex<(Watch, [bool; THREADS])>,
        /// Which threads have been woken.
        woken: [(Mutex<bool>, Condvar); THREADS],
        home: (Mutex<Loop>, Condvar),
    }

    impl Shared {
        /// Takes the wakers, if the watch says so, and wakes the threads.
        fn change(&self, change: impl FnOnce(&mut Watch) -> bool) {
            let mut watch = self.watch.lock().unwrap();
            let woken = if change(&mut watch.0) { std::mem::take(&mut watch.1) } else { [false; THREADS] };
            drop(watch);
            for (is_woken, (woken, wake)) in woken.into_iter().zip(&self.woken) {
                if is_woken {
                    *woken.lock().unwrap() = true;
                    wake.notify_one();
                }
            }
        }

        fn tell_home(&self, message: impl FnOnce(&mut Loop)) {
            message(&mut self.home.0.lock().unwrap());
            self.home.1.notify_one();
        }

        /// A thread without a runtime: polls until the operation succeeds.
        fn poll_until_ready(&self, thread: usize) {
            loop {
                let before = self.watch.lock().unwrap().0.present();
                if self.is_ready.load(SeqCst) {
                    return;
                }
                let mut watch = self.watch.lock().unwrap();
                let next = watch.0.failed(before);
                if next == Next::TryAgain {
                    continue;
                }
                watch.1[thread] = true;
                drop(watch);
                if let Next::Ask(number) = next {
                    self.tell_home(|home| home.asked = Some(number));
                }
                let (woken, wake) = &self.woken[thread];
                let mut woken = woken.lock().unwrap();
                while !*woken {
                    woken = wake.wait(woken).unwrap();
                }
                *woken = false;
            }
        }

        /// The loop of the home. It begins the watches that it is asked for, and ends a watch when an edge is reported.
        /// Nobody hears of an edge that is reported while there is no watch.
        fn turn_until_stopped(&self) {
            let mut watching = None;
            loop {
                let mut home = self.home.0.lock().unwrap();
                while home.asked.is_none() && !home.has_edge && !home.is_stopped {
                    home = self.home.1.wait(home).unwrap();
                }
                if home.is_stopped {
                    return;
                }
                let (asked, has_edge) = (home.asked.take(), std::mem::take(&mut home.has_edge));
                drop(home);
                if has_edge && let Some(number) = watching.take() {
                    self.change(|watch| watch.end(number));
                }
                if let Some(number) = asked {
                    watching = Some(number);
                    self.change(|watch| watch.begin(number));
                }
            }
        }
    }

    /// A peer makes the socket ready at any moment, and the edge is reported once. In every interleaving both threads
    /// finish: otherwise loom reports a deadlock. The number of preemptions is limited, so that the model stays small;
    /// the faults that the state machine prevents need one.
    #[test]
    fn no_readiness_is_missed_between_the_attempt_and_the_watch() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let shared = Arc::new(Shared {
                is_ready: AtomicBool::new(false),
                watch: Mutex::new((Watch::new(), [false; THREADS])),
                woken: std::array::from_fn(|_| Default::default()),
                home: Default::default(),
            });
            let threads: [_; THREADS] = std::array::from_fn(|thread| {
                let shared = shared.clone();
                loom::thread::spawn(move || shared.poll_until_ready(thread))
            });
            let home = shared.clone();
            loom::thread::spawn(move || home.turn_until_stopped());
            shared.is_ready.store(true, SeqCst);
            shared.tell_home(|home| home.has_edge = true);
            for thread in threads {
                thread.join().unwrap();
            }
            shared.tell_home(|home| home.is_stopped = true);
        });
    }
}
