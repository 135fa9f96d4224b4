//! The park state: one atomic word by which other threads and the loop agree on who wakes the loop.
//!
//! A sender first puts its message into the inbox, and then calls [`notify`](ParkState::notify). Before the loop
//! waits, it calls [`park`](ParkState::park). Every change of the word is one atomic step:
//!
//! ```text
//!             park                notify: break the wait
//!    EMPTY ─────────────────► PARKED ───────────────────► NOTIFIED
//!      ▲ │ ◄─────────────────                              ▲ │
//!      │ │      unpark                notify               │ │
//!      │ └─────────────────────────────────────────────────┘ │
//!      └─────────────────────────────────────────────────────┘
//!                          begin_drain
//! ```
//!
//! No wake is lost: the loop parks only from `EMPTY`, so it never waits while there are messages. The sender that
//! changes `PARKED` to `NOTIFIED` breaks the wait, so exactly one sender does. The model at the foot of this file is
//! checked with loom.
//!
//! This file knows neither the inbox nor what breaks the wait.

#[cfg(all(test, runtime_loom))]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(all(test, runtime_loom)))]
use std::sync::atomic::{AtomicU8, Ordering};

/// The state of the loop, as the threads that send messages to it see it.
pub(super) struct ParkState(AtomicU8);

/// The loop is awake, and has no message.
const EMPTY: u8 = 0;
/// The loop waits for events.
const PARKED: u8 = 1;
/// There are messages that the loop has not taken out of the inbox yet.
const NOTIFIED: u8 = 2;

impl ParkState {
    pub(super) fn new() -> ParkState {
        ParkState(AtomicU8::new(EMPTY))
    }

    /// Announces a message. Returns `true` if the loop waits, so that the caller has to break the wait.
    pub(super) fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }

    /// Called before the loop waits. Returns `false` if there are messages: then the loop must not wait.
    pub(super) fn park(&self) -> bool {
        self.0.compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Called after the loop has waited. If a message has ended the wait, the state stays at `NOTIFIED`.
    pub(super) fn unpark(&self) {
        let _ = self.0.compare_exchange(PARKED, EMPTY, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Returns whether a message has been announced since the inbox was drained.
    pub(super) fn has_messages(&self) -> bool {
        self.0.load(Ordering::Relaxed) == NOTIFIED
    }

    /// Returns whether the caller has to drain the inbox.
    ///
    /// The state is reset before the inbox is drained: a message that arrives in between is either taken out now, or
    /// announced again.
    pub(super) fn begin_drain(&self) -> bool {
        self.has_messages() && self.0.swap(EMPTY, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, runtime_loom))]
mod model {
    use super::ParkState;
    use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use loom::sync::{Arc, Condvar, Mutex};

    /// Two threads send a message each to a loop that waits whenever it may. In every interleaving the loop receives
    /// both. The condition variable plays the role of the selector, which keeps an event until it is fetched.
    #[test]
    fn no_message_is_left_while_the_loop_waits() {
        loom::model(|| {
            let shared = Arc::new((ParkState::new(), AtomicUsize::new(0), Mutex::new(false), Condvar::new()));
            for _ in 0..2 {
                let shared = shared.clone();
                loom::thread::spawn(move || {
                    let (park_state, inbox, event, arrival) = &*shared;
                    inbox.fetch_add(1, SeqCst);
                    if park_state.notify() {
                        *event.lock().unwrap() = true;
                        arrival.notify_one();
                    }
                });
            }
            let (park_state, inbox, event, arrival) = &*shared;
            let mut received = 0;
            while received < 2 {
                if park_state.begin_drain() {
                    received += inbox.swap(0, SeqCst);
                } else if park_state.park() {
                    let mut event = event.lock().unwrap();
                    while !*event {
                        event = arrival.wait(event).unwrap();
                    }
                    *event = false;
                    park_state.unpark();
                }
            }
        });
    }
}
