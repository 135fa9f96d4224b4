//! The tasks of a runtime and the queue of those that are to run.
//!
//! ```text
//!  insert ──► Idle, queued ──► next ──► Running ──► park ──► Idle ─┐
//!                  ▲                       │                       │
//!                  └──────── wake ◄────────┼───────────────────────┘
//!                                          └──► finish ──► Done ──► join or detach: freed
//! ```
//!
//! To run a task, the executor takes it out of its slot, so that the poll happens under no borrow;
//! it is then put back, or finished. A wake puts the slot on the queue unless it is there already,
//! also while the task runs: it then gets another turn. Nothing in here runs user code: whatever
//! has to be dropped or woken is handed to the caller.
//!
//! There are two queues. What a turn of the loop wakes (sockets, timers, other threads) goes to the event
//! queue, what tasks wake and spawn themselves to the local queue. The events of a turn run first, half a round
//! at most, and then entries are taken from both by turns: so an event waits for one poll and not for all the
//! tasks that are busy, and neither side starves.
//!
//! The future of `block_on` has its place in these queues like any task, but is polled by the executor.

use crate::runtime::executor::free_lists::FreeLists;
use crate::runtime::executor::run_queue::RunQueue;
use crate::runtime::executor::task::BoxedTask;
use crate::runtime::executor::task_ref::TaskRef;
use crate::runtime::id::{Id, RuntimeId};
use crate::runtime::slots::{Entry, Slots};
use crate::task::Id as TaskId;
use crate::task::origin::Origin;
use std::any::Any;
use std::task::Waker;

/// How far the run queues have to come.
#[derive(Clone, Copy)]
pub(crate) struct QueuePosition {
    local: u64,
    event: u64,
}

/// All tasks of one runtime.
pub(crate) struct Tasks {
    runtime: RuntimeId,
    slots: Slots<Slot>,
    /// Ids of the slots that are to run, as their wakers have them. One that is out of date is skipped,
    /// or makes for one spurious poll.
    local_queue: RunQueue,
    event_queue: RunQueue,
    /// So many entries are taken from the event queue, if it has them, before one of the local queue.
    events_next: usize,
    /// How many had been taken from the local queue at the end of the latest turn of the loop.
    locals_taken: u64,
    /// Neither an event nor the future of `block_on` is queued, so the next entry is one of the local queue.
    is_only_local: bool,
    /// A turn of the loop is collecting events: what is woken goes to the event queue.
    is_collecting: bool,
    /// The future of `block_on` is to be polled.
    is_main_woken: bool,
    /// It was an event that woke it, and it has a place in the event queue.
    is_main_event: bool,
    /// Its place: when so many entries have been taken from its queue.
    main_place: u64,
    /// It was all that was queued locally when the latest turn ended, and has not been polled since.
    is_main_overdue: bool,
    pub(crate) free_lists: FreeLists,
    last_serial: u64,
    closed: bool,
    /// Tasks that were spawned since, to be dropped.
    refused: Vec<BoxedTask>,
}

struct Slot {
    serial_low: u32,
    serial_high: u16,
    flags: u8,
    /// The task has ended; what is left is its output, for its join handle.
    done: bool,
    /// Where it was spawned.
    origin: Origin,
    /// Taken out while it is polled or dropped.
    task: Option<BoxedTask>,
    join_waker: Option<Waker>,
}

/// This many of a serial number's bits count the tasks of one runtime, at thirty million a second for ten
/// hours, before they reach those above. There the serial numbers of runtimes with the same number begin apart,
/// so that the ids that users see do not repeat soon. Nothing rests on that: see [`TaskRef`].
const TASKS_BITS: u32 = 40;

/// In the run queue; or done, so that no wake puts it there.
const QUEUED: u8 = 1;
/// To be dropped in its next turn.
const ABORTED: u8 = 2;
/// There is a join handle.
const JOINED: u8 = 4;

// What is done and queued already can be neither woken nor run nor aborted.
impl Entry for Slot {
    const VACANT: Slot = Slot {
        serial_low: 0,
        serial_high: 0,
        flags: QUEUED,
        done: true,
        origin: Origin::UNKNOWN,
        task: None,
        join_waker: None,
    };

    fn is_vacant(&self) -> bool {
        // Serial numbers are never zero.
        self.serial_low == 0 && self.serial_high == 0
    }
}

impl Slot {
    /// Puts a task in which there is none.
    #[inline]
    fn put(&mut self, task: BoxedTask) {
        // Forgotten, not dropped, for there is nothing.
        std::mem::forget(self.task.replace(task));
    }
}

/// A task that has been taken out of its slot, to be polled or dropped.
pub(crate) struct Taken {
    pub(crate) task: BoxedTask,
    /// It is to be dropped rather than polled.
    pub(crate) is_aborted: bool,
}

/// What the caller has to do once its borrow is released.
#[must_use]
#[derive(Default)]
pub(crate) struct Leftovers {
    pub(crate) task: Option<BoxedTask>,
    pub(crate) join_waker: Option<Waker>,
}

/// What a join handle learns.
pub(crate) enum Joined {
    /// Not done, and the waker is there. What comes along is to be dropped.
    Pending(Option<Waker>),
    /// Not done, and the waker has yet to be left, by [`Tasks::set_join_waker`].
    NeedsWaker,
    /// Done: the output is where it was to go, or the task has failed. The slot is free again.
    Done(Option<BoxedTask>),
    /// There is no such task.
    Gone,
}

impl Leftovers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.task.is_none() && self.join_waker.is_none()
    }
}

impl Tasks {
    pub(crate) fn new(runtime: RuntimeId) -> Tasks {
        Tasks {
            runtime,
            slots: Slots::new(),
            local_queue: RunQueue::new(),
            event_queue: RunQueue::new(),
            events_next: 0,
            locals_taken: 0,
            is_only_local: false,
            is_collecting: false,
            is_main_woken: false,
            is_main_event: false,
            main_place: 0,
            is_main_overdue: false,
            free_lists: FreeLists::default(),
            last_serial: u64::from(runtime.epoch()) << TASKS_BITS,
            closed: false,
            refused: Vec::new(),
        }
    }

    /// Whether the runtime is going: then no task may be inserted.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The runtime is being dropped: keeps the task, until [`take_refused`](Tasks::take_refused) hands it out. It
    /// counts as one that was aborted.
    #[cold]
    pub(crate) fn refuse(&mut self, task: BoxedTask) -> TaskRef {
        self.refused.push(task);
        self.last_serial += 1;
        TaskRef::refused(self.runtime, self.last_serial)
    }

    /// Hands out the tasks that were [refused](Tasks::refuse).
    pub(crate) fn take_refused(&mut self) -> Vec<BoxedTask> {
        std::mem::take(&mut self.refused)
    }

    /// Takes a task in and queues it.
    #[inline]
    pub(crate) fn insert(&mut self, task: BoxedTask, origin: Origin) -> TaskRef {
        self.last_serial += 1;
        let serial = self.last_serial;
        // Filled in where it is: a value made up field by field is slow to be moved as a whole.
        let (slot, entry) = self.slots.claim();
        entry.serial_low = serial as u32;
        entry.serial_high = (serial >> 32) as u16;
        entry.flags = QUEUED | JOINED;
        entry.done = false;
        entry.origin = origin;
        entry.put(task);
        self.push(Id::new(self.runtime.number(), serial as u16, slot));
        TaskRef::new(self.runtime, serial, slot)
    }

    /// Queues the task that an id of this runtime names. False if the id has no slot here.
    #[inline(always)]
    pub(crate) fn wake(&mut self, id: Id) -> bool {
        self.wake_in(id, Tasks::push)
    }

    /// The same, for one who [collects events](Tasks::collect_events).
    #[inline(always)]
    pub(crate) fn wake_by_event(&mut self, id: Id) -> bool {
        debug_assert!(self.is_collecting);
        self.wake_in(id, |tasks, id| {
            tasks.is_only_local = false;
            tasks.event_queue.push(id);
        })
    }

    #[inline(always)]
    fn wake_in(&mut self, id: Id, push: impl FnOnce(&mut Tasks, Id)) -> bool {
        let Some(entry) = self.slots.get_mut(id.slot()) else { return false };
        if entry.serial_low as u16 == id.generation() && entry.flags & QUEUED == 0 {
            entry.flags |= QUEUED;
            push(self, id);
        }
        true
    }

    /// Queues whichever task is in a slot.
    pub(crate) fn wake_slot(&mut self, slot: u32) {
        if let Some(entry) = self.slots.get(slot) {
            self.wake(Id::new(self.runtime.number(), entry.serial_low as u16, slot));
        }
    }

    /// The future of a new `block_on` comes first. The one before may have left the queues in the midst of a turn
    /// of the loop.
    pub(crate) fn begin_main(&mut self) {
        self.is_collecting = false;
        self.is_only_local = false;
        self.events_next = 1;
        (self.is_main_woken, self.is_main_event, self.main_place) = (true, true, 0);
    }

    /// Queues the future of `block_on`, unless it is queued already.
    #[inline]
    pub(crate) fn wake_main(&mut self) {
        if !self.is_main_woken {
            self.is_main_woken = true;
            self.is_only_local = false;
            self.is_main_event = self.is_collecting;
            self.main_place =
                if self.is_collecting { self.event_queue.put() } else { self.local_queue.put() };
        }
    }

    /// Called when [`next`](Tasks::next) had no task: takes the future of `block_on` if it is queued.
    #[inline]
    pub(crate) fn take_main(&mut self) -> bool {
        if !self.is_main_woken {
            return false;
        }
        debug_assert!(self.is_main_next());
        self.is_main_woken = false;
        self.is_main_overdue = false;
        self.events_next = if self.is_main_event { self.events_next.saturating_sub(1) } else { 1 };
        true
    }

    /// Takes the future of `block_on` if it is queued and nothing else is.
    #[inline]
    pub(crate) fn take_main_alone(&mut self) -> bool {
        self.is_main_woken && self.local_queue.len() == 0 && self.event_queue.len() == 0 && self.take_main()
    }

    /// Returns whether it is the turn of the future of `block_on`, if that is queued.
    #[inline]
    fn is_main_next(&self) -> bool {
        let (queue, other) = if self.is_main_event {
            (&self.event_queue, &self.local_queue)
        } else {
            (&self.local_queue, &self.event_queue)
        };
        let is_turn = self.is_main_event == (self.events_next > 0) || other.len() == 0;
        is_turn && queue.taken() >= self.main_place
    }

    /// What is woken or spawned from now on goes to the event queue, until
    /// [`stop_collecting`](Tasks::stop_collecting) is called.
    pub(crate) fn collect_events(&mut self) {
        self.is_collecting = true;
    }

    /// The events of a turn have been collected. Up to `most` of them run next; after that entries are taken
    /// from both queues by turns. But if no entry was taken from the local queue since the turn before, one is now.
    pub(crate) fn end_turn(&mut self, most: usize) {
        self.is_collecting = false;
        let is_main_alone = self.is_main_woken && !self.is_main_event && self.local_queue.len() == 0;
        let is_main_due = is_main_alone && self.is_main_overdue;
        self.is_main_overdue = is_main_alone;
        let has_stopped = self.local_queue.len() > 0 && self.local_queue.taken() == self.locals_taken;
        let is_local_due = has_stopped || is_main_due;
        self.locals_taken = self.local_queue.taken();
        let events = self.event_queue.len() + usize::from(self.is_main_woken && self.is_main_event);
        self.events_next = if is_local_due { 0 } else { events.min(most) };
    }

    /// Events were collected in the midst of a round: one runs next, and the others by turns.
    pub(crate) fn stop_collecting(&mut self) {
        self.is_collecting = false;
        self.events_next = self.events_next.max(1);
    }

    /// From now on entries are taken from both queues by turns.
    pub(crate) fn take_turns(&mut self) {
        self.events_next = self.events_next.min(1);
    }

    /// Returns how much is queued.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.local_queue.len() + self.event_queue.len() + usize::from(self.is_main_woken)
    }

    /// Returns how many entries the event queue has.
    pub(crate) fn events_queued(&self) -> usize {
        self.event_queue.len()
    }

    /// Returns a position that is [reached](Tasks::has_reached) once everything that is queued now has run
    /// to the end of its turn.
    pub(crate) fn position(&self) -> QueuePosition {
        QueuePosition { local: self.local_queue.put() + 1, event: self.event_queue.put() + 1 }
    }

    pub(crate) fn has_reached(&self, position: QueuePosition) -> bool {
        self.local_queue.taken() >= position.local && self.event_queue.taken() >= position.event
    }

    /// A turn of the loop begins: what has run to the end of its turn lies behind any position that is
    /// taken from now on.
    #[inline]
    pub(crate) fn begin_turn(&mut self) {
        self.local_queue.pass();
        self.event_queue.pass();
    }

    #[inline(always)]
    fn push(&mut self, id: Id) {
        // Careful: a choice between two references would be computed, and the processor would wait for it. A branch
        // is predicted. Likewise below.
        if self.is_collecting {
            self.push_event(id);
        } else {
            self.local_queue.push(id);
        }
    }

    #[inline(never)]
    fn push_event(&mut self, id: Id) {
        self.is_only_local = false;
        self.event_queue.push(id);
    }

    #[inline]
    fn pop(&mut self) -> Option<Id> {
        if self.events_next > 0 {
            let Some(id) = self.event_queue.pop() else { return self.local_queue.pop() };
            self.events_next -= 1;
            return Some(id);
        }
        let Some(id) = self.local_queue.pop() else { return self.event_queue.pop() };
        self.events_next = 1;
        Some(id)
    }

    /// Takes the next entry from the queues. `None` if nothing is queued, or if it is the turn of the future of
    /// `block_on`.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<Id> {
        if self.is_only_local { self.local_queue.pop() } else { self.next_of_all() }
    }

    #[inline(always)]
    fn next_of_all(&mut self) -> Option<Id> {
        if self.is_main_woken {
            return if self.is_main_next() { None } else { self.pop() };
        }
        if self.event_queue.len() > 0 {
            return self.pop();
        }
        self.is_only_local = true;
        self.local_queue.pop()
    }

    /// Returns the id of the task that runs next. `None` if nothing is queued, or if it is the turn of the future of
    /// `block_on`. Entries that are out of date are taken from the queues.
    pub(crate) fn peek(&mut self) -> Option<Id> {
        loop {
            if self.is_main_woken && self.is_main_next() {
                return None;
            }
            let (first, second) = if self.events_next > 0 {
                (&self.event_queue, &self.local_queue)
            } else {
                (&self.local_queue, &self.event_queue)
            };
            let id = first.peek().or_else(|| second.peek())?;
            let entry = self.slots.get(id.slot());
            let is_current =
                entry.is_some_and(|entry| entry.serial_low as u16 == id.generation() && !entry.done);
            if is_current {
                return Some(id);
            }
            self.next();
        }
    }

    /// Takes the task of an entry out of its slot, unless the entry is out of date.
    #[inline(always)]
    pub(crate) fn take(&mut self, id: Id) -> Option<Taken> {
        let entry = self.slots.get_mut(id.slot())?;
        // Done while it was queued: it stays so, and no wake queues it.
        if entry.serial_low as u16 != id.generation() || entry.done {
            return None;
        }
        entry.flags &= !QUEUED;
        let is_aborted = entry.flags & ABORTED != 0;
        entry.task.take().map(|task| Taken { task, is_aborted })
    }

    /// Puts a task that has to wait back into its slot.
    #[inline]
    pub(crate) fn park(&mut self, slot: u32, task: BoxedTask) {
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.put(task);
        }
    }

    /// Ends a task. `task` is what its join handle will take from; without one the slot is free.
    #[inline]
    pub(crate) fn finish(&mut self, slot: u32, task: BoxedTask) -> Leftovers {
        let Some(entry) = self.slots.get_mut(slot) else {
            return Leftovers { task: Some(task), join_waker: None };
        };
        if entry.flags & JOINED == 0 {
            let join_waker = self.remove(slot).join_waker;
            return Leftovers { task: Some(task), join_waker };
        }
        entry.done = true;
        entry.flags |= QUEUED;
        entry.put(task);
        Leftovers { task: None, join_waker: entry.join_waker.take() }
    }

    /// Asks a task to end: in its next turn it is dropped instead of polled.
    pub(crate) fn abort(&mut self, of: TaskRef) {
        if let Some(entry) = self.entry(of)
            && !entry.done
        {
            entry.flags |= ABORTED;
            self.wake_slot(of.slot());
        }
    }

    /// The same for the task of a serial number, by which another thread has named it.
    pub(crate) fn abort_serial(&mut self, slot: u32, serial: u64) {
        self.abort(TaskRef::new(self.runtime, serial, slot));
    }

    /// Whether the task has ended.
    pub(crate) fn is_finished(&mut self, of: TaskRef) -> bool {
        self.entry(of).is_none_or(|entry| entry.done)
    }

    /// Moves the output into `output`, an empty `Option` of its type, if the task is done; else its join
    /// handle is to be woken by `waker` when it is. `copy` clones it if that runs no user code.
    #[inline(always)]
    pub(crate) fn join(
        &mut self,
        of: TaskRef,
        output: &mut dyn Any,
        waker: &Waker,
        copy: impl Fn(&Waker) -> Option<Waker>,
    ) -> Joined {
        let Some(entry) = self.entry(of) else { return Joined::Gone };
        if entry.done {
            let Some(task) = self.remove(of.slot()).task else { return Joined::Gone };
            return Joined::Done(task.take(output, &mut self.free_lists));
        }
        if entry.join_waker.as_ref().is_some_and(|join_waker| join_waker.will_wake(waker)) {
            return Joined::Pending(None);
        }
        match copy(waker) {
            Some(copy) => Joined::Pending(entry.join_waker.replace(copy)),
            None => Joined::NeedsWaker,
        }
    }

    /// Leaves the join handle's waker, and gives back the one to drop: the earlier one, as a rule.
    pub(crate) fn set_join_waker(&mut self, of: TaskRef, waker: Waker) -> Option<Waker> {
        match self.entry(of) {
            Some(entry) => entry.join_waker.replace(waker),
            None => Some(waker),
        }
    }

    /// The join handle is gone. The task goes on; if it is done, its output is to be dropped.
    pub(crate) fn detach(&mut self, of: TaskRef) -> Leftovers {
        let Some(entry) = self.entry(of) else {
            return Leftovers::default();
        };
        if entry.done {
            return self.remove(of.slot());
        }
        entry.flags &= !JOINED;
        Leftovers { task: None, join_waker: entry.join_waker.take() }
    }

    /// The same for a task that has not ended and is waited for by nobody, so that nothing is left to be dropped.
    /// Returns whether it is one.
    #[inline]
    pub(crate) fn detach_running(&mut self, of: TaskRef) -> bool {
        match self.entry(of) {
            Some(entry) if !entry.done && entry.join_waker.is_none() => {
                entry.flags &= !JOINED;
                true
            }
            _ => false,
        }
    }

    /// The exact name of the task that an id names, if it still has its slot.
    pub(crate) fn name(&self, id: Id) -> Option<TaskId> {
        let entry = self.slots.get(id.slot())?;
        let serial = u64::from(entry.serial_high) << 32 | u64::from(entry.serial_low);
        // Zero is nobody's.
        (serial != 0 && serial as u16 == id.generation()).then(|| TaskId::new(self.runtime.number(), serial))
    }

    /// Where the task that has a slot was spawned.
    pub(crate) fn origin(&self, slot: u32) -> Origin {
        self.slots.get(slot).map_or(Origin::UNKNOWN, |entry| entry.origin)
    }

    /// How many tasks have not ended.
    pub(crate) fn alive(&self) -> usize {
        self.slots.iter().filter(|entry| !entry.done).count()
    }

    /// Takes the box of a task of which nothing is left.
    #[inline]
    pub(crate) fn recycle(&mut self, task: BoxedTask) {
        if !self.closed {
            task.recycle(&mut self.free_lists);
        }
    }

    /// The loop goes to sleep: gives back what is not needed now.
    pub(crate) fn shrink(&mut self) {
        self.free_lists.clear();
        self.slots.shrink();
        self.local_queue.shrink();
        self.event_queue.shrink();
    }

    /// The runtime is going: takes no further task, and hands out all there are, with the outputs
    /// that nobody has taken yet. To their join handles they are gone, which counts as aborted.
    pub(crate) fn close(&mut self) -> Vec<Leftovers> {
        self.closed = true;
        self.free_lists.clear();
        self.local_queue.clear();
        self.event_queue.clear();
        let leftovers = self.slots.iter_mut().map(|entry| {
            entry.done = true;
            Leftovers { task: entry.task.take(), join_waker: entry.join_waker.take() }
        });
        leftovers.filter(|leftovers| !leftovers.is_empty()).collect()
    }

    /// The slot is free again.
    #[inline]
    fn remove(&mut self, slot: u32) -> Leftovers {
        let Some(entry) = self.slots.get_mut(slot) else { return Leftovers::default() };
        let leftovers = Leftovers { task: entry.task.take(), join_waker: entry.join_waker.take() };
        (entry.serial_low, entry.serial_high) = (0, 0);
        (entry.flags, entry.done) = (QUEUED, true);
        self.slots.release(slot);
        leftovers
    }

    /// The entry of a slot, if it is the one that is meant.
    #[inline]
    fn entry(&mut self, of: TaskRef) -> Option<&mut Slot> {
        debug_assert_eq!(of.runtime(), self.runtime);
        let serial_parts = of.serial_parts();
        self.slots.get_mut(of.slot()).filter(|entry| (entry.serial_high, entry.serial_low) == serial_parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_done_is_not_queued_whenever_it_was_woken() {
        let mut tasks = Tasks::new(RuntimeId::new(1, 0));
        let task = crate::runtime::executor::task::boxed(async {}, &mut tasks.free_lists);
        tasks.insert(task, Origin::UNKNOWN);
        let id = tasks.next().unwrap();
        let Taken { task, .. } = tasks.take(id).unwrap();
        tasks.wake(id);
        let _ = tasks.finish(id.slot(), task);
        assert_eq!(tasks.queued(), 1, "woken while it ran");
        let id = tasks.next().unwrap();
        assert!(tasks.take(id).is_none() && tasks.next().is_none());
        tasks.wake(id);
        assert_eq!(tasks.queued(), 0);
    }

    #[test]
    fn a_slot_is_five_words() {
        assert_eq!(size_of::<Slot>(), 40 + size_of::<Origin>());
    }
}
