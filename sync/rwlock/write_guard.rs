//! The guards of writers. Each has all permits of the lock, until it is downgraded.
//! A guard that leads to a part of the value has a type of its own, without `downgrade`: a mutable
//! reference into a `Cell`, as `Cell::get_mut` gives it, must not become a shared one while other readers have the `Cell`.
//! For the same reason the closure of `downgrade_map` is given a shared reference.

use super::{OwnedRwLockReadGuard, RwLock, RwLockReadGuard};
use crate::sync::lock_cell::{Exclusive, exclusive_guard};
use std::marker::PhantomData;
use std::sync::Arc;

/// A guard of the writer of a [`RwLock`]. It gives the lock back when it is dropped.
#[must_use = "if it is dropped, it gives the lock back"]
pub struct RwLockWriteGuard<'a, T: ?Sized>(pub(super) Exclusive<PhantomData<&'a ()>, T>);

/// A guard of the writer of a [`RwLock`] that keeps the lock alive. It gives the lock back when it is dropped.
#[must_use = "if it is dropped, it gives the lock back"]
pub struct OwnedRwLockWriteGuard<T: ?Sized>(pub(super) Exclusive<Arc<RwLock<T>>, T>);

/// A guard of the writer of a [`RwLock`] that leads to a part of the value. It gives the lock back when it is dropped.
///
/// It cannot be downgraded:
///
/// ```compile_fail,E0599
/// use runtime::sync::{RwLock, RwLockWriteGuard};
/// use std::cell::Cell;
///
/// # runtime::block_on(async {
/// let lock = RwLock::new(Cell::new(1));
/// let number = RwLockWriteGuard::map(lock.write().await, Cell::get_mut);
/// let number = number.downgrade();
/// # });
/// ```
#[must_use = "if it is dropped, it gives the lock back"]
pub struct RwLockMappedWriteGuard<'a, T: ?Sized>(Exclusive<PhantomData<&'a ()>, T>);

/// A guard of the writer of a [`RwLock`] that keeps the lock alive and leads to a part of its value. It gives the lock
/// back when it is dropped.
#[must_use = "if it is dropped, it gives the lock back"]
pub struct OwnedRwLockMappedWriteGuard<T: ?Sized, U: ?Sized = T>(Exclusive<Arc<RwLock<T>>, U>);

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Narrows the guard to a part of the value.
    ///
    /// This is an associated function, called as `RwLockWriteGuard::map(guard, f)`, so that it does not hide a method of
    /// the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::{RwLock, RwLockWriteGuard};
    ///
    /// # runtime::block_on(async {
    /// let lock = RwLock::new((1, "one"));
    /// *RwLockWriteGuard::map(lock.write().await, |pair| &mut pair.0) = 2;
    /// assert_eq!(lock.into_inner(), (2, "one"));
    /// # });
    /// ```
    #[inline]
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> RwLockMappedWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        RwLockMappedWriteGuard(this.0.map(f))
    }

    /// Narrows the guard to a part of the value, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockMappedWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        this.0.try_map(f).map(RwLockMappedWriteGuard).map_err(RwLockWriteGuard)
    }

    /// Narrows the guard to all of the value: the type of guard that [`map`](Self::map) returns.
    pub fn into_mapped(this: Self) -> RwLockMappedWriteGuard<'a, T> {
        RwLockMappedWriteGuard(this.0)
    }

    /// Turns the guard into that of a reader, and lets further readers in. No writer gets the lock in between.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = runtime::sync::RwLock::new(1);
    /// let mut writer = lock.write().await;
    /// *writer += 1;
    /// let reader = writer.downgrade();
    /// assert!(lock.try_write().is_err());
    /// assert_eq!((*reader, *lock.read().await), (2, 2));
    /// # });
    /// ```
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard(self.0.downgrade_map(|value| value))
    }

    /// Turns the guard into that of a reader of a part of the value, and lets further readers in.
    #[inline]
    pub fn downgrade_map<F, U: ?Sized>(this: Self, f: F) -> RwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
    {
        RwLockReadGuard(this.0.downgrade_map(f))
    }

    /// Turns the guard into that of a reader of a part of the value, if there is such a part. Otherwise returns the guard
    /// as the error.
    #[inline]
    pub fn try_downgrade_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        this.0.try_downgrade_map(f).map(RwLockReadGuard).map_err(RwLockWriteGuard)
    }
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// Narrows the guard to a part of the value.
    #[inline]
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> OwnedRwLockMappedWriteGuard<T, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        OwnedRwLockMappedWriteGuard(this.0.map(f))
    }

    /// Narrows the guard to a part of the value, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<OwnedRwLockMappedWriteGuard<T, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        this.0.try_map(f).map(OwnedRwLockMappedWriteGuard).map_err(OwnedRwLockWriteGuard)
    }

    /// Narrows the guard to all of the value: the type of guard that [`map`](Self::map) returns.
    pub fn into_mapped(this: Self) -> OwnedRwLockMappedWriteGuard<T> {
        OwnedRwLockMappedWriteGuard(this.0)
    }

    /// Turns the guard into that of a reader, and lets further readers in. No writer gets the lock in between.
    pub fn downgrade(self) -> OwnedRwLockReadGuard<T> {
        OwnedRwLockReadGuard(self.0.downgrade_map(|value| value))
    }

    /// Turns the guard into that of a reader of a part of the value, and lets further readers in.
    #[inline]
    pub fn downgrade_map<F, U: ?Sized>(this: Self, f: F) -> OwnedRwLockReadGuard<T, U>
    where
        F: FnOnce(&T) -> &U,
    {
        OwnedRwLockReadGuard(this.0.downgrade_map(f))
    }

    /// Turns the guard into that of a reader of a part of the value, if there is such a part. Otherwise returns the guard
    /// as the error.
    #[inline]
    pub fn try_downgrade_map<F, U: ?Sized>(this: Self, f: F) -> Result<OwnedRwLockReadGuard<T, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        this.0.try_downgrade_map(f).map(OwnedRwLockReadGuard).map_err(OwnedRwLockWriteGuard)
    }

    /// Returns the lock.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.0.lock()
    }
}

impl<'a, T: ?Sized> RwLockMappedWriteGuard<'a, T> {
    /// Narrows the guard further.
    #[inline]
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> RwLockMappedWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        RwLockMappedWriteGuard(this.0.map(f))
    }

    /// Narrows the guard further, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockMappedWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        this.0.try_map(f).map(RwLockMappedWriteGuard).map_err(RwLockMappedWriteGuard)
    }
}

impl<T: ?Sized, U: ?Sized> OwnedRwLockMappedWriteGuard<T, U> {
    /// Narrows the guard further.
    #[inline]
    pub fn map<F, V: ?Sized>(this: Self, f: F) -> OwnedRwLockMappedWriteGuard<T, V>
    where
        F: FnOnce(&mut U) -> &mut V,
    {
        OwnedRwLockMappedWriteGuard(this.0.map(f))
    }

    /// Narrows the guard further, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<F, V: ?Sized>(this: Self, f: F) -> Result<OwnedRwLockMappedWriteGuard<T, V>, Self>
    where
        F: FnOnce(&mut U) -> Option<&mut V>,
    {
        this.0.try_map(f).map(OwnedRwLockMappedWriteGuard).map_err(OwnedRwLockMappedWriteGuard)
    }

    /// Returns the lock.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.0.lock()
    }
}

exclusive_guard!(['a, T: ?Sized] RwLockWriteGuard<'a, T> => T);
exclusive_guard!([T: ?Sized] OwnedRwLockWriteGuard<T> => T);
exclusive_guard!(['a, T: ?Sized] RwLockMappedWriteGuard<'a, T> => T);
exclusive_guard!([T: ?Sized, U: ?Sized] OwnedRwLockMappedWriteGuard<T, U> => U);
