//! The registration of a descriptor as its owner sees it: the id of the source, and the recorded readiness.
//!
//! A descriptor usually has one cell, for both directions. If two runtimes wait for one direction each, as
//! with the halves of a stream on two threads, the descriptor is *split* and has two cells, one for each
//! direction, in [`Sides`]. The cell for both directions then holds [`SourceId::SPLIT`], a source that no
//! runtime has, and both of its directions count as drained. So the usual path finds nothing there and takes
//! the slow path, which checks whether the descriptor is split. The fast path makes no such check.
//!
//! All of this is in atomic words, so that the owner is `Send` and `Sync`. The words change under the lock of
//! the [`Registration`](crate::runtime::io::registration::Registration).

use crate::runtime::id::{RuntimeId, SlotId, SourceId};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::readiness::{Readiness, ReadinessCell};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU16, AtomicU64, Ordering};

/// The id of a source, and the recorded readiness of its directions.
pub(crate) struct SourceCell {
    /// The bits of the source's [`SlotId`], or zero while there is no source.
    id: AtomicU64,
    /// The bits of the source's [`RuntimeId`]. They are written after `id` and read before it. So a thread
    /// that reads the runtime of the present registration also reads the id of that registration.
    runtime: AtomicU64,
    readiness_cell: ReadinessCell,
}

impl SourceCell {
    pub(crate) fn none() -> SourceCell {
        SourceCell {
            id: AtomicU64::new(SourceId::NONE.id.bits()),
            runtime: AtomicU64::new(SourceId::NONE.runtime.bits()),
            readiness_cell: ReadinessCell::default(),
        }
    }

    /// Reads both words. Unless the caller holds the lock, they may belong to two registrations: see
    /// [`Registration::id`](crate::runtime::io::registration::Registration::id).
    #[inline]
    pub(crate) fn load(&self) -> SourceId {
        let runtime = RuntimeId::from_bits(self.runtime.load(Ordering::Acquire));
        SourceId { id: SlotId::from_bits(self.id.load(Ordering::Relaxed)), runtime }
    }

    /// Returns true if the descriptor is split, so that each direction has a cell in [`Sides`].
    #[inline]
    pub(crate) fn is_split(&self) -> bool {
        self.id.load(Ordering::Acquire) == SourceId::SPLIT.id.bits()
    }

    /// Returns the readiness recorded for that source.
    #[inline]
    pub(crate) fn readiness(&self, id: SourceId) -> Readiness {
        self.readiness_cell.of(id.id)
    }

    /// Records the readiness. Call this only on the thread of the source's runtime, or if no runtime watches
    /// the source.
    #[inline]
    pub(crate) fn store(&self, readiness: Readiness) {
        self.readiness_cell.set(readiness);
    }

    /// Replaces the source. Call this only under the lock.
    pub(crate) fn set(&self, id: SourceId) {
        self.readiness_cell.reset(id.id);
        self.set_id(id);
        self.set_runtime(id);
    }

    pub(crate) fn set_id(&self, id: SourceId) {
        self.id.store(id.id.bits(), Ordering::Release);
    }

    pub(crate) fn set_runtime(&self, id: SourceId) {
        self.runtime.store(id.runtime.bits(), Ordering::Release);
    }

    /// Empties the cell, and returns the source that it held.
    pub(crate) fn take(&mut self) -> SourceId {
        let id = self.load();
        self.set(SourceId::NONE);
        id
    }
}

/// The cells of a descriptor that has been split, one for each direction.
pub(crate) struct Sides {
    read: SourceCell,
    write: SourceCell,
    /// The number of the descriptor, for the code that drops the cells. `moves` is the number of its latest
    /// move.
    fd: AtomicI32,
    moves: AtomicU16,
}

impl Sides {
    pub(crate) fn none() -> Sides {
        Sides {
            read: SourceCell::none(),
            write: SourceCell::none(),
            fd: AtomicI32::new(-1),
            moves: AtomicU16::new(0),
        }
    }

    pub(crate) fn of(&self, direction: Direction) -> &SourceCell {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Records the number of the descriptor and that of its latest move. Call this only under the lock.
    pub(crate) fn note(&self, fd: RawFd, moves: u16) {
        self.fd.store(fd, Ordering::Relaxed);
        self.moves.store(moves, Ordering::Relaxed);
    }

    /// Empties both cells. Returns the sources that they held, the number of the descriptor, and that of its
    /// latest move.
    pub(crate) fn take(&mut self) -> ([SourceId; 2], RawFd, u16) {
        ([self.read.take(), self.write.take()], *self.fd.get_mut(), *self.moves.get_mut())
    }
}
