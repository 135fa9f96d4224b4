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

use super::id::Id;
use super::queue::Queue;
use super::recycled::Recycled;
use super::slots::{Slots, Tenant};
use super::task::BoxedTask;
use crate::task::Id as TaskId;
use std::any::Any;
use std::task::Waker;

/// Names a task exactly: serial numbers do not come again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskRef {
    pub(crate) slot: u32,
    pub(crate) id: TaskId,
}

/// All tasks of one runtime.
pub(crate) struct Tasks {
    runtime: u16,
    slots: Slots<Slot>,
    /// Ids of the slots that are to run, as their wakers have them. One that is out of date is skipped,
    /// or makes for one spurious poll.
    queue: Queue,
    pub(crate) recycled: Recycled,
    last_serial: u64,
    closed: bool,
}

struct Slot {
    serial_low: u32,
    serial_high: u16,
    flags: u8,
    /// The task has ended; what is left is its output, for its join handle.
    done: bool,
    /// Taken out while it is polled or dropped.
    task: Option<BoxedTask>,
    joiner: Option<Waker>,
}

/// So many of a serial number's bits count the tasks of one runtime: at thirty million a second, for ten
/// hours. Those above tell it from others that have had its [number](super::remote::Remote::round).
const TASKS_BITS: u32 = 40;

/// In the run queue; or done, so that no wake puts it there.
const QUEUED: u8 = 1;
/// To be dropped in its next turn.
const ABORTED: u8 = 2;
/// There is a join handle.
const JOINED: u8 = 4;

// What is done and queued already can be neither woken nor run nor aborted.
impl Tenant for Slot {
    const VACANT: Slot =
        Slot { serial_low: 0, serial_high: 0, flags: QUEUED, done: true, task: None, joiner: None };

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

/// What the executor is to do next.
pub(crate) struct Next {
    /// What its waker is.
    pub(crate) id: Id,
    pub(crate) task: BoxedTask,
    /// It is to be dropped rather than polled.
    pub(crate) aborted: bool,
}

/// What the caller has to do once its borrow is released.
#[must_use]
#[derive(Default)]
pub(crate) struct Leftovers {
    pub(crate) task: Option<BoxedTask>,
    pub(crate) joiner: Option<Waker>,
}

/// What a join handle learns.
pub(crate) enum Joined {
    /// Not done, and the waker is there. What comes along is to be dropped.
    Pending(Option<Waker>),
    /// Not done, and the waker has yet to be left, by [`Tasks::set_joiner`].
    LeaveWaker,
    /// Done: the output is where it was to go, or the task has failed. The slot is free again.
    Done(Option<BoxedTask>),
    /// There is no such task.
    Gone,
}

impl Leftovers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.task.is_none() && self.joiner.is_none()
    }
}

impl Tasks {
    pub(crate) fn new(runtime: u16, round: u16) -> Tasks {
        Tasks {
            runtime,
            slots: Slots::new(),
            queue: Queue::new(),
            recycled: Recycled::default(),
            last_serial: u64::from(round) << TASKS_BITS,
            closed: false,
        }
    }

    /// Whether the runtime is going: then no task may be inserted.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The name of a task that never was: for one that is spawned while the runtime is going.
    pub(crate) fn nobody(&mut self) -> TaskRef {
        self.last_serial += 1;
        TaskRef { slot: u32::MAX, id: TaskId::new(self.runtime, self.last_serial) }
    }

    /// Takes a task in and queues it.
    #[inline]
    pub(crate) fn insert(&mut self, task: BoxedTask) -> TaskRef {
        self.last_serial += 1;
        let id = TaskId::new(self.runtime, self.last_serial);
        let serial = id.serial();
        // Filled in where it is: a value made up field by field is slow to be moved as a whole.
        let (slot, tenant) = self.slots.occupy();
        tenant.serial_low = serial as u32;
        tenant.serial_high = (serial >> 32) as u16;
        tenant.flags = QUEUED | JOINED;
        tenant.done = false;
        tenant.put(task);
        self.queue.push(Id::new(self.runtime, serial as u16, slot));
        TaskRef { slot, id }
    }

    /// Queues the task that an id of this runtime names. False if the id has no slot here.
    #[inline]
    pub(crate) fn wake(&mut self, id: Id) -> bool {
        let Some(tenant) = self.slots.get_mut(id.slot()) else { return false };
        if tenant.serial_low as u16 == id.generation() && tenant.flags & QUEUED == 0 {
            tenant.flags |= QUEUED;
            self.queue.push(id);
        }
        true
    }

    /// Queues whichever task is in a slot.
    pub(crate) fn wake_slot(&mut self, slot: u32) {
        if let Some(tenant) = self.slots.get(slot) {
            self.wake(Id::new(self.runtime, tenant.serial_low as u16, slot));
        }
    }

    /// How many entries the run queue has.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How many entries have been taken from the run queue so far.
    #[inline]
    pub(crate) fn taken(&self) -> u64 {
        self.queue.taken()
    }

    /// What [`taken`](Tasks::taken) will be once all that are queued now have been taken.
    pub(crate) fn place(&self) -> u64 {
        self.queue.put()
    }

    /// Takes the next task out of its slot.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Next> {
        while let Some(id) = self.queue.pop() {
            let Some(tenant) = self.slots.get_mut(id.slot()) else {
                continue;
            };
            if tenant.serial_low as u16 != id.generation() {
                continue;
            }
            // Done while it was queued: it stays so, and no wake queues it.
            if tenant.done {
                continue;
            }
            tenant.flags &= !QUEUED;
            if let Some(task) = tenant.task.take() {
                let aborted = tenant.flags & ABORTED != 0;
                return Some(Next { id, task, aborted });
            }
        }
        None
    }

    /// Puts a task that has to wait back into its slot.
    #[inline]
    pub(crate) fn park(&mut self, slot: u32, task: BoxedTask) {
        if let Some(tenant) = self.slots.get_mut(slot) {
            tenant.put(task);
        }
    }

    /// Ends a task. `task` is what its join handle will take from; without one the slot is free.
    #[inline]
    pub(crate) fn finish(&mut self, slot: u32, task: BoxedTask) -> Leftovers {
        let Some(tenant) = self.slots.get_mut(slot) else {
            return Leftovers { task: Some(task), joiner: None };
        };
        if tenant.flags & JOINED == 0 {
            let joiner = self.remove(slot).joiner;
            return Leftovers { task: Some(task), joiner };
        }
        tenant.done = true;
        tenant.flags |= QUEUED;
        tenant.put(task);
        Leftovers { task: None, joiner: tenant.joiner.take() }
    }

    /// Asks a task to end: in its next turn it is dropped instead of polled.
    pub(crate) fn abort(&mut self, of: TaskRef) {
        if let Some(tenant) = self.tenant(of)
            && !tenant.done
        {
            tenant.flags |= ABORTED;
            self.wake_slot(of.slot);
        }
    }

    /// Whether the task has ended.
    pub(crate) fn is_finished(&mut self, of: TaskRef) -> bool {
        self.tenant(of).is_none_or(|tenant| tenant.done)
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
        let Some(tenant) = self.tenant(of) else { return Joined::Gone };
        if tenant.done {
            let Some(task) = self.remove(of.slot).task else { return Joined::Gone };
            return Joined::Done(task.take(output, &mut self.recycled));
        }
        if tenant.joiner.as_ref().is_some_and(|joiner| joiner.will_wake(waker)) {
            return Joined::Pending(None);
        }
        match copy(waker) {
            Some(copy) => Joined::Pending(tenant.joiner.replace(copy)),
            None => Joined::LeaveWaker,
        }
    }

    /// Leaves the join handle's waker, and gives back the one to drop: the earlier one, as a rule.
    pub(crate) fn set_joiner(&mut self, of: TaskRef, waker: Waker) -> Option<Waker> {
        match self.tenant(of) {
            Some(tenant) => tenant.joiner.replace(waker),
            None => Some(waker),
        }
    }

    /// The join handle is gone. The task goes on; if it is done, its output is to be dropped.
    pub(crate) fn detach(&mut self, of: TaskRef) -> Leftovers {
        let Some(tenant) = self.tenant(of) else {
            return Leftovers::default();
        };
        if tenant.done {
            return self.remove(of.slot);
        }
        tenant.flags &= !JOINED;
        Leftovers { task: None, joiner: tenant.joiner.take() }
    }

    /// The exact name of the task that an id names, if it still has its slot.
    pub(crate) fn name(&self, id: Id) -> Option<TaskId> {
        let tenant = self.slots.get(id.slot())?;
        let serial = u64::from(tenant.serial_high) << 32 | u64::from(tenant.serial_low);
        // Zero is nobody's.
        (serial != 0 && serial as u16 == id.generation()).then(|| TaskId::new(self.runtime, serial))
    }

    /// How many tasks have not ended.
    pub(crate) fn alive(&self) -> usize {
        self.slots.iter().filter(|tenant| !tenant.done).count()
    }

    /// Takes the box of a task of which nothing is left.
    #[inline]
    pub(crate) fn recycle(&mut self, task: BoxedTask) {
        if !self.closed {
            task.recycle(&mut self.recycled);
        }
    }

    /// The loop goes to sleep: gives back what is not needed now.
    pub(crate) fn rest(&mut self) {
        self.recycled.clear();
        self.slots.rest();
        self.queue.rest();
    }

    /// The runtime is going: takes no further task, and hands out all there are, with the outputs
    /// that nobody has taken yet. To their join handles they are gone, which counts as aborted.
    pub(crate) fn close(&mut self) -> Vec<Leftovers> {
        self.closed = true;
        self.recycled.clear();
        self.queue.clear();
        let leftovers = self.slots.iter_mut().map(|tenant| {
            tenant.done = true;
            Leftovers { task: tenant.task.take(), joiner: tenant.joiner.take() }
        });
        leftovers.filter(|leftovers| !leftovers.is_empty()).collect()
    }

    /// The slot is free again.
    #[inline]
    fn remove(&mut self, slot: u32) -> Leftovers {
        let Some(tenant) = self.slots.get_mut(slot) else { return Leftovers::default() };
        let leftovers = Leftovers { task: tenant.task.take(), joiner: tenant.joiner.take() };
        (tenant.serial_low, tenant.serial_high) = (0, 0);
        (tenant.flags, tenant.done) = (QUEUED, true);
        self.slots.vacate(slot);
        leftovers
    }

    /// The tenant of a slot, if it is the one that is meant.
    #[inline]
    fn tenant(&mut self, of: TaskRef) -> Option<&mut Slot> {
        debug_assert_eq!(of.id.runtime(), self.runtime);
        let serial = of.id.serial();
        self.slots.get_mut(of.slot).filter(|tenant| {
            tenant.serial_low == serial as u32 && tenant.serial_high == (serial >> 32) as u16
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_done_is_not_queued_whenever_it_was_woken() {
        let mut tasks = Tasks::new(1, 0);
        let task = crate::runtime::task::boxed(async {}, &mut tasks.recycled);
        tasks.insert(task);
        let Next { id, task, .. } = tasks.next().unwrap();
        tasks.wake(id);
        let _ = tasks.finish(id.slot(), task);
        assert_eq!(tasks.queued(), 1, "woken while it ran");
        assert!(tasks.next().is_none());
        tasks.wake(id);
        assert_eq!(tasks.queued(), 0);
    }

    #[test]
    fn a_slot_is_five_words() {
        assert_eq!(size_of::<Slot>(), 40);
    }
}
