//! The reader-writer lock: a reader takes one permit of its cell and a writer takes all. Its guards are in the files
//! of this folder, the value and its permits in `lock_cell.rs`, and the queue of waiters in `batch_semaphore.rs`.

use super::TryLockError;
use super::lock_cell::{Exclusive, Lock, LockCell, Shared};
use std::fmt;
use std::sync::Arc;

mod read_guard;
mod write_guard;

pub use read_guard::{OwnedRwLockReadGuard, RwLockReadGuard};
pub use write_guard::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockWriteGuard, RwLockMappedWriteGuard, RwLockWriteGuard,
};

/// The maximum number of readers at a time: that of tokio.
const MAX_READERS: u32 = u32::MAX >> 3;

/// A reader-writer lock between the tasks of one thread, which may be held across an `.await`.
///
/// Several readers, or one writer, have access to the value at a time. A value that is not held across an `.await` needs
/// no lock on one thread: a `RefCell` or a `Cell` is faster.
///
/// The lock is fair: tasks that wait get it in the order in which they began to wait, and a reader waits while a writer
/// waits before it. So writers do not starve. A task that has a read guard and waits for a second one may wait forever,
/// if a writer began to wait in between. The lock is not poisoned by a panic.
///
/// # Examples
///
/// ```
/// use runtime::sync::RwLock;
///
/// # runtime::block_on(async {
/// let lock = RwLock::new(5);
/// {
///     let (one, two) = (lock.read().await, lock.read().await);
///     assert_eq!((*one, *two), (5, 5));
/// }
/// *lock.write().await += 1;
/// assert_eq!(*lock.read().await, 6);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    cell: LockCell<T>,
}

impl<T: ?Sized> Lock for RwLock<T> {
    type Value = T;

    #[inline]
    fn cell(&self) -> &LockCell<T> {
        &self.cell
    }
}

impl<T> RwLock<T> {
    /// Creates an unlocked lock.
    pub const fn new(value: T) -> RwLock<T> {
        RwLock::const_with_max_readers(value, MAX_READERS)
    }

    /// Creates an unlocked lock that has at most `max_reads` readers at a time. Further readers wait.
    ///
    /// # Panics
    ///
    /// Panics if `max_reads` is zero or greater than `u32::MAX >> 3`.
    #[track_caller]
    pub const fn with_max_readers(value: T, max_reads: u32) -> RwLock<T> {
        RwLock::const_with_max_readers(value, max_reads)
    }

    /// Creates an unlocked lock. This is the same as [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::RwLock;
    ///
    /// thread_local! {
    ///     static NAME: RwLock<String> = const { RwLock::const_new(String::new()) };
    /// }
    /// NAME.with(|name| assert!(name.try_read().unwrap().is_empty()));
    /// ```
    pub const fn const_new(value: T) -> RwLock<T> {
        RwLock::new(value)
    }

    /// Creates an unlocked lock that has at most `max_reads` readers at a time. This is the same as
    /// [`with_max_readers`](Self::with_max_readers).
    ///
    /// # Panics
    ///
    /// Panics if `max_reads` is zero or greater than `u32::MAX >> 3`.
    #[track_caller]
    pub const fn const_with_max_readers(value: T, max_reads: u32) -> RwLock<T> {
        assert!(max_reads > 0, "a RwLock may not be created with 0 readers");
        assert!(max_reads <= MAX_READERS, "a RwLock may not be created with more than u32::MAX >> 3 readers");
        RwLock { cell: LockCell::new(value, max_reads as usize) }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.cell.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading. If there is a writer, or somebody who waits already, waits for its turn.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = runtime::sync::RwLock::new(1);
    /// let guard = lock.read().await;
    /// assert_eq!(*guard, 1);
    /// assert!(lock.try_read().is_ok(), "a second reader");
    /// assert!(lock.try_write().is_err());
    /// # });
    /// ```
    pub async fn read(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard(Shared::acquire(self).await.without_lock())
    }

    /// Locks for reading with a guard that keeps the lock alive. Otherwise this is the same as [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue.
    pub async fn read_owned(self: Arc<Self>) -> OwnedRwLockReadGuard<T> {
        OwnedRwLockReadGuard(Shared::acquire(self).await)
    }

    /// Locks for reading if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// Returns an error if the lock is locked for writing, if a task waits for it, or if it has as many readers as it may
    /// have.
    #[inline]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        let guard = Shared::try_acquire(self).ok_or(TryLockError(()))?;
        Ok(RwLockReadGuard(guard.without_lock()))
    }

    /// Locks for reading with a guard that keeps the lock alive, if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// Returns an error if the lock is locked for writing, if a task waits for it, or if it has as many readers as it may
    /// have.
    #[inline]
    pub fn try_read_owned(self: Arc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        Shared::try_acquire(self).map(OwnedRwLockReadGuard).ok_or(TryLockError(()))
    }

    /// Locks for writing. If there are readers, a writer, or somebody who waits already, waits for its turn.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = runtime::sync::RwLock::new(1);
    /// let mut guard = lock.write().await;
    /// *guard = 2;
    /// assert!(lock.try_read().is_err());
    /// # });
    /// ```
    pub async fn write(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard(Exclusive::acquire(self).await.without_lock())
    }

    /// Locks for writing with a guard that keeps the lock alive. Otherwise this is the same as [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue.
    pub async fn write_owned(self: Arc<Self>) -> OwnedRwLockWriteGuard<T> {
        OwnedRwLockWriteGuard(Exclusive::acquire(self).await)
    }

    /// Locks for writing if the lock is not locked.
    ///
    /// # Errors
    ///
    /// Returns an error if the lock is locked.
    #[inline]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        let guard = Exclusive::try_acquire(self).ok_or(TryLockError(()))?;
        Ok(RwLockWriteGuard(guard.without_lock()))
    }

    /// Locks for writing with a guard that keeps the lock alive, if the lock is not locked.
    ///
    /// # Errors
    ///
    /// Returns an error if the lock is locked.
    #[inline]
    pub fn try_write_owned(self: Arc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        Exclusive::try_acquire(self).map(OwnedRwLockWriteGuard).ok_or(TryLockError(()))
    }

    /// Returns the value without locking, because the mutable reference to the lock is the only one.
    pub fn get_mut(&mut self) -> &mut T {
        self.cell.get_mut()
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => lock.field("data", &&*guard),
            Err(_) => lock.field("data", &format_args!("<locked>")),
        };
        lock.finish()
    }
}
