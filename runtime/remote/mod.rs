//! The part of a runtime that other threads may use: its inbox, and the notifier that breaks a wait.
//!
//! A wake from another thread puts the slot number of the task into the inbox and, if the loop waits for events, breaks
//! the wait. A loop that is awake checks its inbox once in each turn and need not be notified, so there is at most one
//! write to the notifier for each wait. `park_state.rs` says why no wake is lost.
//!
//! Other threads cannot flood the loop. The inbox holds each woken slot and each abort at most once. The loop takes a
//! limited number of messages out at a time, and a thread that spawns tasks faster than the loop starts them has to
//! wait.
//!
//! A waker holds only the number of its runtime. It finds the `Remote` in the
//! [registry](crate::runtime::remote::registry), and finds nothing there once the runtime has been dropped. The
//! descriptors are closed with the runtime, although handles may keep the `Remote` alive. A thread that uses the
//! descriptors holds an `Arc` of them meanwhile, so that it does not write to a descriptor number that has been reused.

pub(crate) mod blocking;
pub(crate) mod blocking_call;
mod park_state;
pub(crate) mod registry;

use crate::runtime::id::{RuntimeId, SlotId};
use crate::runtime::join::error::UnreadHook;
use crate::runtime::metrics::{Published, RuntimeMetrics};
use crate::runtime::remote::park_state::ParkState;
pub(crate) use crate::runtime::remote::registry::{find, wake};
use crate::runtime::selector::{self, Kind, Notifier, Process, Selector};
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// A closure that another thread has the runtime's thread call.
pub(crate) type RemoteCall = Box<dyn FnOnce() + Send>;

/// The part of a runtime that other threads may use.
pub(crate) struct Remote {
    id: RuntimeId,
    /// The process that made the runtime. In a forked child the runtime counts as dropped: see [`Process`].
    process: Process,
    selector: Kind,
    park_state: ParkState,
    inbox: Mutex<Inbox>,
    /// Notified when there is room for calls in the inbox again.
    room: Condvar,
    /// Set while `block_on` or a turn of a guest runs.
    is_running: AtomicBool,
    /// Called with the panics of tasks and blocking calls that no join handle can return any more.
    on_unread: Option<UnreadHook>,
    name: Option<Box<str>>,
    counts: Published,
}

/// The number of calls from which on the inbox is full for [senders that can wait](Remote::call_when_room).
const CALLS_FULL: usize = 1024;

/// The number of remaining calls at which waiting senders are woken. It is well below [`CALLS_FULL`], so that they are
/// woken once for many calls.
const CALLS_RESUME: usize = CALLS_FULL / 2;

/// The longest time that a sender waits. It is limited, because the loop may be blocked by a lock that the sender
/// holds.
const MAX_SENDER_WAIT: Duration = Duration::from_millis(1);

/// The messages from other threads. `descriptors` is `None` once the runtime has been dropped.
struct Inbox {
    wakes: Wakes,
    aborts: Aborts,
    calls: VecDeque<RemoteCall>,
    /// The number of senders that wait for room for their calls.
    blocked_senders: usize,
    descriptors: Option<Arc<Descriptors>>,
}

struct Descriptors {
    notifier: Notifier,
    selector: selector::Deregistrar,
}

/// The messages that the loop takes out of its inbox at a time.
#[derive(Default)]
pub(crate) struct InboxBatch {
    /// Set if the future of `block_on` was woken.
    pub(crate) main: bool,
    /// The slots of the tasks that were woken, in order.
    pub(crate) slots: Vec<u32>,
    /// The slots and serial numbers of the tasks that were aborted.
    pub(crate) aborts: Vec<(u32, u64)>,
    /// The calls to make, in order.
    pub(crate) calls: Vec<RemoteCall>,
}

impl Remote {
    /// Gives a new runtime its number, and adds it to the registry, where its wakers find it.
    ///
    /// # Errors
    ///
    /// Returns an error if there are 65,535 runtimes already.
    pub(crate) fn new(
        selector: &Selector,
        on_unread: Option<UnreadHook>,
        name: Option<Box<str>>,
    ) -> io::Result<Arc<Remote>> {
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
            on_unread,
            name,
            counts: Published::default(),
        })
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.id
    }

    /// Returns the mechanism by which the loop waits for events.
    pub(crate) fn selector(&self) -> Kind {
        self.selector
    }

    /// Returns the name that the user has given the runtime.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Lets other threads see the counts of the runtime.
    #[inline]
    pub(crate) fn publish(&self, counts: RuntimeMetrics) {
        self.counts.set(counts);
    }

    /// Returns the counts that were published last.
    pub(crate) fn published(&self) -> RuntimeMetrics {
        self.counts.get(self.messages())
    }

    /// Returns the number of messages that the loop has not taken yet.
    pub(crate) fn messages(&self) -> usize {
        // In a forked child, a thread that does not exist there may hold the lock.
        if self.process.is_current() { self.lock().len() } else { 0 }
    }

    pub(crate) fn on_unread(&self) -> Option<&UnreadHook> {
        self.on_unread.as_ref()
    }

    /// Wakes a task, or the future of `block_on`, from any thread.
    ///
    /// The generation is not compared, so a later task in the same slot may get a spurious poll.
    pub(crate) fn wake(&self, slot: u32) {
        let mut inbox = self.lock();
        if inbox.descriptors.is_some() && inbox.wakes.insert(slot) {
            self.notify_loop(inbox);
        }
    }

    /// Aborts the task with a serial number, if it still has that slot.
    pub(crate) fn abort(&self, slot: u32, serial: u64) {
        let mut inbox = self.lock();
        if inbox.descriptors.is_none() {
            return;
        }
        inbox.aborts.insert(slot, serial);
        self.notify_loop(inbox);
    }

    /// Has the runtime's thread make a call in one of its next turns.
    ///
    /// # Errors
    ///
    /// Returns the call if the runtime has been dropped.
    pub(crate) fn call(&self, call: RemoteCall) -> Result<(), RemoteCall> {
        self.push(call, false)
    }

    /// Has the runtime's thread make a call, like [`call`](Remote::call), but first waits for room if calls arrive
    /// faster than the loop makes them. It waits for at most [`MAX_SENDER_WAIT`]. The runtime's own thread must not
    /// use this.
    pub(crate) fn call_when_room(&self, call: RemoteCall) -> Result<(), RemoteCall> {
        self.push(call, true)
    }

    fn push(&self, call: RemoteCall, waits: bool) -> Result<(), RemoteCall> {
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
        self.notify_loop(inbox);
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

    /// Returns whether `block_on` runs, or a turn of a guest.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Relaxed)
    }

    /// Notes whether `block_on` runs. Only then does the loop make room for senders.
    pub(crate) fn set_running(&self, is_running: bool) {
        self.is_running.store(is_running, Relaxed);
    }

    /// Stops watching a descriptor whose owner is being dropped on another thread.
    pub(crate) fn deregister(&self, fd: RawFd) {
        let descriptors = self.lock().descriptors.clone();
        if let Some(descriptors) = descriptors {
            // An error means that the descriptor has been deregistered already, which is the desired state.
            let _ = descriptors.selector.deregister(fd);
        }
    }

    /// Returns whether the runtime has been dropped, or belongs to the parent of this process.
    pub(crate) fn is_closed(&self) -> bool {
        !self.process.is_current() || self.lock().descriptors.is_none()
    }

    /// Called before the loop waits. Returns `false` if there are messages: then the loop must not wait.
    pub(crate) fn park(&self) -> bool {
        self.park_state.park()
    }

    /// Called after the loop has waited.
    pub(crate) fn unpark(&self) {
        self.park_state.unpark();
    }

    /// Returns whether messages have arrived since the inbox was drained.
    pub(crate) fn has_messages(&self) -> bool {
        self.park_state.has_messages()
    }

    /// Takes up to `limit` wakes, up to `limit` aborts and up to `max_calls` calls out of the inbox. The remaining
    /// messages stay for the next time, and count as new. If there are none at all, this costs one load.
    ///
    /// This does not wait for the lock: the thread that holds it may have been preempted, and timers and sockets
    /// should not have to wait until it runs again. Returns `false` in that case.
    pub(crate) fn drain_inbox(&self, limit: usize, max_calls: usize, batch: &mut InboxBatch) -> bool {
        if !self.park_state.begin_drain() || !self.process.is_current() {
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
        inbox.take(limit, max_calls, batch);
        if !inbox.is_empty() {
            // The loop is awake, so there is no wait to break.
            self.park_state.notify();
        }
        let has_room = inbox.blocked_senders > 0 && inbox.calls.len() <= CALLS_RESUME;
        drop(inbox);
        if has_room {
            self.room.notify_all();
        }
        true
    }

    /// Closes the inbox of a runtime that is being dropped: later messages are refused, and the remaining ones are
    /// returned in `batch`.
    pub(crate) fn close(&self, batch: &mut InboxBatch) {
        registry::deregister(self.id);
        // In a forked child, a thread that does not exist there may hold the lock.
        let inbox = if self.process.is_current() { Some(self.lock()) } else { self.inbox.try_lock().ok() };
        let Some(mut inbox) = inbox else { return };
        inbox.take(usize::MAX, usize::MAX, batch);
        let descriptors = inbox.descriptors.take();
        drop(inbox);
        self.room.notify_all();
        drop(descriptors);
    }

    /// Breaks the wait of the loop, if it waits. Releases the lock before the system call.
    fn notify_loop(&self, inbox: MutexGuard<'_, Inbox>) {
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

    fn len(&self) -> usize {
        usize::from(self.wakes.main) + self.wakes.slots.len() + self.aborts.slots.len() + self.calls.len()
    }

    fn take(&mut self, limit: usize, max_calls: usize, batch: &mut InboxBatch) {
        self.wakes.take(limit, batch);
        self.aborts.take(limit, batch);
        batch.calls.extend(std::iter::from_fn(|| self.calls.pop_front()).take(max_calls));
        if self.calls.is_empty() && self.calls.capacity() > CALLS_FULL {
            self.calls = VecDeque::new();
        }
    }
}

/// The tasks to abort, each at most once: a list of their slots, and for each slot the serial number of the latest of
/// its tasks, or zero if there is none. Earlier tasks of that slot have ended already.
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
                // Frees the memory that many aborts have needed.
                return *self = Aborts::default();
            };
            batch.aborts.push((slot, std::mem::take(&mut self.serials[slot as usize])));
        }
    }
}

/// The slots that were woken, each at most once: a list keeps their order, and one bit for each slot says whether it
/// is in the list.
#[derive(Default)]
struct Wakes {
    main: bool,
    slots: VecDeque<u32>,
    present: Vec<u64>,
}

impl Wakes {
    /// Adds a slot. Returns `false` if it is in the list already.
    fn insert(&mut self, slot: u32) -> bool {
        if slot == SlotId::MAIN {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_woken_many_times_is_listed_once() {
        let (mut wakes, mut batch) = (Wakes::default(), InboxBatch::default());
        for _ in 0..1000 {
            for slot in [3, 64, 3, 1000, SlotId::MAIN] {
                wakes.insert(slot);
            }
        }
        wakes.take(2, &mut batch);
        assert_eq!((batch.main, &batch.slots[..]), (true, &[3, 64][..]));
        assert!(wakes.insert(3), "once taken out, it can be added again");
        assert!(!wakes.insert(1000), "it is still in the list");
        wakes.take(2, &mut batch);
        assert_eq!(batch.slots, [3, 64, 1000, 3]);
        assert!(wakes.is_empty());
    }
}
