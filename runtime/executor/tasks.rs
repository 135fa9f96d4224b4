//! The tasks of a runtime, and the queues of those that are to run.
//!
//! ```text
//!  insert ──► Idle, queued ──► next ──► Running ──► park ──► Idle ─┐
//!                  ▲                       │                       │
//!                  └──────── wake ◄────────┼───────────────────────┘
//!                                          └──► finish ──► Done ──► join or detach: freed
//! ```
//!
//! To run a task, the executor takes it out of its slot, so that nothing is borrowed during the poll. After the poll
//! the task is put back or finished. A wake puts the id of the task on a queue, unless it is there already. If the
//! task is woken while it runs, it is queued and runs once more. Nothing in this file runs user code: everything that
//! has to be dropped or woken is returned to the caller.
//!
//! There are two queues. Tasks that are woken by a turn of the loop (sockets, timers, other threads) go to the event
//! queue. Tasks that other tasks wake or spawn go to the local queue. The events of a turn run first, for half a round
//! at most. After that entries are taken from both queues in alternation: so an event waits for one poll, and not for
//! all the busy tasks, and neither queue starves.
//!
//! The future of `block_on` has a position in these queues like any task, but it is polled by the executor, and is not
//! stored here.

use crate::runtime::executor::free_lists::FreeLists;
use crate::runtime::executor::run_queue::RunQueue;
use crate::runtime::executor::task::BoxedTask;
use crate::runtime::executor::task_ref::TaskRef;
use crate::runtime::id::{RuntimeId, SlotId};
use crate::runtime::slots::{Entry, Slots};
use crate::task::Id as TaskId;
use crate::task::origin::Origin;
use std::any::Any;
use std::task::Waker;

/// A position in both run queues.
#[derive(Clone, Copy)]
pub(crate) struct QueuePosition {
    local: u64,
    event: u64,
}

/// All tasks of one runtime.
pub(crate) struct Tasks {
    runtime: RuntimeId,
    slots: Slots<TaskSlot>,
    /// The ids of the tasks that are to run, as in their wakers. An id that is out of date is skipped, or causes one
    /// spurious poll.
    local_queue: RunQueue,
    event_queue: RunQueue,
    /// The number of entries that are taken from the event queue, if it has them, before one is taken from the local
    /// queue.
    events_next: usize,
    /// The number of entries that had been taken from the local queue at the end of the latest turn of the loop.
    locals_popped: u64,
    /// Set if neither an event nor the future of `block_on` is queued, so that the next entry comes from the local
    /// queue.
    is_only_local: bool,
    /// Set while a turn of the loop collects events: tasks that are woken go to the event queue.
    is_collecting: bool,
    /// Set if the future of `block_on` is queued.
    is_main_queued: bool,
    /// Set if an event has woken that future, so that its position counts in the event queue.
    is_main_event: bool,
    /// The position of that future: it is next when this many entries have been taken from its queue.
    main_position: u64,
    /// Set if that future was the only entry in the local queue when the latest turn ended, and has not been polled
    /// since.
    is_main_overdue: bool,
    /// The number of times that other threads have woken tasks. It wraps.
    remote_wakes: u32,
    pub(crate) free_lists: FreeLists,
    last_serial: u64,
    /// The serial number before that of the first task.
    first_serial: u64,
    /// The number of tasks that have ended, or were refused.
    ended: u64,
    closed: bool,
    /// Tasks that were spawned after the runtime had been closed, and have to be dropped.
    refused: Vec<BoxedTask>,
}

struct TaskSlot {
    serial_low: u32,
    serial_high: u16,
    flags: u8,
    /// Set once the task has ended. Only its output is left, for its join handle.
    done: bool,
    /// The place where the task was spawned.
    origin: Origin,
    /// `None` while the task is polled or dropped.
    task: Option<BoxedTask>,
    join_waker: Option<Waker>,
}

/// The number of bits of a serial number that count the tasks of one runtime: with thirty million tasks a second, the
/// count reaches the bits above after ten hours. The bits above initially hold the epoch of the runtime. So runtimes
/// with the same number begin with different serial numbers, and it takes long until the ids that users see repeat.
/// Nothing depends on that: see [`TaskRef`].
const TASKS_BITS: u32 = 40;

/// Set if the task is in a run queue, or is done, so that no wake queues it.
const QUEUED: u8 = 1;
/// Set if the task is to be dropped instead of polled.
const ABORTED: u8 = 2;
/// Set if there is a join handle.
const JOINED: u8 = 4;

// An entry that is marked as done and as queued cannot be woken, run or aborted.
impl Entry for TaskSlot {
    const VACANT: TaskSlot = TaskSlot {
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

impl TaskSlot {
    /// Marks a slot as vacant whose task and waker have been taken.
    #[inline]
    fn vacate(&mut self) {
        (self.serial_low, self.serial_high) = (0, 0);
        (self.flags, self.done) = (QUEUED, true);
    }

    /// Puts a task into an empty slot.
    #[inline]
    fn put(&mut self, task: BoxedTask) {
        // The earlier value is forgotten, since there is nothing to drop in it.
        std::mem::forget(self.task.replace(task));
    }
}

/// A task that has been taken out of its slot to be polled or dropped.
pub(crate) struct Taken {
    pub(crate) task: BoxedTask,
    /// Set if the task is to be dropped instead of polled.
    pub(crate) is_aborted: bool,
}

/// A task to drop and a waker to wake, once the caller has released its borrow.
#[must_use]
#[derive(Default)]
pub(crate) struct Leftovers {
    pub(crate) task: Option<BoxedTask>,
    pub(crate) join_waker: Option<Waker>,
}

/// The state of a task for its join handle.
pub(crate) enum Joined {
    /// The task is not done, and the waker has been stored. The earlier waker, if there is one, has to be dropped.
    Pending(Option<Waker>),
    /// The task is not done, and the caller has to clone the waker and store it by [`Tasks::set_join_waker`].
    NeedsWaker,
    /// The task is done. Its output has been moved out, or the task has failed and is returned. The slot is free.
    Done(Option<BoxedTask>),
    /// The task does not exist any more.
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
            locals_popped: 0,
            is_only_local: false,
            is_collecting: false,
            is_main_queued: false,
            is_main_event: false,
            main_position: 0,
            is_main_overdue: false,
            remote_wakes: 0,
            free_lists: FreeLists::default(),
            last_serial: u64::from(runtime.epoch()) << TASKS_BITS,
            first_serial: u64::from(runtime.epoch()) << TASKS_BITS,
            ended: 0,
            closed: false,
            refused: Vec::new(),
        }
    }

    /// Returns whether the runtime is being dropped: then no task may be inserted.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Keeps a task that was spawned while the runtime is being dropped, until [`take_refused`](Tasks::take_refused)
    /// returns it. The task counts as aborted.
    #[cold]
    pub(crate) fn refuse(&mut self, task: BoxedTask) -> TaskRef {
        self.refused.push(task);
        self.last_serial += 1;
        self.ended += 1;
        TaskRef::refused(self.runtime, self.last_serial)
    }

    /// Takes the tasks that were [refused](Tasks::refuse).
    pub(crate) fn take_refused(&mut self) -> Vec<BoxedTask> {
        std::mem::take(&mut self.refused)
    }

    /// Adds a task and queues it.
    #[inline]
    pub(crate) fn insert(&mut self, task: BoxedTask, origin: Origin) -> TaskRef {
        self.last_serial += 1;
        let serial = self.last_serial;
        // The fields are set in place: moving a value that was built up field by field is slow.
        let (slot, entry) = self.slots.claim();
        entry.serial_low = serial as u32;
        entry.serial_high = (serial >> 32) as u16;
        entry.flags = QUEUED | JOINED;
        entry.done = false;
        entry.origin = origin;
        entry.put(task);
        self.push(SlotId::new(self.runtime.number(), serial as u16, slot));
        TaskRef::new(self.runtime, serial, slot)
    }

    /// Queues the task that an id of this runtime refers to. Returns `false` if the slot of the id does not exist.
    #[inline(always)]
    pub(crate) fn wake(&mut self, id: SlotId) -> bool {
        self.wake_in(id, Tasks::push)
    }

    /// Queues a task like [`wake`](Tasks::wake), while [events are collected](Tasks::collect_events).
    #[inline(always)]
    pub(crate) fn wake_by_event(&mut self, id: SlotId) -> bool {
        debug_assert!(self.is_collecting);
        self.wake_in(id, |tasks, id| {
            tasks.is_only_local = false;
            tasks.event_queue.push(id);
        })
    }

    #[inline(always)]
    fn wake_in(&mut self, id: SlotId, push: impl FnOnce(&mut Tasks, SlotId)) -> bool {
        let Some(entry) = self.slots.get_mut(id.slot()) else { return false };
        if entry.serial_low as u16 == id.generation() && entry.flags & QUEUED == 0 {
            entry.flags |= QUEUED;
            push(self, id);
        }
        true
    }

    /// Reads from the memory of the task in a slot, if there is one; see [`Task::fetch`](super::task::Task::fetch).
    #[inline]
    pub(crate) fn fetch(&self, slot: u32) {
        if let Some(task) = self.slots.get(slot).and_then(|entry| entry.task.as_ref()) {
            task.fetch();
        }
    }

    /// Queues the task that is in a slot now.
    pub(crate) fn wake_slot(&mut self, slot: u32) {
        if let Some(entry) = self.slots.get(slot) {
            self.wake(SlotId::new(self.runtime.number(), entry.serial_low as u16, slot));
        }
    }

    /// Queues the future of a new call of `block_on` ahead of everything else. The previous call may have ended in the
    /// middle of a turn of the loop, and left the queues in that state.
    pub(crate) fn begin_main(&mut self) {
        self.begin_without_main();
        self.events_next = 1;
        (self.is_main_queued, self.is_main_event, self.main_position) = (true, true, 0);
    }

    /// Begins to run tasks without a future of `block_on`. A waker of an earlier one may have queued it again.
    pub(crate) fn begin_without_main(&mut self) {
        self.is_collecting = false;
        self.is_only_local = false;
        self.is_main_queued = false;
    }

    /// Queues the future of `block_on`, unless it is queued already.
    #[inline]
    pub(crate) fn wake_main(&mut self) {
        if !self.is_main_queued {
            self.is_main_queued = true;
            self.is_only_local = false;
            self.is_main_event = self.is_collecting;
            self.main_position =
                if self.is_collecting { self.event_queue.pushed() } else { self.local_queue.pushed() };
        }
    }

    /// Takes the future of `block_on` if it is queued. Called when [`next`](Tasks::next) has returned no task.
    #[inline]
    pub(crate) fn take_main(&mut self) -> bool {
        if !self.is_main_queued {
            return false;
        }
        debug_assert!(self.is_main_next());
        self.is_main_queued = false;
        self.is_main_overdue = false;
        self.events_next = if self.is_main_event { self.events_next.saturating_sub(1) } else { 1 };
        true
    }

    /// Takes the future of `block_on` if it is queued and nothing else is.
    #[inline]
    pub(crate) fn take_main_alone(&mut self) -> bool {
        self.is_main_queued && self.local_queue.len() == 0 && self.event_queue.len() == 0 && self.take_main()
    }

    /// Returns whether it is the turn of the future of `block_on`, provided that it is queued.
    #[inline]
    fn is_main_next(&self) -> bool {
        let (queue, other) = if self.is_main_event {
            (&self.event_queue, &self.local_queue)
        } else {
            (&self.local_queue, &self.event_queue)
        };
        let is_turn = self.is_main_event == (self.events_next > 0) || other.len() == 0;
        is_turn && queue.popped() >= self.main_position
    }

    /// Begins to collect events: tasks that are woken or spawned go to the event queue until
    /// [`end_turn`](Tasks::end_turn) or [`stop_collecting`](Tasks::stop_collecting) is called.
    pub(crate) fn collect_events(&mut self) {
        self.is_collecting = true;
    }

    /// Ends the collection of a turn's events. Up to `max_events` of them run next. After that entries are taken from
    /// both queues in alternation. But if no entry has been taken from the local queue since the turn before this one,
    /// such an entry is taken first.
    pub(crate) fn end_turn(&mut self, max_events: usize) {
        self.is_collecting = false;
        let is_main_alone = self.is_main_queued && !self.is_main_event && self.local_queue.len() == 0;
        let is_main_due = is_main_alone && self.is_main_overdue;
        self.is_main_overdue = is_main_alone;
        let has_stopped = self.local_queue.len() > 0 && self.local_queue.popped() == self.locals_popped;
        let is_local_due = has_stopped || is_main_due;
        self.locals_popped = self.local_queue.popped();
        let events = self.event_queue.len() + usize::from(self.is_main_queued && self.is_main_event);
        self.events_next = if is_local_due { 0 } else { events.min(max_events) };
    }

    /// Ends a collection of events in the middle of a round. One of them runs next, and the others in alternation with
    /// local entries.
    pub(crate) fn stop_collecting(&mut self) {
        self.is_collecting = false;
        self.events_next = self.events_next.max(1);
    }

    /// From now on, takes entries from both queues in alternation.
    pub(crate) fn alternate(&mut self) {
        self.events_next = self.events_next.min(1);
    }

    /// Returns the number of entries that are queued, including the future of `block_on`.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.local_queue.len() + self.event_queue.len() + usize::from(self.is_main_queued)
    }

    /// Records that another thread has woken tasks.
    pub(crate) fn count_remote_wakes(&mut self) {
        self.remote_wakes = self.remote_wakes.wrapping_add(1);
    }

    /// Returns the number of times that other threads have woken tasks. It wraps.
    pub(crate) fn remote_wakes(&self) -> u32 {
        self.remote_wakes
    }

    /// Returns the number of entries in the event queue.
    pub(crate) fn events_queued(&self) -> usize {
        self.event_queue.len()
    }

    /// Returns a position that is [reached](Tasks::has_reached) once everything that is queued now has run.
    pub(crate) fn position(&self) -> QueuePosition {
        QueuePosition { local: self.local_queue.pushed() + 1, event: self.event_queue.pushed() + 1 }
    }

    pub(crate) fn has_reached(&self, position: QueuePosition) -> bool {
        self.local_queue.popped() >= position.local && self.event_queue.popped() >= position.event
    }

    /// Begins a turn of the loop: everything that has run by now lies before any position that is taken from now on.
    #[inline]
    pub(crate) fn begin_turn(&mut self) {
        self.local_queue.skip_if_empty();
        self.event_queue.skip_if_empty();
    }

    #[inline(always)]
    fn push(&mut self, id: SlotId) {
        // Careful: if this selected one of two references, the processor would have to wait for the computed address. A
        // branch is predicted instead. The same holds below.
        if self.is_collecting {
            self.push_event(id);
        } else {
            self.local_queue.push(id);
        }
    }

    #[inline(never)]
    fn push_event(&mut self, id: SlotId) {
        self.is_only_local = false;
        self.event_queue.push(id);
    }

    // In line, or each poll has one more call.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn pop(&mut self) -> Option<SlotId> {
        if self.events_next > 0 {
            let Some(id) = self.event_queue.pop() else { return self.local_queue.pop() };
            self.events_next -= 1;
            return Some(id);
        }
        let Some(id) = self.local_queue.pop() else { return self.event_queue.pop() };
        self.events_next = 1;
        Some(id)
    }

    /// Takes the next entry from the queues. Returns `None` if nothing is queued, or if it is the turn of the future
    /// of `block_on`.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<SlotId> {
        if self.is_only_local { self.local_queue.pop() } else { self.next_of_all() }
    }

    #[inline(always)]
    fn next_of_all(&mut self) -> Option<SlotId> {
        if self.is_main_queued {
            return if self.is_main_next() { None } else { self.pop() };
        }
        if self.event_queue.len() > 0 {
            return self.pop();
        }
        self.is_only_local = true;
        self.local_queue.pop()
    }

    /// Returns the id of the task that runs next. Returns `None` if nothing is queued, or if it is the turn of the
    /// future of `block_on`. Entries that are out of date are taken from the queues.
    pub(crate) fn peek(&mut self) -> Option<SlotId> {
        loop {
            if self.is_main_queued && self.is_main_next() {
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

    /// Takes the task of an entry out of its slot. Returns `None` if the entry is out of date.
    #[inline(always)]
    pub(crate) fn take(&mut self, id: SlotId) -> Option<Taken> {
        let entry = self.slots.get_mut(id.slot())?;
        // A task that ended while it was queued stays marked as queued, so that no wake queues it.
        if entry.serial_low as u16 != id.generation() || entry.done {
            return None;
        }
        entry.flags &= !QUEUED;
        let is_aborted = entry.flags & ABORTED != 0;
        entry.task.take().map(|task| Taken { task, is_aborted })
    }

    /// Puts a task that is not ready back into its slot.
    #[inline]
    pub(crate) fn park(&mut self, slot: u32, task: BoxedTask) {
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.put(task);
        }
    }

    /// Ends a task. If it has a join handle, `task` is kept for the handle. Otherwise the slot is released. Returns
    /// what the caller has to drop and to wake.
    #[inline]
    pub(crate) fn finish(&mut self, slot: u32, task: BoxedTask) -> Leftovers {
        self.ended += 1;
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

    /// Aborts a task: the next time it would run, it is dropped instead of polled.
    pub(crate) fn abort(&mut self, of: TaskRef) {
        if let Some(entry) = self.entry(of)
            && !entry.done
        {
            entry.flags |= ABORTED;
            self.wake_slot(of.slot());
        }
    }

    /// Aborts the task with a serial number, which another thread has sent.
    pub(crate) fn abort_serial(&mut self, slot: u32, serial: u64) {
        self.abort(TaskRef::new(self.runtime, serial, slot));
    }

    /// Returns whether the task has ended.
    pub(crate) fn is_finished(&mut self, of: TaskRef) -> bool {
        self.entry(of).is_none_or(|entry| entry.done)
    }

    /// Moves the output into the result of `output`, an empty `Option` of its type, if the task is done. Otherwise
    /// stores the waker of the join handle. `copy` clones the waker if that runs no user code.
    #[inline(always)]
    pub(crate) fn join<'a>(
        &mut self,
        of: TaskRef,
        output: impl FnOnce() -> &'a mut dyn Any,
        waker: &Waker,
        copy: impl Fn(&Waker) -> Option<Waker>,
    ) -> Joined {
        let Some(entry) = self.entry(of) else { return Joined::Gone };
        if entry.done {
            // The end of the task has taken the waker, and none is stored after that.
            debug_assert!(entry.join_waker.is_none());
            let task = entry.task.take();
            entry.vacate();
            self.slots.release(of.slot());
            return task.map_or(Joined::Gone, |task| Joined::Done(task.take(output(), &mut self.free_lists)));
        }
        if entry.join_waker.as_ref().is_some_and(|join_waker| join_waker.will_wake(waker)) {
            return Joined::Pending(None);
        }
        match copy(waker) {
            Some(copy) => Joined::Pending(entry.join_waker.replace(copy)),
            None => Joined::NeedsWaker,
        }
    }

    /// Stores the waker of the join handle, and returns the earlier one for the caller to drop.
    ///
    /// # Errors
    ///
    /// Returns the waker if the task has ended.
    pub(crate) fn set_join_waker(&mut self, of: TaskRef, waker: Waker) -> Result<Option<Waker>, Waker> {
        match self.entry(of) {
            Some(entry) if !entry.done => Ok(entry.join_waker.replace(waker)),
            _ => Err(waker),
        }
    }

    /// Detaches a task whose join handle has been dropped. The task continues to run. If it is done, its output is
    /// returned for the caller to drop.
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

    /// Detaches a task that has not ended and has no join waker, so that nothing is left to be dropped. Returns
    /// `false`, and changes nothing, for any other task.
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

    /// Returns the [`TaskId`] of the task that an id refers to, if the task still has its slot.
    pub(crate) fn name(&self, id: SlotId) -> Option<TaskId> {
        let entry = self.slots.get(id.slot())?;
        let serial = u64::from(entry.serial_high) << 32 | u64::from(entry.serial_low);
        // No task has the serial number zero.
        (serial != 0 && serial as u16 == id.generation()).then(|| TaskId::new(self.runtime.number(), serial))
    }

    /// Returns the place where the task in a slot was spawned.
    pub(crate) fn origin(&self, slot: u32) -> Origin {
        self.slots.get(slot).map_or(Origin::UNKNOWN, |entry| entry.origin)
    }

    /// Returns the number of tasks that have not ended.
    pub(crate) fn alive(&self) -> usize {
        (self.last_serial - self.first_serial - self.ended) as usize
    }

    /// Keeps the empty box of a task, whose future and output have been dropped, for reuse.
    #[inline]
    pub(crate) fn recycle(&mut self, task: BoxedTask) {
        if !self.closed {
            task.recycle(&mut self.free_lists);
        }
    }

    /// Frees memory that is not needed now. Called before the loop sleeps.
    pub(crate) fn shrink(&mut self) {
        self.free_lists.clear();
        self.slots.shrink();
        self.local_queue.shrink();
        self.event_queue.shrink();
    }

    /// Closes the runtime's list of tasks: adds no more tasks, and returns all tasks that exist, with the outputs that
    /// have not been taken. Their join handles then find no task, and report that it was aborted.
    pub(crate) fn close(&mut self) -> Vec<Leftovers> {
        self.closed = true;
        self.ended = self.last_serial - self.first_serial;
        self.free_lists.clear();
        self.local_queue.clear();
        self.event_queue.clear();
        let leftovers = self.slots.iter_mut().map(|entry| {
            entry.done = true;
            Leftovers { task: entry.task.take(), join_waker: entry.join_waker.take() }
        });
        leftovers.filter(|leftovers| !leftovers.is_empty()).collect()
    }

    /// Removes a task from its slot, and releases the slot.
    #[inline]
    fn remove(&mut self, slot: u32) -> Leftovers {
        let Some(entry) = self.slots.get_mut(slot) else { return Leftovers::default() };
        let leftovers = Leftovers { task: entry.task.take(), join_waker: entry.join_waker.take() };
        entry.vacate();
        self.slots.release(slot);
        leftovers
    }

    /// Returns the entry of the slot of a task, if that task still has it.
    #[inline]
    fn entry(&mut self, of: TaskRef) -> Option<&mut TaskSlot> {
        debug_assert_eq!(of.runtime(), self.runtime);
        let serial_parts = of.serial_parts();
        self.slots.get_mut(of.slot()).filter(|entry| (entry.serial_high, entry.serial_low) == serial_parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_done_is_not_queued_by_any_wake() {
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
        assert_eq!(size_of::<TaskSlot>(), 40 + size_of::<Origin>());
    }
}
