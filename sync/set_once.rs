//! The value that is set once. Tasks wait for a permit of a semaphore that has none, and that is closed once there is a
//! value.

use super::batch_semaphore::BatchSemaphore;
use super::once_value::OnceValue;
use crate::task::coop;
use std::error::Error;
use std::fmt;

/// A value that is set once, and for which tasks can wait.
///
/// # Examples
///
/// ```
/// use runtime::sync::SetOnce;
/// use std::rc::Rc;
///
/// # runtime::block_on(async {
/// let config = Rc::new(SetOnce::new());
/// let waiting = runtime::spawn({
///     let config = config.clone();
///     async move { *config.wait().await }
/// });
/// runtime::task::yield_now().await;
/// config.set(7).unwrap();
/// assert_eq!(waiting.await.unwrap(), 7);
/// # });
/// ```
pub struct SetOnce<T> {
    value: OnceValue<T>,
    waiters: BatchSemaphore,
}

impl<T> SetOnce<T> {
    /// Creates an empty `SetOnce`.
    pub const fn new() -> SetOnce<T> {
        SetOnce { value: OnceValue::new(), waiters: BatchSemaphore::new(0) }
    }

    /// Creates an empty `SetOnce`. This is the same as [`new`](Self::new).
    pub const fn const_new() -> SetOnce<T> {
        SetOnce::new()
    }

    /// Creates a `SetOnce` that has the value, if there is one.
    pub fn new_with(value: Option<T>) -> SetOnce<T> {
        SetOnce { value: OnceValue::from(value), waiters: BatchSemaphore::new(0) }
    }

    /// Creates a `SetOnce` that has the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::SetOnce;
    ///
    /// thread_local! {
    ///     static LEVEL: SetOnce<u8> = const { SetOnce::const_new_with(3) };
    /// }
    /// assert_eq!(LEVEL.with(|level| level.get().copied()), Some(3));
    /// ```
    pub const fn const_new_with(value: T) -> SetOnce<T> {
        SetOnce { value: OnceValue::Given(value), waiters: BatchSemaphore::new(0) }
    }

    /// Returns whether there is a value.
    #[inline]
    pub fn initialized(&self) -> bool {
        self.get().is_some()
    }

    /// Returns the value, or `None` if it has not been set yet.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Sets the value, and wakes all tasks that wait for it.
    ///
    /// # Errors
    ///
    /// Returns the new value with the error if there is a value already.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::sync::{SetOnce, SetOnceError};
    ///
    /// let once = SetOnce::new();
    /// assert_eq!(once.set(1), Ok(()));
    /// assert_eq!(once.set(2), Err(SetOnceError(2)));
    /// assert_eq!(once.into_inner(), Some(1));
    /// ```
    pub fn set(&self, value: T) -> Result<(), SetOnceError<T>> {
        self.value.set(value).map_err(SetOnceError)?;
        self.waiters.close();
        Ok(())
    }

    /// Returns the value. If it has not been set yet, waits for it.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn wait(&self) -> &T {
        if let Some(value) = self.get() {
            coop::consume_budget().await;
            return value;
        }
        loop {
            // Fails once the value has been set.
            _ = self.waiters.acquire(1).await;
            if let Some(value) = self.get() {
                return value;
            }
        }
    }

    /// Returns the value, or `None` if it has not been set.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> SetOnce<T> {
        SetOnce::new()
    }
}

impl<T> From<T> for SetOnce<T> {
    fn from(value: T) -> SetOnce<T> {
        SetOnce::const_new_with(value)
    }
}

impl<T: Clone> Clone for SetOnce<T> {
    fn clone(&self) -> SetOnce<T> {
        SetOnce::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for SetOnce<T> {
    fn eq(&self, other: &SetOnce<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for SetOnce<T> {}

impl<T: fmt::Debug> fmt::Debug for SetOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetOnce").field("value", &self.get()).finish()
    }
}

/// The error of [`SetOnce::set`]: there is a value already. It gives the new one back.
#[derive(Debug, PartialEq, Eq)]
pub struct SetOnceError<T>(pub T);

impl<T> fmt::Display for SetOnceError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetOnceError")
    }
}

impl<T: fmt::Debug> Error for SetOnceError<T> {}
