//! The guards of readers. Each has one permit of the lock.
//! A guard that leads to a part of the value has the same type as one that leads to all of it.

use super::RwLock;
use crate::sync::lock_cell::{Shared, shared_guard};
use std::marker::PhantomData;
use std::sync::Arc;

/// A guard of a reader of a [`RwLock`]. It gives the lock back when it is dropped.
#[must_use = "if it is dropped, it gives the lock back"]
pub struct RwLockReadGuard<'a, T: ?Sized>(pub(super) Shared<PhantomData<&'a ()>, T>);

/// A guard of a reader of a [`RwLock`] that keeps the lock alive. It gives the lock back when it is dropped.
#[must_use = "if it is dropped, it gives the lock back"]
pub struct OwnedRwLockReadGuard<T: ?Sized, U: ?Sized = T>(pub(super) Shared<Arc<RwLock<T>>, U>);

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// Narrows the guard to a part of the value.
    ///
    /// This is an associated function, called as `RwLockReadGuard::map(guard, f)`, so that it does not hide a method of
    /// the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::{RwLock, RwLockReadGuard};
    ///
    /// # runtime::block_on(async {
    /// let lock = RwLock::new((1, "one"));
    /// let name = RwLockReadGuard::map(lock.read().await, |pair| &pair.1);
    /// assert_eq!(*name, "one");
    /// # });
    /// ```
    #[inline]
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> RwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
    {
        RwLockReadGuard(this.0.map(f))
    }

    /// Narrows the guard to a part of the value, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        this.0.try_map(f).map(RwLockReadGuard).map_err(RwLockReadGuard)
    }
}

impl<T: ?Sized, U: ?Sized> OwnedRwLockReadGuard<T, U> {
    /// Narrows the guard to a part of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::{OwnedRwLockReadGuard, RwLock};
    /// use std::sync::Arc;
    ///
    /// # runtime::block_on(async {
    /// let lock = Arc::new(RwLock::new((1, "one")));
    /// let name = OwnedRwLockReadGuard::map(lock.read_owned().await, |pair| &pair.1);
    /// assert_eq!(*name, "one");
    /// # });
    /// ```
    #[inline]
    pub fn map<F, V: ?Sized>(this: Self, f: F) -> OwnedRwLockReadGuard<T, V>
    where
        F: FnOnce(&U) -> &V,
    {
        OwnedRwLockReadGuard(this.0.map(f))
    }

    /// Narrows the guard to a part of the value, if there is such a part. Otherwise returns the guard as the error.
    #[inline]
    pub fn try_map<F, V: ?Sized>(this: Self, f: F) -> Result<OwnedRwLockReadGuard<T, V>, Self>
    where
        F: FnOnce(&U) -> Option<&V>,
    {
        this.0.try_map(f).map(OwnedRwLockReadGuard).map_err(OwnedRwLockReadGuard)
    }

    /// Returns the lock.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.0.lock()
    }
}

shared_guard!(['a, T: ?Sized] RwLockReadGuard<'a, T> => T);
shared_guard!([T: ?Sized, U: ?Sized] OwnedRwLockReadGuard<T, U> => U);
