//! The number of a task.

use crate::runtime::context;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names a task. No two tasks of a process have the same, as long as their runtimes live. It is displayed as a number,
/// which says nothing of the order of tasks.
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

/// How many bits of an id are its serial number within a runtime.
const SERIAL_BITS: u32 = 48;

impl Id {
    /// The task of a serial number, which is not zero, of a runtime.
    #[inline]
    pub(crate) fn new(runtime: u16, serial: u64) -> Id {
        let serial = serial & ((1 << SERIAL_BITS) - 1);
        Id(NonZeroU64::new(u64::from(runtime) << SERIAL_BITS | serial).unwrap_or(NonZeroU64::MIN))
    }

    /// For tasks that come from other threads or run there: they count as those of runtime 0.
    pub(crate) fn remote() -> Id {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Id::new(0, LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn from_bits(bits: u64) -> Option<Id> {
        NonZeroU64::new(bits).map(Id)
    }

    /// The same for the bits of an id, which are not zero.
    #[inline]
    pub(crate) fn from_nonzero_bits(bits: u64) -> Id {
        Id(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    pub(crate) fn bits(self) -> u64 {
        self.0.get()
    }

    /// Which runtime's it is; 0 for tasks away.
    pub(crate) fn runtime(self) -> u16 {
        (self.0.get() >> SERIAL_BITS) as u16
    }

    /// The number within its runtime.
    #[inline]
    pub(crate) fn serial(self) -> u64 {
        self.0.get() & ((1 << SERIAL_BITS) - 1)
    }
}

impl Id {
    /// What users see. With the runtime in the low bits, so that the number is short.
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
/// Outside of both; the future of `block_on` is no task.
#[track_caller]
pub fn id() -> Id {
    match try_id() {
        Some(id) => id,
        None => panic!("no task runs here: call task::id inside a future that was spawned"),
    }
}

/// Returns the id of the task, or of the [blocking call](crate::task::spawn_blocking), that runs on this thread.
/// `None` outside of both; the future of `block_on` is no task.
pub fn try_id() -> Option<Id> {
    context::running()
}
