//! The atomics of the runtime: those of the standard library, or loom's when its models are checked.

pub(crate) mod atomic {
    #[cfg(all(runtime_loom, test))]
    pub(crate) use loom::sync::atomic::{AtomicU8, Ordering};
    #[cfg(not(all(runtime_loom, test)))]
    pub(crate) use std::sync::atomic::{AtomicU8, Ordering};
}
