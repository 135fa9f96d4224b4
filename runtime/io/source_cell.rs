//! Where a descriptor is registered, as its owner sees it: the id of the source, and what is known of it there.
//!
//! As a rule a descriptor has one cell, for both directions. If two runtimes wait for a direction each, as
//! with the halves of a stream on two threads, there are two: the descriptor is *split*, and [`Sides`] has one for each
//! direction. Then the whole registration is [`SourceId::SPLIT`], a source that no runtime has and of which both
//! directions count as drained. So the usual path finds nothing there and goes the longer way, where it is asked
//! whether a descriptor is split. Who is not split is not asked.
//!
//! All of it is in atomic words, so that the owner is `Send` and `Sync`. They change under the lock of the
//! [`Registration`](crate::runtime::io::registration::Registration).

use crate::runtime::id::{Id, RuntimeId, SourceId};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::readiness::{Readiness, ReadinessCell};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU16, AtomicU64, Ordering};

/// One cell.
pub(crate) struct SourceCell {
    /// An [`Id`]'s bits; zero while there is none.
    id: AtomicU64,
    /// Its [`RuntimeId`]'s bits. Written after `id`, and read before it: so whoever finds the runtime of the
    /// present registration finds its id as well.
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

    /// Reads both words. Unless it is done under the lock, they may be of two registrations: see
    /// [`Registration::id`](crate::runtime::io::registration::Registration::id).
    #[inline]
    pub(crate) fn load(&self) -> SourceId {
        let runtime = RuntimeId::from_bits(self.runtime.load(Ordering::Acquire));
        SourceId { id: Id::from_bits(self.id.load(Ordering::Relaxed)), runtime }
    }

    /// Returns whether there is one for each direction, in [`Sides`].
    #[inline]
    pub(crate) fn is_split(&self) -> bool {
        self.id.load(Ordering::Acquire) == SourceId::SPLIT.id.bits()
    }

    /// What is known of that source.
    #[inline]
    pub(crate) fn readiness(&self, id: SourceId) -> Readiness {
        self.readiness_cell.of(id.id)
    }

    /// Keeps what is known now. Only to be called where the source is, or if nobody watches it.
    #[inline]
    pub(crate) fn store(&self, readiness: Readiness) {
        self.readiness_cell.set(readiness);
    }

    /// Only to be called under the lock.
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

    /// Empties it, and gives what was there.
    pub(crate) fn take(&mut self) -> SourceId {
        let id = self.load();
        self.set(SourceId::NONE);
        id
    }
}

/// A registration for each direction, of a descriptor that has been split.
pub(crate) struct Sides {
    read: SourceCell,
    write: SourceCell,
    /// The descriptor's number, and that of its latest move, for who drops this.
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

    /// Only to be called under the lock.
    pub(crate) fn note(&self, fd: RawFd, moves: u16) {
        self.fd.store(fd, Ordering::Relaxed);
        self.moves.store(moves, Ordering::Relaxed);
    }

    /// Empties both, and gives what was there, with the descriptor's number and that of its latest move.
    pub(crate) fn take(&mut self) -> ([SourceId; 2], RawFd, u16) {
        ([self.read.take(), self.write.take()], *self.fd.get_mut(), *self.moves.get_mut())
    }
}
