//! The public semaphore, and its permits, which are given back when they are dropped. `batch_semaphore.rs` counts the
//! permits and hands them to the waiters.

use super::batch_semaphore::{AcquireError, BatchSemaphore, TryAcquireError};
use std::ptr;
use std::sync::Arc;

/// A semaphore between the tasks of one thread. It limits how many of them do something at the same time.
///
/// A semaphore has a number of permits. A task acquires one or several of them, and gives them back by dropping what
/// [`acquire`](Self::acquire) returned. If not enough permits are available, the task waits.
///
/// The semaphore is fair: waiting tasks get their permits in the order in which they began to wait, and a request that
/// could be served at once waits as well while others are waiting. In particular, a request for many permits is not
/// overtaken by requests for few.
///
/// # Examples
///
/// At most two of these tasks work at a time:
///
/// ```
/// use runtime::sync::Semaphore;
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// # runtime::block_on(async {
/// let semaphore = Rc::new(Semaphore::new(2));
/// let (active, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
/// let mut tasks = Vec::new();
/// for _ in 0..5 {
///     let (semaphore, active, most) = (semaphore.clone(), active.clone(), most.clone());
///     tasks.push(runtime::spawn(async move {
///         let _permit = semaphore.acquire().await.unwrap();
///         active.set(active.get() + 1);
///         most.set(most.get().max(active.get()));
///         runtime::task::yield_now().await;
///         active.set(active.get() - 1);
///     }));
/// }
/// for task in tasks {
///     task.await.unwrap();
/// }
/// assert_eq!(most.get(), 2);
/// # });
/// ```
#[derive(Debug)]
pub struct Semaphore {
    inner: BatchSemaphore,
}

impl Semaphore {
    /// The maximum number of permits of a semaphore: `usize::MAX >> 3`.
    pub const MAX_PERMITS: usize = BatchSemaphore::MAX_PERMITS;

    /// Creates a semaphore with the given number of permits.
    ///
    /// # Panics
    ///
    /// Panics if `permits` is greater than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub const fn new(permits: usize) -> Semaphore {
        Semaphore { inner: BatchSemaphore::new(permits) }
    }

    /// Creates a semaphore with the given number of permits. This is the same as [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// Panics if `permits` is greater than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Semaphore;
    ///
    /// thread_local! {
    ///     static LIMIT: Semaphore = const { Semaphore::const_new(100) };
    /// }
    /// assert_eq!(LIMIT.with(Semaphore::available_permits), 100);
    /// ```
    #[track_caller]
    pub const fn const_new(permits: usize) -> Semaphore {
        Semaphore::new(permits)
    }

    /// Returns the number of permits that can be acquired at once.
    ///
    /// It is zero while tasks are waiting: permits that are released belong to the first of them, even if it waits for
    /// more.
    #[inline]
    pub fn available_permits(&self) -> usize {
        self.inner.available_permits()
    }

    /// Adds `n` permits. Waiting tasks get theirs first.
    ///
    /// # Panics
    ///
    /// Panics if more than [`MAX_PERMITS`](Self::MAX_PERMITS) permits would be available. Nothing but the permits of
    /// waiting tasks has been added then.
    #[inline]
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        self.inner.release(n);
    }

    /// Removes up to `n` permits for good, and returns the number of permits that were removed.
    ///
    /// Only available permits are removed; those that have been acquired are not affected.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(5);
    /// assert_eq!(semaphore.forget_permits(3), 3);
    /// assert_eq!(semaphore.forget_permits(3), 2);
    /// assert_eq!(semaphore.available_permits(), 0);
    /// ```
    pub fn forget_permits(&self, n: usize) -> usize {
        self.inner.forget_permits(n)
    }

    /// Acquires a permit. If none is available, waits for one.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue, and no permit.
    ///
    /// # Errors
    ///
    /// Returns an error if the semaphore is closed, or is closed before the call has returned.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// use runtime::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// let permit = semaphore.acquire().await.unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(permit);
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # });
    /// ```
    pub async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.inner.acquire(1).await?;
        Ok(SemaphorePermit { semaphore: self, permits: 1 })
    }

    /// Acquires `n` permits. If not that many are available, waits for them.
    ///
    /// While the call is the first that waits, it collects permits as they are released.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue, and gives back the permits that it has collected.
    ///
    /// # Errors
    ///
    /// Returns an error if the semaphore is closed, or is closed before the call has returned.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// use runtime::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(5);
    /// let permit = semaphore.acquire_many(3).await.unwrap();
    /// assert_eq!((permit.num_permits(), semaphore.available_permits()), (3, 2));
    /// # });
    /// ```
    pub async fn acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.inner.acquire(n as usize).await?;
        Ok(SemaphorePermit { semaphore: self, permits: n as usize })
    }

    /// Acquires a permit if one is available.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::NoPermits`] if no permit is available, and [`TryAcquireError::Closed`] if the semaphore
    /// is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_acquire().unwrap();
    /// assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    /// drop(permit);
    /// semaphore.close();
    /// assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.inner.try_acquire(1)?;
        Ok(SemaphorePermit { semaphore: self, permits: 1 })
    }

    /// Acquires `n` permits if that many are available.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::NoPermits`] if fewer permits are available, and [`TryAcquireError::Closed`] if the
    /// semaphore is closed.
    #[inline]
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.inner.try_acquire(n as usize)?;
        Ok(SemaphorePermit { semaphore: self, permits: n as usize })
    }

    /// Acquires a permit that keeps the semaphore alive. Otherwise this is the same as [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue, and no permit.
    ///
    /// # Errors
    ///
    /// Returns an error if the semaphore is closed, or is closed before the call has returned.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// use runtime::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let semaphore = Arc::new(Semaphore::new(3));
    /// for _ in 0..10 {
    ///     let permit = semaphore.clone().acquire_owned().await.unwrap();
    ///     runtime::spawn(async move {
    ///         // At most three of these tasks exist at a time.
    ///         drop(permit);
    ///     });
    /// }
    /// # });
    /// ```
    pub async fn acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.inner.acquire(1).await?;
        Ok(OwnedSemaphorePermit { semaphore: self, permits: 1 })
    }

    /// Acquires `n` permits that keep the semaphore alive. Otherwise this is the same as
    /// [`acquire_many`](Self::acquire_many).
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses its place in the queue, and gives back the permits that it has collected.
    ///
    /// # Errors
    ///
    /// Returns an error if the semaphore is closed, or is closed before the call has returned.
    pub async fn acquire_many_owned(self: Arc<Self>, n: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.inner.acquire(n as usize).await?;
        Ok(OwnedSemaphorePermit { semaphore: self, permits: n as usize })
    }

    /// Acquires a permit that keeps the semaphore alive, if one is available.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::NoPermits`] if no permit is available, and [`TryAcquireError::Closed`] if the semaphore
    /// is closed.
    #[inline]
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// Acquires `n` permits that keep the semaphore alive, if that many are available.
    ///
    /// # Errors
    ///
    /// Returns [`TryAcquireError::NoPermits`] if fewer permits are available, and [`TryAcquireError::Closed`] if the
    /// semaphore is closed.
    #[inline]
    pub fn try_acquire_many_owned(self: Arc<Self>, n: u32) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.inner.try_acquire(n as usize)?;
        Ok(OwnedSemaphorePermit { semaphore: self, permits: n as usize })
    }

    /// Closes the semaphore: calls that wait for permits fail, and so do all later ones.
    ///
    /// Permits that have been acquired stay valid.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// use runtime::sync::Semaphore;
    /// use std::rc::Rc;
    ///
    /// let semaphore = Rc::new(Semaphore::new(0));
    /// let other = semaphore.clone();
    /// let waiting = runtime::spawn(async move { other.acquire().await.is_err() });
    /// runtime::task::yield_now().await;
    /// semaphore.close();
    /// assert!(waiting.await.unwrap());
    /// # });
    /// ```
    pub fn close(&self) {
        self.inner.close();
    }

    /// Returns whether the semaphore is closed.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

/// One or several permits of a [`Semaphore`]. They are given back when this is dropped.
#[must_use = "if it is dropped, it gives its permits back"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

/// One or several permits of a [`Semaphore`], which they keep alive. They are given back when this is dropped.
#[must_use = "if it is dropped, it gives its permits back"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

impl<'a> SemaphorePermit<'a> {
    /// Drops the value without giving its permits back. This reduces the number of permits of the semaphore for good.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(10);
    /// semaphore.try_acquire_many(4).unwrap().forget();
    /// assert_eq!(semaphore.available_permits(), 6);
    /// ```
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// Adds the permits of another value to this one.
    ///
    /// # Panics
    ///
    /// Panics if the permits belong to different semaphores.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(10);
    /// let mut permit = semaphore.try_acquire_many(2).unwrap();
    /// permit.merge(semaphore.try_acquire().unwrap());
    /// assert_eq!(permit.num_permits(), 3);
    /// ```
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        let is_same = ptr::eq(self.semaphore, other.semaphore);
        assert!(is_same, "merging permits from different semaphore instances");
        merge(&mut self.permits, other.permits);
        other.permits = 0;
    }

    /// Splits off `n` permits. Returns `None` if there are fewer.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let mut permit = semaphore.try_acquire_many(3).unwrap();
    /// let two = permit.split(2).unwrap();
    /// assert_eq!((permit.num_permits(), two.num_permits()), (1, 2));
    /// assert!(permit.split(2).is_none());
    /// ```
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(SemaphorePermit { semaphore: self.semaphore, permits: n })
    }

    /// Returns the semaphore.
    pub fn semaphore(&self) -> &Semaphore {
        self.semaphore
    }

    /// Returns the number of permits.
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

impl OwnedSemaphorePermit {
    /// Drops the value without giving its permits back. This reduces the number of permits of the semaphore for good.
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// Adds the permits of another value to this one.
    ///
    /// # Panics
    ///
    /// Panics if the permits belong to different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        let is_same = Arc::ptr_eq(&self.semaphore, &other.semaphore);
        assert!(is_same, "merging permits from different semaphore instances");
        merge(&mut self.permits, other.permits);
        other.permits = 0;
    }

    /// Splits off `n` permits. Returns `None` if there are fewer.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(OwnedSemaphorePermit { semaphore: self.semaphore.clone(), permits: n })
    }

    /// Returns the semaphore.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// Returns the number of permits.
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

#[track_caller]
fn merge(permits: &mut usize, others: usize) {
    *permits = permits.checked_add(others).expect("number of permits overflowed");
}

impl Drop for SemaphorePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.add_permits(self.permits);
    }
}

impl Drop for OwnedSemaphorePermit {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.add_permits(self.permits);
    }
}
