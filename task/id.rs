//! The id of a task.

use crate::runtime::context;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// An identifier of a task. Two tasks of a process have different ids as long as the runtimes of both exist. The id is
/// displayed as a number, which does not tell the order in which tasks were spawned.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(async { runtime::task::id() });
/// let id = task.id();
/// assert_eq!(task.await.unwrap(), id);
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(NonZeroU64);

/// The number of low bits of an id that hold its serial number within a runtime.
const SERIAL_BITS: u32 = 48;

impl Id {
    /// Creates the id of the task with a serial number in a runtime. The serial number must not be zero.
    #[inline]
    pub(crate) fn new(runtime: u16, serial: u64) -> Id {
        let serial = serial & ((1 << SERIAL_BITS) - 1);
        Id(NonZeroU64::new(u64::from(runtime) << SERIAL_BITS | serial).unwrap_or(NonZeroU64::MIN))
    }

    /// Creates an id for a task that is spawned from another thread or runs on one. Such tasks count as tasks
    /// of runtime 0.
    pub(crate) fn remote() -> Id {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Id::new(0, LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn from_bits(bits: u64) -> Option<Id> {
        NonZeroU64::new(bits).map(Id)
    }

    /// Restores an id from its bits, which must not be zero.
    #[inline]
    pub(crate) fn from_nonzero_bits(bits: u64) -> Id {
        Id(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    pub(crate) fn bits(self) -> u64 {
        self.0.get()
    }

    /// Returns the number of the task's runtime. It is 0 for ids made by [`remote`](Self::remote).
    pub(crate) fn runtime(self) -> u16 {
        (self.0.get() >> SERIAL_BITS) as u16
    }

    /// Returns the serial number of the task within its runtime.
    #[inline]
    pub(crate) fn serial(self) -> u64 {
        self.0.get() & ((1 << SERIAL_BITS) - 1)
    }
}

impl Id {
    /// Returns the number that is displayed. The runtime is in the low bits, so that the number is short.
    fn number(self) -> u64 {
        self.0.get().rotate_left(u64::BITS - SERIAL_BITS)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Id").field(&self.number()).finish()
    }
}

/// Returns the id of the task, or of the [blocking call](crate::task::spawn_blocking), that runs on this thread.
///
/// # Panics
///
/// Panics outside of a task and of a blocking call. The future of `block_on` is not a task.
#[track_caller]
pub fn id() -> Id {
    match try_id() {
        Some(id) => id,
        None => panic!("no task runs on this thread: call task::id inside a future that was spawned"),
    }
}

/// Returns the id of the task, or of the [blocking call](crate::task::spawn_blocking), that runs on this thread.
/// Returns `None` outside of a task and of a blocking call. The future of `block_on` is not a task.
pub fn try_id() -> Option<Id> {
    context::running()
}
