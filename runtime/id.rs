//! Ids, which wakers and handles hold instead of pointers.
//!
//! An id refers to a slot of a runtime: `[runtime 16 | generation 16 | slot 32]` in one word. It can be copied,
//! compared and discarded freely, on any thread, even long after the task or source that it refers to has been
//! removed. The generation tells the current use of a slot from earlier ones. It wraps, and so does the number of the
//! runtime. So a stale id may cause a spurious wake, and no operation that could do more harm than that may rely on an
//! id alone.
//!
//! Handles need more than that: a stale handle must never refer to a later task. They hold a [`RuntimeId`], which in
//! practice is never reused.

/// An id of a runtime that is unique in practice: the runtime's number in the lower 16 bits, and the epoch above it.
/// Numbers are reused after 65,535 runtimes, and the epoch counts how often that has happened. Making that many
/// runtimes takes a second, so the pair does not repeat for 136 years.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RuntimeId(u64);

impl RuntimeId {
    /// Refers to no runtime, since numbers begin with 1.
    pub(crate) const NONE: RuntimeId = RuntimeId(0);

    #[inline]
    pub(crate) const fn new(number: u16, epoch: u32) -> RuntimeId {
        RuntimeId((epoch as u64) << 16 | number as u64)
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> RuntimeId {
        RuntimeId(bits)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn number(self) -> u16 {
        self.0 as u16
    }

    #[inline]
    pub(crate) fn epoch(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// A runtime, a slot of it and the slot's generation, packed into one word. It is never zero, since runtimes are
/// numbered from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SlotId(u64);

impl SlotId {
    /// The slot number of the future of `block_on`, which has no slot but lives on the stack of its caller.
    pub(crate) const MAIN: u32 = u32::MAX;

    pub(crate) fn new(runtime: u16, generation: u16, slot: u32) -> SlotId {
        SlotId(u64::from(runtime) << 48 | u64::from(generation) << 32 | u64::from(slot))
    }

    pub(crate) fn from_bits(bits: u64) -> SlotId {
        SlotId(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn runtime(self) -> u16 {
        (self.0 >> 48) as u16
    }

    pub(crate) fn generation(self) -> u16 {
        (self.0 >> 32) as u16
    }

    pub(crate) fn slot(self) -> u32 {
        self.0 as u32
    }
}

/// An id of a registered descriptor that is unique in practice: a [`SlotId`], and the runtime that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SourceId {
    pub(crate) id: SlotId,
    pub(crate) runtime: RuntimeId,
}

impl SourceId {
    /// Refers to no source and no runtime.
    pub(crate) const NONE: SourceId = SourceId { id: SlotId(0), runtime: RuntimeId::NONE };

    /// Marks a descriptor that has two sources, one for each direction: see `registration.rs`. No reactor has such a
    /// slot, and no runtime has the number 0.
    pub(crate) const SPLIT: SourceId =
        SourceId { id: SlotId(1 << 32 | u32::MAX as u64), runtime: RuntimeId::NONE };

    /// Stands for the waiters of threads that have no runtime: see `outside/`. No reactor has such a slot either.
    pub(crate) const OUTSIDE: SourceId =
        SourceId { id: SlotId(2 << 32 | u32::MAX as u64), runtime: RuntimeId::NONE };

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.id.0 == 0
    }

    #[inline]
    pub(crate) fn is_outside(self) -> bool {
        self.id.0 == SourceId::OUTSIDE.id.0
    }

    #[inline]
    pub(crate) fn is_split(self) -> bool {
        self.id.0 == SourceId::SPLIT.id.0
    }
}

#[cfg(test)]
mod tests {
    use super::{RuntimeId, SlotId};

    #[test]
    fn a_runtime_packs_and_unpacks() {
        for (number, epoch) in [(1, 0), (u16::MAX, u32::MAX)] {
            let id = RuntimeId::from_bits(RuntimeId::new(number, epoch).bits());
            assert_eq!((id.number(), id.epoch()), (number, epoch));
        }
    }

    #[test]
    fn packs_and_unpacks_the_extremes() {
        for runtime in [1, 0x8000, u16::MAX] {
            for generation in [0, 1, u16::MAX] {
                for slot in [0, 1, u32::MAX] {
                    let id = SlotId::from_bits(SlotId::new(runtime, generation, slot).bits());
                    assert_eq!((id.runtime(), id.generation(), id.slot()), (runtime, generation, slot));
                }
            }
        }
    }
}
