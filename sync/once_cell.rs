//! The cell that is initialized once. The task that has the one permit of its semaphore initializes it. Once there is a
//! value, the semaphore is closed, which wakes all waiters.

use super::once_value::OnceValue;
use super::{Semaphore, SemaphorePermit, TryAcquireError};
use crate::task::coop;
use std::error::Error;
use std::fmt;

/// A cell that is initialized once, by an async function.
///
/// If several tasks try to initialize the cell, one of them does, and the others wait for it. If it fails, panics or is
/// cancelled, the next one tries.
///
/// # Examples
///
/// ```
/// use runtime::sync::OnceCell;
///
/// # runtime::block_on(async {
/// let cell = OnceCell::new();
/// assert_eq!(*cell.get_or_init(|| async { 1 + 1 }).await, 2);
/// assert_eq!(*cell.get_or_init(|| async { unreachable!() }).await, 2);
/// # });
/// ```
pub struct OnceCell<T> {
    value: OnceValue<T>,
    semaphore: Semaphore,
}

impl<T> OnceCell<T> {
    /// Creates an empty cell.
    pub const fn new() -> OnceCell<T> {
        OnceCell { value: OnceValue::new(), semaphore: Semaphore::new(1) }
    }

    /// Creates an empty cell. This is the same as [`new`](Self::new).
    pub const fn const_new() -> OnceCell<T> {
        OnceCell::new()
    }

    /// Creates a cell that has the value, if there is one.
    pub fn new_with(value: Option<T>) -> OnceCell<T> {
        OnceCell { value: OnceValue::from(value), semaphore: Semaphore::new(1) }
    }

    /// Creates a cell that has the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::OnceCell;
    ///
    /// thread_local! {
    ///     static LEVEL: OnceCell<u8> = const { OnceCell::const_new_with(3) };
    /// }
    /// assert_eq!(LEVEL.with(|level| level.get().copied()), Some(3));
    /// ```
    pub const fn const_new_with(value: T) -> OnceCell<T> {
        OnceCell { value: OnceValue::Given(value), semaphore: Semaphore::new(1) }
    }

    /// Returns whether the cell has a value.
    #[inline]
    pub fn initialized(&self) -> bool {
        self.get().is_some()
    }

    /// Returns the value, or `None` if the cell is empty or is being initialized.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Returns the value, or `None` if the cell is empty.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Sets the value of an empty cell.
    ///
    /// # Errors
    ///
    /// Returns the value with the error if the cell has one already, or if another task is initializing it.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = runtime::sync::OnceCell::new();
    /// assert!(cell.set(1).is_ok());
    /// assert!(cell.set(2).unwrap_err().is_already_init_err());
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        if self.initialized() {
            return Err(SetError::AlreadyInitializedError(value));
        }
        match self.semaphore.try_acquire() {
            Ok(permit) => {
                self.initialize(value, permit);
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(SetError::InitializingError(value)),
            Err(TryAcquireError::Closed) => Err(SetError::AlreadyInitializedError(value)),
        }
    }

    /// Returns the value. If the cell is empty, initializes it by `f`; if another task does so, waits for it.
    ///
    /// If `f` is cancelled or panics, the cell stays empty, and a task that waits tries with its own function. A call for
    /// the same cell within `f` waits forever.
    ///
    /// # Cancel safety
    ///
    /// A dropped call drops the future of `f`. The next call begins anew.
    pub async fn get_or_init<F, Fut>(&self, f: F) -> &T
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        match self.get_or_permit().await {
            Ok(value) => value,
            Err(permit) => {
                let value = f().await;
                self.initialize(value, permit)
            }
        }
    }

    /// Returns the value. If the cell is empty, initializes it by `f`; if another task does so, waits for it.
    ///
    /// If `f` fails, is cancelled or panics, the cell stays empty, and a task that waits tries with its own function. A
    /// call for the same cell within `f` waits forever.
    ///
    /// # Errors
    ///
    /// Returns the error of `f`.
    ///
    /// # Cancel safety
    ///
    /// A dropped call drops the future of `f`. The next call begins anew.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let cell = runtime::sync::OnceCell::new();
    /// assert!(cell.get_or_try_init(|| async { "a".parse::<u8>() }).await.is_err());
    /// assert_eq!(cell.get_or_try_init(|| async { "7".parse::<u8>() }).await, Ok(&7));
    /// # });
    /// ```
    pub async fn get_or_try_init<E, F, Fut>(&self, f: F) -> Result<&T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.get_or_permit().await {
            Ok(value) => Ok(value),
            Err(permit) => {
                let value = f().await?;
                Ok(self.initialize(value, permit))
            }
        }
    }

    /// Returns the value, or the permit to set it.
    #[inline]
    async fn get_or_permit(&self) -> Result<&T, SemaphorePermit<'_>> {
        if let Some(value) = self.get() {
            coop::consume_budget().await;
            return Ok(value);
        }
        match self.semaphore.acquire().await {
            Ok(permit) => Err(permit),
            Err(_) => Ok(self.get().expect("the semaphore is closed once there is a value")),
        }
    }

    fn initialize(&self, value: T, permit: SemaphorePermit<'_>) -> &T {
        permit.forget();
        assert!(self.value.set(value).is_ok(), "there is one permit to set the value");
        self.semaphore.close();
        self.get().expect("the value has been set")
    }

    /// Takes the value out of the cell, which is empty then.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// Returns the value, or `None` if the cell is empty.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> OnceCell<T> {
        OnceCell::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> OnceCell<T> {
        OnceCell::const_new_with(value)
    }
}

impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> OnceCell<T> {
        OnceCell::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &OnceCell<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell").field("value", &self.get()).finish()
    }
}

/// The error of [`OnceCell::set`]. It gives the value back.
#[derive(Debug, PartialEq, Eq)]
pub enum SetError<T> {
    /// The cell has a value.
    AlreadyInitializedError(T),

    /// Another task is initializing the cell.
    InitializingError(T),
}

impl<T> SetError<T> {
    /// Returns whether the cell has a value.
    pub fn is_already_init_err(&self) -> bool {
        matches!(self, SetError::AlreadyInitializedError(_))
    }

    /// Returns whether another task is initializing the cell.
    pub fn is_initializing_err(&self) -> bool {
        matches!(self, SetError::InitializingError(_))
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SetError::AlreadyInitializedError(_) => "AlreadyInitializedError",
            SetError::InitializingError(_) => "InitializingError",
        })
    }
}

impl<T: fmt::Debug> Error for SetError<T> {}
