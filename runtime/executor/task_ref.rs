//! Task references, which handles hold. No two tasks of a process ever have the same reference.
//!
//! ```text
//!  runtime_serial   epoch of the runtime 32 | its number 16 | serial number, upper 16
//!  serial_slot      serial number, lower 32 | slot 32
//! ```
//!
//! One shift yields the runtime for a comparison. Two shifts yield the [id](TaskId) that users see.

use crate::runtime::id::RuntimeId;
use crate::runtime::slots::MAX_SLOTS;
use crate::task::Id as TaskId;
use std::num::NonZeroU64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskRef {
    /// The upper word. It is never zero, so that an enum around it needs no more memory.
    runtime_serial: NonZeroU64,
    serial_slot: u64,
}

/// The slot number of a task that has been [refused](TaskRef::refused). No task has this slot.
const REFUSED: u32 = u32::MAX;

/// The slot number of a task that has [ended](TaskRef::ended). No task has this slot.
const ENDED: u32 = MAX_SLOTS as u32;

impl TaskRef {
    #[inline]
    pub(crate) fn new(runtime: RuntimeId, serial: u64, slot: u32) -> TaskRef {
        let runtime_serial = runtime.bits() << 16 | u64::from((serial >> 32) as u16);
        TaskRef {
            // Runtimes are numbered from 1.
            runtime_serial: NonZeroU64::new(runtime_serial).unwrap_or(NonZeroU64::MIN),
            serial_slot: serial << 32 | u64::from(slot),
        }
    }

    /// Returns the reference to a task that a runtime has refused, since the runtime is being dropped.
    pub(crate) fn refused(runtime: RuntimeId, serial: u64) -> TaskRef {
        TaskRef::new(runtime, serial, REFUSED)
    }

    /// Returns the reference to a task of which only the id is left.
    pub(crate) fn of_ended(id: TaskId) -> TaskRef {
        TaskRef::new(RuntimeId::new(id.runtime(), u32::MAX), id.serial(), ENDED)
    }

    /// Returns the reference to the task once its output has been returned.
    #[inline]
    pub(crate) fn ended(self) -> TaskRef {
        TaskRef { serial_slot: self.serial_slot & !u64::from(u32::MAX) | u64::from(ENDED), ..self }
    }

    #[inline]
    pub(crate) fn slot(self) -> u32 {
        self.serial_slot as u32
    }

    /// Returns the upper 16 and the lower 32 bits of the serial number.
    #[inline]
    pub(crate) fn serial_parts(self) -> (u16, u32) {
        (self.runtime_serial.get() as u16, (self.serial_slot >> 32) as u32)
    }

    #[inline]
    pub(crate) fn is_refused(self) -> bool {
        self.slot() == REFUSED
    }

    #[inline]
    pub(crate) fn is_ended(self) -> bool {
        self.slot() == ENDED
    }

    /// Returns whether the reference still holds the slot of the task.
    #[inline]
    pub(crate) fn has_slot(self) -> bool {
        (self.slot() as usize) < MAX_SLOTS
    }

    /// Returns the runtime that the task belongs to.
    #[inline]
    pub(crate) fn runtime(self) -> RuntimeId {
        RuntimeId::from_bits(self.runtime_serial.get() >> 16)
    }

    /// Returns the id that users see.
    #[inline]
    pub(crate) fn id(self) -> TaskId {
        TaskId::from_nonzero_bits(self.runtime_serial.get() << 32 | self.serial_slot >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_parts_are_found_again() {
        for runtime in [RuntimeId::new(1, 0), RuntimeId::new(u16::MAX, u32::MAX)] {
            for serial in [1, u64::from(u32::MAX), 1 << 32, (1 << 48) - 1] {
                for slot in [0, 1, ENDED - 1] {
                    let of = TaskRef::new(runtime, serial, slot);
                    assert_eq!((of.runtime(), of.slot()), (runtime, slot));
                    assert_eq!(of.id(), TaskId::new(runtime.number(), serial));
                    assert_eq!(of.serial_parts(), ((serial >> 32) as u16, serial as u32));
                    assert!(!of.is_ended() && !of.is_refused() && of.has_slot());
                    assert!(of.ended().is_ended() && of.ended().id() == of.id());
                    assert!(TaskRef::refused(runtime, serial).is_refused());
                }
            }
        }
    }

    #[test]
    fn the_id_of_a_task_of_no_runtime_is_kept() {
        for serial in [1, 1 << 32, (1 << 48) - 1] {
            let id = TaskId::new(0, serial);
            let of = TaskRef::of_ended(id);
            assert!(of.id() == id && of.is_ended());
        }
    }
}
