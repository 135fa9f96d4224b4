//! The list of all runtimes of the process, by number. A waker that is used on another thread finds its runtime here.
//!
//! Numbers are given out in turn, so that a number stays unused for as long as possible before it is reused: then the
//! waker of a dropped runtime seldom finds another runtime under its number. The epoch of a runtime is the number of
//! times that its number has been reused.
//!
//! # After fork(2)
//!
//! The child inherits the list in its state at the time of the fork, with locks that threads of the parent may hold. So
//! there is no lock around the whole list, but one in each slot, next to the number of the process that took the slot.
//! The child cannot find a runtime of its parent, since none of its threads runs that runtime. So it never waits for
//! the lock of such a slot. The number of such a runtime stays taken until the child drops the runtime, and the epochs
//! continue: no runtime of the child has the same id as one that it has inherited.

use crate::runtime::id::{RuntimeId, SlotId};
use crate::runtime::remote::Remote;
use crate::runtime::selector::Process;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The number of runtime numbers, which begin with 1. Under Miri there are fewer: it tracks each reference into the
/// list, and takes seconds to search a long list.
const NUMBERS: usize = if cfg!(miri) { 64 } else { u16::MAX as usize };

/// The count of numbers that have been given out or skipped.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The slot of each number. Only as many memory pages are touched as there are runtimes.
static SLOTS: [RegistrySlot<Remote>; NUMBERS] = [const { RegistrySlot::vacant() }; NUMBERS];

struct RegistrySlot<T> {
    /// The [number](Process::number) of the process that took the slot, or zero if it is vacant.
    process: AtomicU32,
    /// The runtime. It is locked for a moment when a runtime is made or dropped, and read by wakers on other threads.
    runtime: RwLock<Option<Arc<T>>>,
}

/// Gives a new runtime its id, and adds it to the list.
///
/// # Errors
///
/// Returns an error if there are 65,535 runtimes already.
pub(crate) fn register(process: Process, make: impl FnOnce(RuntimeId) -> Remote) -> io::Result<Arc<Remote>> {
    let taken = RegistrySlot::take(&SLOTS, &COUNT, process, make);
    taken.ok_or_else(|| io::Error::other(format!("there are {NUMBERS} runtimes in this process already")))
}

/// Returns the runtime with an id, unless it has been dropped.
pub(crate) fn find(id: RuntimeId) -> Option<Arc<Remote>> {
    find_number(id.number()).filter(|remote| remote.id() == id)
}

/// Returns the runtime that has a number now.
fn find_number(number: u16) -> Option<Arc<Remote>> {
    SLOTS.get(usize::from(number).checked_sub(1)?)?.find(Process::current())
}

/// Wakes the task that an id refers to, from any thread. Does nothing if the runtime has been dropped.
pub(crate) fn wake(id: SlotId) {
    // The lock is not held during the wake, which may make a system call.
    if let Some(remote) = find_number(id.runtime()) {
        remote.wake(id.slot());
    }
}

/// Removes a runtime that is being dropped.
pub(crate) fn deregister(id: RuntimeId) {
    SLOTS[usize::from(id.number()) - 1].release(Process::current());
}

impl<T> RegistrySlot<T> {
    const fn vacant() -> RegistrySlot<T> {
        RegistrySlot { process: AtomicU32::new(0), runtime: RwLock::new(None) }
    }

    /// Takes the next vacant slot, and fills it with what `make` returns for its id. Returns `None` if all slots are
    /// taken.
    fn take(
        slots: &[RegistrySlot<T>],
        count: &AtomicU64,
        process: Process,
        make: impl FnOnce(RuntimeId) -> T,
    ) -> Option<Arc<T>> {
        for _ in 0..slots.len() {
            let count = count.fetch_add(1, Ordering::Relaxed);
            let (index, epoch) = (count as usize % slots.len(), count / slots.len() as u64);
            let slot = &slots[index];
            let taken =
                slot.process.compare_exchange(0, process.number(), Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_err() {
                continue;
            }
            // Another thread may hold the lock because it looks for a runtime that has been dropped. If it was a thread
            // of the parent, which does not exist in the child, the number is skipped each time.
            let Ok(mut runtime) = slot.runtime.try_write() else {
                slot.process.store(0, Ordering::Release);
                continue;
            };
            let made = Arc::new(make(RuntimeId::new(index as u16 + 1, epoch as u32)));
            *runtime = Some(made.clone());
            return Some(made);
        }
        None
    }

    fn find(&self, process: Process) -> Option<Arc<T>> {
        if self.process.load(Ordering::Acquire) != process.number() {
            return None;
        }
        // Nothing that can panic runs under this lock.
        self.runtime.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn release(&self, process: Process) {
        let is_own = self.process.load(Ordering::Acquire) == process.number();
        let runtime = match is_own {
            true => Some(self.runtime.write().unwrap_or_else(PoisonError::into_inner)),
            false => self.runtime.try_write().ok(),
        };
        // If a thread of the parent held the lock at the time of the fork, the number stays taken in the child.
        let Some(mut runtime) = runtime else { return };
        let gone = runtime.take();
        drop(runtime);
        self.process.store(0, Ordering::Release);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type List = Vec<RegistrySlot<RuntimeId>>;

    fn slots() -> List {
        (0..NUMBERS).map(|_| RegistrySlot::vacant()).collect()
    }

    fn name(number: u16, epoch: u32) -> RuntimeId {
        RuntimeId::new(number, epoch)
    }

    #[test]
    #[cfg_attr(miri, ignore = "65,536 numbers are too many for an interpreter")]
    fn numbers_are_not_zero_and_are_reused_late() {
        let (slots, count, process) = (slots(), AtomicU64::new(0), Process::current());
        for round in 0..2 {
            for id in 1..=u16::MAX {
                let taken = RegistrySlot::take(&slots, &count, process, |name| name).unwrap();
                assert_eq!(*taken, name(id, round));
                slots[usize::from(id) - 1].release(process);
            }
        }
        assert_eq!(*RegistrySlot::take(&slots, &count, process, |name| name).unwrap(), name(1, 2));
    }

    #[test]
    #[cfg_attr(miri, ignore = "65,536 numbers are too many for an interpreter")]
    fn a_number_that_is_taken_is_skipped() {
        let (slots, count, process) = (slots(), AtomicU64::new(0), Process::current());
        let take = || RegistrySlot::take(&slots, &count, process, |name| name).map(|name| *name);
        assert_eq!(take(), Some(name(1, 0)));
        for id in 2..=u16::MAX {
            assert_eq!(take(), Some(name(id, 0)));
        }
        assert_eq!(take(), None, "all are taken");
        for id in [7, 9] {
            slots[id - 1].release(process);
        }
        // The failed attempt has gone through all numbers once.
        assert_eq!((take(), take(), take()), (Some(name(7, 2)), Some(name(9, 2)), None));
        assert!(slots[6].find(process).is_some_and(|found| *found == name(7, 2)));
        slots[6].release(process);
        assert!(slots[6].find(process).is_none());
    }

    /// A thread that looks for a dropped runtime does not delay a new one.
    #[test]
    fn a_number_whose_slot_is_being_read_is_skipped() {
        let slots: List = (0..3).map(|_| RegistrySlot::vacant()).collect();
        let (count, process) = (AtomicU64::new(0), Process::current());
        let take = || RegistrySlot::take(&slots, &count, process, |name| name).map(|name| name.number());
        let looks = slots[0].runtime.read();
        assert_eq!((take(), take(), take()), (Some(2), Some(3), None));
        drop(looks);
        assert_eq!(take(), Some(1));
    }
}
