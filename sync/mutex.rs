//! The mutex and its guards. The value and its permit are in `lock_cell.rs`, and the queue of waiters in
//! `batch_semaphore.rs`.

use super::lock_cell::{Exclusive, Lock, LockCell, exclusive_guard};
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A mutex between the tasks of one thread, which may be held across an `.await`.
///
/// A value that is not held across an `.await` needs no mutex on one thread: a `RefCell` or a `Cell` is faster. This type
/// is for operations of several steps, such as writes to a connection that only one task at a time may use.
///
/// The mutex is fair: tasks that wait get the lock in the order in which they began to wait. It is not poisoned: if a
/// task panics while it holds the lock, the next one gets it.
///
/// # Examples
///
/// ```
/// use runtime::sync::Mutex;
/// use std::rc::Rc;
///
/// # runtime::block_on(async {
/// let mutex = Rc::new(Mutex::new(Vec::new()));
/// let mut tasks = Vec::new();
/// for task in 0..3 {
///     let mutex = mutex.clone();
///     tasks.push(runtime::spawn(async move {
///         let mut value = mutex.lock().await;
///         value.push(task);
///         runtime::task::yield_now().await; // The other tasks wait.
///         value.push(task);
///     }));
/// }
/// for task in tasks {
///     task.await.unwrap();
/// }
/// assert_eq!(*mutex.lock().await, [0, 0, 1, 1, 2, 2]);
/// # });
/// ```
pub struct Mutex<T: ?Sized> {
    cell: LockCell<T>,
}

impl<T: ?Sized> Lock for Mutex<T> {
    type Value = T;

    #[inline]
    fn cell(&self) -> &LockCell<T> {
        &self.cell
    }
}

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    pub const fn new(t: T) -> Mutex<T> {
        Mutex { cell: LockCell::new(t, 1) }
    }

    /// Creates an unlocked mutex. This is the same as [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Mutex;
    ///
    /// thread_local! {
    ///     static LOG: Mutex<String> = const { Mutex::const_new(String::new()) };
    /// }
    /// LOG.with(|log| log.try_lock().unwrap().push_str("entry"));
    /// ```
    pub const fn const_new(t: T) -> Mutex<T> {
        Mutex::new(t)
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.cell.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex. If it is locked, waits for its turn.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mutex = runtime::sync::Mutex::new(1);
    /// *mutex.lock().await += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// # });
    /// ```
    pub async fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Exclusive::acquire(self).await)
    }

    /// Locks the mutex with a guard that keeps it alive. Otherwise this is the same as [`lock`](Self::lock).
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Mutex;
    /// use std::sync::Arc;
    ///
    /// # runtime::block_on(async {
    /// let mutex = Arc::new(Mutex::new(1));
    /// let mut guard = mutex.clone().lock_owned().await;
    /// runtime::spawn(async move { *guard += 1 }).await.unwrap();
    /// assert_eq!(*mutex.lock().await, 2);
    /// # });
    /// ```
    pub async fn lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        OwnedMutexGuard(Exclusive::acquire(self).await)
    }

    /// Locks the mutex if it is not locked.
    ///
    /// # Errors
    ///
    /// Returns an error if the mutex is locked.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = runtime::sync::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        Exclusive::try_acquire(self).map(MutexGuard).ok_or(TryLockError(()))
    }

    /// Locks the mutex with a guard that keeps it alive, if it is not locked.
    ///
    /// # Errors
    ///
    /// Returns an error if the mutex is locked.
    #[inline]
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        Exclusive::try_acquire(self).map(OwnedMutexGuard).ok_or(TryLockError(()))
    }

    /// Returns the value without locking, because the mutable reference to the mutex is the only one.
    pub fn get_mut(&mut self) -> &mut T {
        self.cell.get_mut()
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(t: T) -> Mutex<T> {
        Mutex::new(t)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mutex = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => mutex.field("data", &&*guard),
            Err(_) => mutex.field("data", &format_args!("<locked>")),
        };
        mutex.finish()
    }
}

/// A guard of a [`Mutex`], which it unlocks when it is dropped.
#[must_use = "if it is dropped, it unlocks the mutex"]
pub struct MutexGuard<'a, T: ?Sized>(Exclusive<&'a Mutex<T>, T>);

/// A guard of a [`Mutex`] that keeps it alive. It unlocks the mutex when it is dropped.
#[must_use = "if it is dropped, it unlocks the mutex"]
pub struct OwnedMutexGuard<T: ?Sized>(Exclusive<Arc<Mutex<T>>, T>);

/// A guard of a [`Mutex`] that leads to a part of the value. It unlocks the mutex when it is dropped.
#[must_use = "if it is dropped, it unlocks the mutex"]
pub struct MappedMutexGuard<'a, T: ?Sized>(Exclusive<PhantomData<&'a ()>, T>);

/// A guard of a [`Mutex`] that keeps it alive and leads to a part of its value. It unlocks the mutex when it is dropped.
#[must_use = "if it is dropped, it unlocks the mutex"]
pub struct OwnedMappedMutexGuard<T: ?Sized, U: ?Sized = T>(Exclusive<Arc<Mutex<T>>, U>);

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Narrows the guard to a part of the value.
    ///
    /// This is an associated function, called as `MutexGuard::map(guard, f)`, so that it does not hide a method of the
    /// value.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::{Mutex, MutexGuard};
    ///
    /// # runtime::block_on(async {
    /// let mutex = Mutex::new((1, "one"));
    /// let mut number = MutexGuard::map(mutex.lock().await, |pair| &mut pair.0);
    /// *number = 2;
    /// drop(number);
    /// assert_eq!(mutex.into_inner(), (2, "one"));
    /// # });
    /// ```
    #[inline]
    pub fn map<U: ?Sized, F>(this: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        MappedMutexGuard(this.0.without_lock().map(f))
    }

    /// Narrows the guard to a part of the value, if there is such a part. Otherwise returns the guard as the error.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::{Mutex, MutexGuard};
    ///
    /// # runtime::block_on(async {
    /// let mutex = Mutex::new(vec![1]);
    /// let guard = mutex.lock().await;
    /// let guard = MutexGuard::try_map(guard, |list| list.get_mut(5)).unwrap_err();
    /// let first = MutexGuard::try_map(guard, |list| list.get_mut(0)).unwrap();
    /// assert_eq!(*first, 1);
    /// # });
    /// ```
    #[inline]
    pub fn try_map<U: ?Sized, F>(this: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        match this.0.try_map(f) {
            Ok(part) => Ok(MappedMutexGuard(part.without_lock())),
            Err(whole) => Err(MutexGuard(whole)),
        }
    }

    /// Returns the mutex.
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.0.lock()
    }
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// Narrows the guard to a part of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::{Mutex, OwnedMutexGuard};
    /// use std::sync::Arc;
    ///
    /// # runtime::block_on(async {
    /// let mutex = Arc::new(Mutex::new((1, "one")));
    /// let number = OwnedMutexGuard::map(mutex.lock_owned().await, |pair| &mut pair.0);
    /// assert_eq!(*number, 1);
    /// # });
    /// ```
    #[inline]
    pub fn map<U: ?Sized, F>(this: Self, f: F) -> OwnedMappedMutexGuard<T, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        OwnedMappedMutexGuard(this.0.map(f))
    }

    /// Narrows the guard to a part of the value, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<U: ?Sized, F>(this: Self, f: F) -> Result<OwnedMappedMutexGuard<T, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        this.0.try_map(f).map(OwnedMappedMutexGuard).map_err(OwnedMutexGuard)
    }

    /// Returns the mutex.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        this.0.lock()
    }
}

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    /// Narrows the guard further.
    #[inline]
    pub fn map<U: ?Sized, F>(this: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        MappedMutexGuard(this.0.map(f))
    }

    /// Narrows the guard further, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<U: ?Sized, F>(this: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        this.0.try_map(f).map(MappedMutexGuard).map_err(MappedMutexGuard)
    }
}

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    /// Narrows the guard further.
    #[inline]
    pub fn map<S: ?Sized, F>(this: Self, f: F) -> OwnedMappedMutexGuard<T, S>
    where
        F: FnOnce(&mut U) -> &mut S,
    {
        OwnedMappedMutexGuard(this.0.map(f))
    }

    /// Narrows the guard further, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<S: ?Sized, F>(this: Self, f: F) -> Result<OwnedMappedMutexGuard<T, S>, Self>
    where
        F: FnOnce(&mut U) -> Option<&mut S>,
    {
        this.0.try_map(f).map(OwnedMappedMutexGuard).map_err(OwnedMappedMutexGuard)
    }
}

exclusive_guard!(['a, T: ?Sized] MutexGuard<'a, T> => T);
exclusive_guard!([T: ?Sized] OwnedMutexGuard<T> => T);
exclusive_guard!(['a, T: ?Sized] MappedMutexGuard<'a, T> => T);
exclusive_guard!([T: ?Sized, U: ?Sized] OwnedMappedMutexGuard<T, U> => U);

/// The error of [`Mutex::try_lock`], [`RwLock::try_read`](super::RwLock::try_read) and similar methods: the call would
/// have to wait.
#[derive(Debug)]
pub struct TryLockError(pub(super) ());

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("operation would block")
    }
}

impl Error for TryLockError {}
