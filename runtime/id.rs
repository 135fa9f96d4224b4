//! Ids: what wakers and handles hold in place of pointers.
//!
//! An id names a slot of a runtime: `[runtime 16 | generation 16 | slot 32]` in one word. It can be
//! copied, compared and thrown away freely, on any thread, long after what it named has gone. The
//! generation tells a slot's present tenant from its earlier ones; it wraps, so it may make a stale
//! id harmless but must never be what correctness rests on.

/// A slot of a runtime, packed into one word. Never zero, since runtimes are numbered from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Id(u64);

impl Id {
    /// The slot number that stands for the future of `block_on`, which lives on its caller's stack.
    pub(crate) const MAIN: u32 = u32::MAX;

    pub(crate) fn new(runtime: u16, generation: u16, slot: u32) -> Id {
        Id(u64::from(runtime) << 48 | u64::from(generation) << 32 | u64::from(slot))
    }

    pub(crate) fn from_bits(bits: u64) -> Id {
        Id(bits)
    }

    pub(crate) fn bits(self) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn packs_and_unpacks_the_extremes() {
        for runtime in [1, 0x8000, u16::MAX] {
            for generation in [0, 1, u16::MAX] {
                for slot in [0, 1, u32::MAX] {
                    let id = Id::from_bits(Id::new(runtime, generation, slot).bits());
                    assert_eq!((id.runtime(), id.generation(), id.slot()), (runtime, generation, slot));
                }
            }
        }
    }
}
