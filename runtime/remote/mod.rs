//! What other threads may touch of a runtime: its inbox, its notifier, and the list of all runtimes.
//!
//! A wake from another thread leaves the slot's number in the inbox and, if the loop is asleep,
//! breaks its wait. An awake loop looks into its inbox once per turn, so that it needs no notice:
//! there is at most one write per sleep.
//!
//! Other threads cannot flood the loop. The inbox holds each slot at most once, and each abort. The loop takes
//! out a bounded portion at a time; a thread that sends more tasks than it comes to is made to wait.
//!
//! A waker knows only the number of its runtime. It finds the rest in the [registry](crate::runtime::remote::registry), and
//! nothing there once the runtime has gone. Descriptors are closed with the runtime although handles may
//! keep a `Remote` alive: whoever is just using one holds it by `Arc`, so that no number is
//! written to after it may have been given away.
//!
//! # Why no wake is lost
//!
//! One word says how things stand, and every change of it is one atomic step:
//!
//! ```text
//!             park                notify: notify
//!    EMPTY ─────────────────► PARKED ───────────────────► NOTIFIED
//!      ▲ ▲ ◄─────────────────                              ▲ │
//!      │ │      unpark                notify                │ │
//!      │ └──────────────────────────────────────────────── ┘ │
//!      └─────────────────────────────────────────────────────┘
//!                          drain_inbox
//! ```
//!
//! A sender first puts its letter into the inbox, then notifies. The loop falls asleep only from
//! `EMPTY`, so never over batch; and whoever turns `PARKED` into `NOTIFIED` notifies, so exactly one does.
//! The model at the foot of this file is checked with loom.

pub(crate) mod blocking;
pub(crate) mod blocking_call;
pub(crate) mod registry;
mod sync;

use crate::runtime::id::{Id, RuntimeId};
pub(crate) use crate::runtime::remote::registry::{find, wake};
use crate::runtime::remote::sync::atomic::{AtomicU8, Ordering};
use crate::runtime::selector::{self, Kind, Notifier, Process, Selector};
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// A call that another thread asks the runtime's thread to make.
pub(crate) type Call = Box<dyn FnOnce() + Send>;

/// The part of a runtime that other threads may touch.
pub(crate) struct Remote {
    id: RuntimeId,
    /// In a child of it, the runtime is gone: see [`Process`].
    process: Process,
    selector: Kind,
    park_state: ParkState,
    inbox: Mutex<Inbox>,
    /// There is room among the calls again.
    room: Condvar,
    /// The loop is turning.
    is_running: AtomicBool,
}

/// With this many calls in the inbox it is full for [senders that can wait](Remote::call_when_room).
const CALLS_FULL: usize = 1024;

/// With this many left, senders that wait go on. They are woken for many calls at once.
const CALLS_RESUME: usize = CALLS_FULL / 2;

/// The longest wait of a sender: what holds the loop up may be the very sender, by a lock of the user's.
const MAX_SENDER_WAIT: Duration = Duration::from_millis(1);

/// What other threads have left. `descriptors` is gone once the runtime is.
struct Inbox {
    wakes: Wakes,
    aborts: Aborts,
    calls: VecDeque<Call>,
    /// Senders that wait for room among the calls.
    blocked_senders: usize,
    descriptors: Option<Arc<Descriptors>>,
}

struct Descriptors {
    notifier: Notifier,
    selector: selector::Deregistrar,
}

/// What the loop takes out of its inbox at once.
#[derive(Default)]
pub(crate) struct InboxBatch {
    /// The future of `block_on` was woken.
    pub(crate) main: bool,
    /// The slots of tasks that were woken, in order.
    pub(crate) slots: Vec<u32>,
    /// The slots and serial numbers of tasks that are to end.
    pub(crate) aborts: Vec<(u32, u64)>,
    /// Calls to make, in order.
    pub(crate) calls: Vec<Call>,
}

impl Remote {
    /// Numbers a new runtime, and makes it known to its wakers.
    ///
    /// # Errors
    ///
    /// When there are 65,535 runtimes already.
    pub(crate) fn new(selector: &Selector) -> io::Result<Arc<Remote>> {
        let process = Process::counted()?;
        let descriptors =
            Descriptors { notifier: selector.notifier(), selector: selector.deregistrar().clone() };
        registry::register(process, |id| Remote {
            id,
            process,
            selector: selector.kind(),
            park_state: ParkState::new(),
            inbox: Mutex::new(Inbox {
                wakes: Wakes::default(),
                aborts: Aborts::default(),
                calls: VecDeque::new(),
                blocked_senders: 0,
                descriptors: Some(Arc::new(descriptors)),
            }),
            room: Condvar::new(),
            is_running: AtomicBool::new(false),
        })
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.id
    }

    /// The mechanism that the loop waits in.
    pub(crate) fn selector(&self) -> Kind {
        self.selector
    }

    /// Wakes a task, or the future of `block_on`, from any thread.
    ///
    /// The generation is not looked at: the slot's present entry may get a spurious poll.
    pub(crate) fn wake(&self, slot: u32) {
        let mut inbox = self.lock();
        if inbox.descriptors.is_some() && inbox.wakes.insert(slot) {
            self.deliver(inbox);
        }
    }

    /// Asks the task of a serial number to end, if it still has that slot.
    pub(crate) fn abort(&self, slot: u32, serial: u64) {
        let mut inbox = self.lock();
        if inbox.descriptors.is_none() {
            return;
        }
        inbox.aborts.insert(slot, serial);
        self.deliver(inbox);
    }

    /// Has the runtime's thread make a call in one of its next turns.
    ///
    /// # Errors
    ///
    /// Gives the call back if the runtime is gone.
    pub(crate) fn call(&self, call: Call) -> Result<(), Call> {
        self.push(call, false)
    }

    /// As [`call`](Remote::call). If calls come faster than the loop makes them, this waits for room first,
    /// but no longer than [`MAX_SENDER_WAIT`]. Not for the runtime's own thread.
    pub(crate) fn call_when_room(&self, call: Call) -> Result<(), Call> {
        self.push(call, true)
    }

    fn push(&self, call: Call, waits: bool) -> Result<(), Call> {
        if !self.process.is_current() {
            return Err(call);
        }
        let mut inbox = self.lock();
        if waits && inbox.calls.len() >= CALLS_FULL {
            inbox = self.wait_for_room(inbox);
        }
        if inbox.descriptors.is_none() {
            drop(inbox);
            return Err(call);
        }
        inbox.calls.push_back(call);
        self.deliver(inbox);
        Ok(())
    }

    #[cold]
    fn wait_for_room<'a>(&self, mut inbox: MutexGuard<'a, Inbox>) -> MutexGuard<'a, Inbox> {
        inbox.blocked_senders += 1;
        let is_full = |inbox: &mut Inbox| {
            let is_running = self.is_running.load(Relaxed) && inbox.descriptors.is_some();
            is_running && inbox.calls.len() >= CALLS_FULL
        };
        let waited = self.room.wait_timeout_while(inbox, MAX_SENDER_WAIT, is_full);
        let (mut inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inbox.blocked_senders -= 1;
        inbox
    }

    /// The loop begins to turn, or ends. Only in between it makes room for senders.
    pub(crate) fn set_running(&self, is_running: bool) {
        self.is_running.store(is_running, Relaxed);
    }

    /// Stops watching a descriptor whose owner is being dropped on another thread.
    pub(crate) fn deregister(&self, fd: RawFd) {
        let descriptors = self.lock().descriptors.clone();
        if let Some(descriptors) = descriptors {
            // An error means that the registration has gone already, which is what was wanted.
            let _ = descriptors.selector.deregister(fd);
        }
    }

    /// Whether the runtime has gone.
    pub(crate) fn is_closed(&self) -> bool {
        !self.process.is_current() || self.lock().descriptors.is_none()
    }

    /// The loop is about to wait. False if there is batch: then it must not.
    pub(crate) fn park(&self) -> bool {
        self.park_state.park()
    }

    /// The loop is awake again.
    pub(crate) fn unpark(&self) {
        self.park_state.unpark();
    }

    /// Whether something has come since the inbox was emptied.
    pub(crate) fn has_messages(&self) -> bool {
        self.park_state.has_messages()
    }

    /// Takes up to `limit` wakes and as many aborts out of the inbox, and up to `most_calls` calls. What is left is
    /// there for the next time, as if it had just come. Costs one load when there is nothing.
    ///
    /// It does not wait for the lock: the thread that has it may have been preempted, and timers and sockets need
    /// not wait until that runs again. Returns false if that was so.
    pub(crate) fn drain_inbox(&self, limit: usize, most_calls: usize, batch: &mut InboxBatch) -> bool {
        if !self.park_state.drain_inbox() || !self.process.is_current() {
            return true;
        }
        let mut inbox = match self.inbox.try_lock() {
            Ok(inbox) => inbox,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.park_state.notify();
                return false;
            }
        };
        inbox.take(limit, most_calls, batch);
        if !inbox.is_empty() {
            // The loop is awake, so nobody has to be notified.
            self.park_state.notify();
        }
        let has_room = inbox.blocked_senders > 0 && inbox.calls.len() <= CALLS_RESUME;
        drop(inbox);
        if has_room {
            self.room.notify_all();
        }
        true
    }

    /// The runtime is going: refuses whatever comes from now on, and hands out what is left.
    pub(crate) fn close(&self, batch: &mut InboxBatch) {
        registry::deregister(self.id);
        // In a child a thread that is not there may hold it.
        let inbox = if self.process.is_current() { Some(self.lock()) } else { self.inbox.try_lock().ok() };
        let Some(mut inbox) = inbox else { return };
        inbox.take(usize::MAX, usize::MAX, batch);
        let descriptors = inbox.descriptors.take();
        drop(inbox);
        self.room.notify_all();
        drop(descriptors);
    }

    /// Rings. The lock is given back before the system call.
    fn deliver(&self, inbox: MutexGuard<'_, Inbox>) {
        if self.park_state.notify() {
            let descriptors = inbox.descriptors.clone();
            drop(inbox);
            if let Some(descriptors) = descriptors {
                descriptors.notifier.notify();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // Nothing that can panic runs under this lock.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.wakes.is_empty() && self.aborts.is_empty() && self.calls.is_empty()
    }

    fn take(&mut self, limit: usize, most_calls: usize, batch: &mut InboxBatch) {
        self.wakes.take(limit, batch);
        self.aborts.take(limit, batch);
        batch.calls.extend(std::iter::from_fn(|| self.calls.pop_front()).take(most_calls));
        if self.calls.is_empty() && self.calls.capacity() > CALLS_FULL {
            self.calls = VecDeque::new();
        }
    }
}

/// Tasks that are to end, each at most once: a list of their slots, and for each slot the serial number of the latest
/// one, zero if there is none. An earlier task of the slot has ended already.
#[derive(Default)]
struct Aborts {
    slots: VecDeque<u32>,
    serials: Vec<u64>,
}

impl Aborts {
    fn insert(&mut self, slot: u32, serial: u64) {
        let index = slot as usize;
        if index >= self.serials.len() {
            self.serials.resize(index + 1, 0);
        }
        let latest = &mut self.serials[index];
        if *latest == 0 {
            self.slots.push_back(slot);
        }
        *latest = serial.max(*latest);
    }

    fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn take(&mut self, limit: usize, batch: &mut InboxBatch) {
        for _ in 0..limit {
            let Some(slot) = self.slots.pop_front() else {
                // The room of many is given back.
                return *self = Aborts::default();
            };
            batch.aborts.push((slot, std::mem::take(&mut self.serials[slot as usize])));
        }
    }
}

/// Slots that were woken, each at most once: a list for their order, a bit for each to find it again.
#[derive(Default)]
struct Wakes {
    main: bool,
    slots: VecDeque<u32>,
    present: Vec<u64>,
}

impl Wakes {
    /// False if it was there already.
    fn insert(&mut self, slot: u32) -> bool {
        if slot == Id::MAIN {
            return !std::mem::replace(&mut self.main, true);
        }
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        if word >= self.present.len() {
            self.present.resize(word + 1, 0);
        }
        let is_new = self.present[word] & bit == 0;
        if is_new {
            self.present[word] |= bit;
            self.slots.push_back(slot);
        }
        is_new
    }

    fn is_empty(&self) -> bool {
        !self.main && self.slots.is_empty()
    }

    fn take(&mut self, limit: usize, batch: &mut InboxBatch) {
        batch.main |= std::mem::take(&mut self.main);
        for slot in std::iter::from_fn(|| self.slots.pop_front()).take(limit) {
            self.present[slot as usize / 64] &= !(1 << (slot % 64));
            batch.slots.push(slot);
        }
    }
}

/// The word between senders and the loop; the head of this file says how it changes.
struct ParkState(AtomicU8);

const EMPTY: u8 = 0;
const PARKED: u8 = 1;
const NOTIFIED: u8 = 2;

impl ParkState {
    fn new() -> ParkState {
        ParkState(AtomicU8::new(EMPTY))
    }

    /// True if the caller has to notify.
    fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }

    /// False if there is batch.
    fn park(&self) -> bool {
        self.0.compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Stays at `NOTIFIED` if that is why the loop woke.
    fn unpark(&self) {
        let _ = self.0.compare_exchange(PARKED, EMPTY, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn has_messages(&self) -> bool {
        self.0.load(Ordering::Relaxed) == NOTIFIED
    }

    /// Set back before the inbox is emptied: what comes in between is seen now, or announced anew.
    fn drain_inbox(&self) -> bool {
        self.has_messages() && self.0.swap(EMPTY, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_wakes_takes_the_room_of_one() {
        let (mut wakes, mut batch) = (Wakes::default(), InboxBatch::default());
        for _ in 0..1000 {
            for slot in [3, 64, 3, 1000, Id::MAIN] {
                wakes.insert(slot);
            }
        }
        wakes.take(2, &mut batch);
        assert_eq!((batch.main, &batch.slots[..]), (true, &[3, 64][..]));
        assert!(wakes.insert(3), "taken out, it may come again");
        assert!(!wakes.insert(1000), "it is still there");
        wakes.take(2, &mut batch);
        assert_eq!(batch.slots, [3, 64, 1000, 3]);
        assert!(wakes.is_empty());
    }
}

#[cfg(all(test, runtime_loom))]
mod model {
    use super::ParkState;
    use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use loom::sync::{Arc, Condvar, Mutex};

    /// Two senders and a loop that sleeps whenever it may: it always comes to see both letters.
    /// The condition variable stands for the selector, whose events wait until they are fetched.
    #[test]
    fn no_letter_is_left_while_the_loop_sleeps() {
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
            let mut letters = 0;
            while letters < 2 {
                if park_state.drain_inbox() {
                    letters += inbox.swap(0, SeqCst);
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
