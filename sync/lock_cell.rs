//! The value of a lock, and access to it: the unsafe code of `Mutex` and `RwLock`, in one place.
//!
//! A [`LockCell`] has a number of permits. [`Exclusive`] access takes all of them and [`Shared`] access one, so the type
//! of access says which references to the value may exist. The guards of the locks are names for these two. Access holds
//! the pointer `P` by which its lock was found, a reference or an `Arc`, so that the lock lives as long.
//!
//! The order of the fields matters where access is dropped: the permits are given back before `P` is dropped, which may
//! be the last owner of the lock.
#![expect(unsafe_code, reason = "references to the value of a lock")]

use super::batch_semaphore::{Acquire, BatchSemaphore};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A value, and the permits to access it.
pub(super) struct LockCell<T: ?Sized> {
    /// The permits are acquired and released in this file alone.
    semaphore: BatchSemaphore,
    permits: usize,
    value: UnsafeCell<T>,
}

impl<T> LockCell<T> {
    /// Creates a cell to whose value `permits` of shared access are possible at a time.
    pub(super) const fn new(value: T, permits: usize) -> LockCell<T> {
        assert!(permits > 0, "without permits, all access would be exclusive");
        LockCell { semaphore: BatchSemaphore::new(permits), permits, value: UnsafeCell::new(value) }
    }

    pub(super) fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> LockCell<T> {
    pub(super) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[inline]
    fn acquire<P>(&self, count: usize) -> AcquirePermits<'_, T, P> {
        AcquirePermits { cell: self, count, acquire: self.semaphore.acquire(count), lock: PhantomData }
    }

    /// Returns permits that were acquired, and the value.
    #[inline]
    fn acquired<P>(&self, count: usize) -> (Permits<P>, *mut T) {
        (Permits { semaphore: &raw const self.semaphore, count, lock: PhantomData }, self.value.get())
    }
}

/// The future that acquires permits of a cell.
struct AcquirePermits<'a, T: ?Sized, P> {
    cell: &'a LockCell<T>,
    count: usize,
    acquire: Acquire<'a>,
    lock: PhantomData<fn() -> P>,
}

impl<T: ?Sized, P> Future for AcquirePermits<'_, T, P> {
    type Output = (Permits<P>, *mut T);

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(Permits<P>, *mut T)> {
        let acquired = ready!(Pin::new(&mut self.acquire).poll(cx));
        debug_assert!(acquired.is_ok(), "the semaphore of a lock is never closed");
        Poll::Ready(self.cell.acquired(self.count))
    }
}

/// A lock, which has its value in a cell.
pub(super) trait Lock {
    type Value: ?Sized;

    fn cell(&self) -> &LockCell<Self::Value>;
}

/// A pointer to a lock.
///
/// # Safety
///
/// The lock stays where it is, lives, and is not mutably borrowed, as long as the pointer exists, also if that is moved.
pub(super) unsafe trait Pointer: Deref {}

// SAFETY: a reference is valid for its lifetime, and so is what is behind it.
unsafe impl<L: ?Sized> Pointer for &L {}

// SAFETY: what is behind an `Arc` does not move, and is mutably borrowed or dropped only by the last one.
unsafe impl<L: ?Sized> Pointer for Arc<L> {}

/// The value of the lock that a pointer leads to.
type Value<P> = <<P as Deref>::Target as Lock>::Value;

/// Permits of a lock. They are given back when this is dropped.
///
/// The type has the pointer `P` as a parameter for the sake of its destructor, which uses the lock. Only so does the
/// compiler know that the lifetime in `P` must not end before the guard is dropped. A guard may not outlive its lock:
///
/// ```compile_fail,E0597
/// let guard;
/// let mutex = runtime::sync::Mutex::new(1);
/// guard = mutex.try_lock().unwrap();
/// ```
///
/// ```compile_fail,E0597
/// use runtime::sync::{Mutex, MutexGuard};
///
/// let guard;
/// let mutex = Mutex::new((1, 2));
/// guard = MutexGuard::map(mutex.try_lock().unwrap(), |pair| &mut pair.0);
/// ```
///
/// ```compile_fail,E0597
/// let guard;
/// let lock = runtime::sync::RwLock::new(1);
/// guard = lock.try_read().unwrap();
/// ```
///
/// ```compile_fail,E0597
/// let guard;
/// let lock = runtime::sync::RwLock::new(1);
/// guard = lock.try_write().unwrap();
/// ```
///
/// ```compile_fail,E0597
/// use runtime::sync::{RwLock, RwLockWriteGuard};
///
/// let guard;
/// let lock = RwLock::new((1, 2));
/// guard = RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| &mut pair.0);
/// ```
struct Permits<P> {
    semaphore: *const BatchSemaphore,
    count: usize,
    lock: PhantomData<P>,
}

impl<P> Permits<P> {
    /// Gives back all permits but one.
    fn keep_one(&mut self) {
        let count = std::mem::replace(&mut self.count, 1);
        self.release(count - 1);
    }

    #[inline]
    fn release(&self, count: usize) {
        // SAFETY: the `Pointer` next to this, or the lifetime in `P`, keeps the lock alive, and with it the semaphore.
        unsafe { &*self.semaphore }.release(count);
    }
}

impl<'a, L: ?Sized> Permits<&'a L> {
    /// Forgets which lock it was. The lifetime stays.
    #[inline]
    fn without_lock(self) -> Permits<PhantomData<&'a ()>> {
        let permits = Permits { semaphore: self.semaphore, count: self.count, lock: PhantomData };
        std::mem::forget(self);
        permits
    }
}

impl<P> Drop for Permits<P> {
    #[inline]
    fn drop(&mut self) {
        self.release(self.count);
    }
}

/// Exclusive access to a value `U` in the cell of a lock.
pub(super) struct Exclusive<P, U: ?Sized> {
    value: *mut U,
    permits: Permits<P>,
    lock: P,
}

/// Shared access to a value `U` in the cell of a lock.
pub(super) struct Shared<P, U: ?Sized> {
    value: *const U,
    permits: Permits<P>,
    lock: P,
}

impl<P: Pointer<Target: Lock>> Exclusive<P, Value<P>> {
    #[inline]
    pub(super) async fn acquire(lock: P) -> Self {
        let cell = lock.cell();
        let (permits, value) = cell.acquire(cell.permits).await;
        Exclusive { value, permits, lock }
    }

    #[inline]
    pub(super) fn try_acquire(lock: P) -> Option<Self> {
        let cell = lock.cell();
        cell.semaphore.try_acquire(cell.permits).ok()?;
        let (permits, value) = cell.acquired(cell.permits);
        Some(Exclusive { value, permits, lock })
    }
}

impl<P: Pointer<Target: Lock>> Shared<P, Value<P>> {
    #[inline]
    pub(super) async fn acquire(lock: P) -> Self {
        let cell = lock.cell();
        let (permits, value) = cell.acquire(1).await;
        Shared { value, permits, lock }
    }

    #[inline]
    pub(super) fn try_acquire(lock: P) -> Option<Self> {
        let cell = lock.cell();
        cell.semaphore.try_acquire(1).ok()?;
        let (permits, value) = cell.acquired(1);
        Some(Shared { value, permits, lock })
    }
}

impl<P, U: ?Sized> Exclusive<P, U> {
    #[inline]
    pub(super) fn map<V: ?Sized>(mut self, f: impl FnOnce(&mut U) -> &mut V) -> Exclusive<P, V> {
        let value: *mut V = f(&mut self);
        Exclusive { value, permits: self.permits, lock: self.lock }
    }

    pub(super) fn try_map<V: ?Sized>(
        mut self,
        f: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<Exclusive<P, V>, Self> {
        match f(&mut self).map(|value| &raw mut *value) {
            Some(value) => Ok(Exclusive { value, permits: self.permits, lock: self.lock }),
            None => Err(self),
        }
    }

    /// Calls `f`, and then lets further readers in.
    pub(super) fn downgrade_map<V: ?Sized>(self, f: impl FnOnce(&U) -> &V) -> Shared<P, V> {
        let value: *const V = f(&self);
        self.downgraded(value)
    }

    pub(super) fn try_downgrade_map<V: ?Sized>(
        self,
        f: impl FnOnce(&U) -> Option<&V>,
    ) -> Result<Shared<P, V>, Self> {
        match f(&self).map(|value| &raw const *value) {
            Some(value) => Ok(self.downgraded(value)),
            None => Err(self),
        }
    }

    /// Gives back all permits but one. A waiter that is woken here may read the value at once.
    fn downgraded<V: ?Sized>(mut self, value: *const V) -> Shared<P, V> {
        self.permits.keep_one();
        Shared { value, permits: self.permits, lock: self.lock }
    }

    /// Returns the pointer to the lock.
    pub(super) fn lock(&self) -> &P {
        &self.lock
    }
}

impl<P, U: ?Sized> Shared<P, U> {
    #[inline]
    pub(super) fn map<V: ?Sized>(self, f: impl FnOnce(&U) -> &V) -> Shared<P, V> {
        let value: *const V = f(&self);
        Shared { value, permits: self.permits, lock: self.lock }
    }

    pub(super) fn try_map<V: ?Sized>(self, f: impl FnOnce(&U) -> Option<&V>) -> Result<Shared<P, V>, Self> {
        match f(&self).map(|value| &raw const *value) {
            Some(value) => Ok(Shared { value, permits: self.permits, lock: self.lock }),
            None => Err(self),
        }
    }

    /// Returns the pointer to the lock.
    pub(super) fn lock(&self) -> &P {
        &self.lock
    }
}

impl<'a, L: ?Sized, U: ?Sized> Exclusive<&'a L, U> {
    /// Forgets which lock it was. The lifetime stays.
    #[inline]
    pub(super) fn without_lock(self) -> Exclusive<PhantomData<&'a ()>, U> {
        Exclusive { value: self.value, permits: self.permits.without_lock(), lock: PhantomData }
    }
}

impl<'a, L: ?Sized, U: ?Sized> Shared<&'a L, U> {
    /// Forgets which lock it was. The lifetime stays.
    #[inline]
    pub(super) fn without_lock(self) -> Shared<PhantomData<&'a ()>, U> {
        Shared { value: self.value, permits: self.permits.without_lock(), lock: PhantomData }
    }
}

impl<P, U: ?Sized> Deref for Exclusive<P, U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the lock lives as long as `P` or its lifetime, and all permits are held, so other references to the
        // value exist only by way of `self`.
        unsafe { &*self.value }
    }
}

impl<P, U: ?Sized> DerefMut for Exclusive<P, U> {
    #[inline]
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: the lock lives as long as `P` or its lifetime, and all permits are held, so other references to the
        // value exist only by way of `self`, which is mutably borrowed.
        unsafe { &mut *self.value }
    }
}

impl<P, U: ?Sized> Deref for Shared<P, U> {
    type Target = U;

    #[inline]
    fn deref(&self) -> &U {
        // SAFETY: the lock lives as long as `P` or its lifetime, and a permit is held, so there is no exclusive access.
        unsafe { &*self.value }
    }
}

/// Implements the traits of a guard around [`Shared`]: it dereferences to the value, and prints as the value does.
macro_rules! shared_guard {
    ([$($generics:tt)*] $guard:ty => $target:ident) => {
        impl<$($generics)*> std::ops::Deref for $guard {
            type Target = $target;

            #[inline]
            fn deref(&self) -> &$target {
                &self.0
            }
        }

        impl<$($generics)*> std::fmt::Debug for $guard
        where
            $target: std::fmt::Debug,
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($generics)*> std::fmt::Display for $guard
        where
            $target: std::fmt::Display,
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

/// Implements the traits of a guard around [`Exclusive`].
macro_rules! exclusive_guard {
    ([$($generics:tt)*] $guard:ty => $target:ident) => {
        $crate::sync::lock_cell::shared_guard!([$($generics)*] $guard => $target);

        impl<$($generics)*> std::ops::DerefMut for $guard {
            #[inline]
            fn deref_mut(&mut self) -> &mut $target {
                &mut self.0
            }
        }
    };
}

pub(super) use {exclusive_guard, shared_guard};
