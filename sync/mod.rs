//! Channels, locks and other means by which the tasks of one thread wait for each other.
//!
//! The types have the names, the signatures and the meanings of `tokio::sync`, but are local to a thread: they are
//! neither `Send` nor `Sync`, and use no atomic operations. A program with one thread compiles with either, unless it
//! demands `Send` or `Sync` itself: in a `static`, in bounds of its own, or in an error that contains a message.
//!
//! Waiters are served first in, first out, unless the documentation of a method says otherwise. An operation that does
//! not have to wait completes in the first poll of its future, and allocates nothing, except that the queue of a channel
//! grows with its messages.
//!
//! # Across threads
//!
//! To wait for another thread, use the types of `tokio::sync` (with `default-features = false, features = ["sync"]`, it
//! needs no runtime of its own) or of another crate that relies on wakers alone, such as async-channel and flume. They work
//! on this runtime, and also have the `blocking_*` methods, which have no place here: a thread that blocked would wait
//! for itself.

// Each type is a file, or a folder if it needs several. If many futures can wait, they wait in a list of `wait_list.rs`; if
// only one can, its waker is in a `WakerCell`. Nothing is borrowed while user code runs, except for the value of a `watch`
// channel while the caller's code reads or changes it. The folder knows the budget of tasks and foreign wakers, but not the
// loop. Only `mpsc::Sender::send_timeout` knows timers.

pub mod broadcast;

pub mod futures {
    //! The named futures of this module.

    pub use crate::sync::notify::{Notified, OwnedNotified};
}

pub mod mpsc;
pub mod oneshot;
pub mod watch;

mod barrier;
mod batch_semaphore;
mod cancellation_token;
mod condition;
mod lock_cell;
mod mutex;
mod notify;
mod once_cell;
mod once_value;
mod rwlock;
mod semaphore;
mod set_once;
mod wait_list;

pub use barrier::{Barrier, BarrierWaitResult};
pub use batch_semaphore::{AcquireError, TryAcquireError};
pub use cancellation_token::{
    CancellationToken, DropGuard, DropGuardRef, WaitForCancellationFuture, WaitForCancellationFutureOwned,
};
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard, TryLockError};
pub use notify::Notify;
pub use once_cell::{OnceCell, SetError};
pub use rwlock::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockMappedWriteGuard,
    RwLockReadGuard, RwLockWriteGuard,
};
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
pub use set_once::{SetOnce, SetOnceError};
