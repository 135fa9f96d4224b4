//! Task-local values: [`task_local!`](crate::task_local) and [`LocalKey`].
//!
//! A key is a thread-local variable. A scope owns its value; for the time of each poll it swaps the value with that of
//! the variable, and swaps them back afterwards, also when the poll panics. The same is done when the future of a
//! scope is dropped, so that its destructors see the value. No user code runs while the variable is borrowed mutably.

use pin_project_lite::pin_project;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

/// Declares task-local values, each of which is a static [`LocalKey`](crate::task::LocalKey).
///
/// # Examples
///
/// ```
/// runtime::task_local! {
///     /// The number of the request that the task serves.
///     pub static REQUEST: u32;
///     static USER: String;
/// }
///
/// async fn log(line: &str) -> String {
///     format!("{}: {line}", REQUEST.get())
/// }
///
/// # runtime::block_on(async {
/// let one = runtime::spawn(REQUEST.scope(1, log("begins")));
/// let two = runtime::spawn(REQUEST.scope(2, log("begins")));
/// assert_eq!(one.await.unwrap(), "1: begins");
/// assert_eq!(two.await.unwrap(), "2: begins");
/// # });
/// ```
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty; $($rest:tt)*) => {
        $crate::task_local!($(#[$attribute])* $visibility static $name: $type);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static VALUE: ::std::cell::RefCell<::std::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey { inner: VALUE }
        };
    };
}

/// A key of a task-local value, declared by [`task_local!`](crate::task_local).
///
/// A value is set for a future by [`scope`](LocalKey::scope), or for a closure by [`sync_scope`](LocalKey::sync_scope).
/// Code that runs in the future or in the closure can read it. A task that is spawned there does not have the value,
/// unless [`inherit`](LocalKey::inherit) is used.
///
/// # Examples
///
/// ```
/// runtime::task_local! {
///     static NUMBER: u32;
/// }
///
/// # runtime::block_on(async {
/// NUMBER.scope(1, async {
///     assert_eq!(NUMBER.get(), 1);
///     NUMBER.sync_scope(2, || assert_eq!(NUMBER.get(), 2));
///     assert_eq!(NUMBER.get(), 1);
/// }).await;
/// assert!(NUMBER.try_get().is_err());
/// # });
/// ```
pub struct LocalKey<T: 'static> {
    #[doc(hidden)]
    pub inner: thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    /// Sets the value for a future: the value is available while the future is polled, and while it is dropped.
    ///
    /// # Panics
    ///
    /// Polling the returned future panics in a closure that [`with`](LocalKey::with) of this key calls, and while the
    /// thread-locals of the thread are destroyed.
    ///
    /// # Examples
    ///
    /// ```
    /// runtime::task_local! {
    ///     static NUMBER: u32;
    /// }
    ///
    /// # runtime::block_on(async {
    /// let doubled = NUMBER.scope(21, async { NUMBER.get() * 2 }).await;
    /// assert_eq!(doubled, 42);
    /// # });
    /// ```
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        self.scope_of(Some(value), future)
    }

    fn scope_of<F>(&'static self, value: Option<T>, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture { key: self, value, future: Some(future), pinned: PhantomPinned }
    }

    /// Sets the value for a closure, and calls it.
    ///
    /// # Panics
    ///
    /// Panics in a closure that [`with`](LocalKey::with) of this key calls, and while the thread-locals of the thread
    /// are destroyed.
    #[track_caller]
    pub fn sync_scope<F, R>(&'static self, value: T, f: F) -> R
    where
        F: FnOnce() -> R,
    {
        let mut value = Some(value);
        match self.swapped(&mut value, f) {
            Ok(result) => result,
            Err(error) => error.panic(),
        }
    }

    /// Calls `f` while `value` is swapped with that of the thread.
    fn swapped<R>(&'static self, value: &mut Option<T>, f: impl FnOnce() -> R) -> Result<R, ScopeError> {
        struct SwapBack<'a, T: 'static>(&'static LocalKey<T>, &'a mut Option<T>);

        impl<T> Drop for SwapBack<'_, T> {
            fn drop(&mut self) {
                // Neither the variable is borrowed now nor has it been destroyed, since it could be swapped before.
                let swapped = self.0.swap(self.1);
                debug_assert!(swapped.is_ok(), "a task-local value cannot be swapped back");
            }
        }

        self.swap(value)?;
        let _swap_back = SwapBack(self, value);
        Ok(f())
    }

    fn swap(&'static self, value: &mut Option<T>) -> Result<(), ScopeError> {
        let swapped = self.inner.try_with(|inner| match inner.try_borrow_mut() {
            Ok(mut inner) => {
                mem::swap(value, &mut inner);
                Ok(())
            }
            Err(_) => Err(ScopeError::Borrowed),
        });
        swapped.unwrap_or(Err(ScopeError::Destroyed))
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// Panics if no value is set.
    #[track_caller]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        match self.try_with(f) {
            Ok(result) => result,
            Err(_) => panic!("cannot access a task-local storage value without setting it first"),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    ///
    /// Returns an error if no value is set.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        let result = self.inner.try_with(|inner| inner.borrow().as_ref().map(f));
        result.ok().flatten().ok_or(AccessError(()))
    }
}

impl<T: Clone + 'static> LocalKey<T> {
    /// Returns a clone of the value.
    ///
    /// # Panics
    ///
    /// Panics if no value is set.
    #[track_caller]
    pub fn get(&'static self) -> T {
        self.with(T::clone)
    }

    /// Returns a clone of the value.
    ///
    /// # Errors
    ///
    /// Returns an error if no value is set.
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.try_with(T::clone)
    }

    /// Sets the value of the running code for a future that is about to be spawned: the future gets a clone of the
    /// value as it is now. If no value is set now, none is set for the future either.
    ///
    /// # Examples
    ///
    /// ```
    /// runtime::task_local! {
    ///     static REQUEST: u32;
    /// }
    ///
    /// # runtime::block_on(REQUEST.scope(7, async {
    /// let without = runtime::spawn(async { REQUEST.try_get().is_ok() });
    /// assert_eq!(without.await.unwrap(), false);
    /// let with = runtime::spawn(REQUEST.inherit(async { REQUEST.get() }));
    /// assert_eq!(with.await.unwrap(), 7);
    /// # }));
    /// ```
    pub fn inherit<F: Future>(&'static self, future: F) -> TaskLocalFuture<T, F> {
        self.scope_of(self.try_get().ok(), future)
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("LocalKey { .. }")
    }
}

pin_project! {
    /// A future for which a task-local value is set, returned by [`LocalKey::scope`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        // Holds the value of the surrounding code while the future is polled.
        value: Option<T>,
        // `None` once it was ready.
        #[pin]
        future: Option<F>,
        #[pin]
        pinned: PhantomPinned,
    }

    impl<T, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if mem::needs_drop::<F>() && this.future.is_some() {
                // If the value cannot be set, the future is dropped without it, together with its field.
                let _ = this.key.swapped(this.value, || this.future.set(None));
            }
        }
    }
}

impl<T, F> TaskLocalFuture<T, F> {
    /// Takes the value out of the scope, for which no value is set any more. Returns `None` if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// runtime::task_local! {
    ///     static COUNT: std::cell::Cell<u32>;
    /// }
    ///
    /// # runtime::block_on(async {
    /// let counts = async { COUNT.with(|count| count.set(count.get() + 1)) };
    /// let mut scope = pin!(COUNT.scope(std::cell::Cell::new(0), counts));
    /// scope.as_mut().await;
    /// assert_eq!(scope.take_value().unwrap().get(), 1);
    /// # });
    /// ```
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let polled = this.key.swapped(this.value, || {
            let polled = this.future.as_mut().as_pin_mut()?.poll(cx);
            if polled.is_ready() {
                // Dropped here, while its value is set.
                this.future.set(None);
            }
            Some(polled)
        });
        match polled {
            Ok(Some(polled)) => polled,
            Ok(None) => panic!("`TaskLocalFuture` polled after completion"),
            Err(error) => error.panic(),
        }
    }
}

impl<T: fmt::Debug, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("TaskLocalFuture");
        match &self.value {
            Some(value) => f.field("value", value).finish(),
            None => f.field("value", &format_args!("<missing>")).finish(),
        }
    }
}

/// The error returned by [`LocalKey::try_with`] and [`LocalKey::try_get`] if no value is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("task-local value not set")
    }
}

impl Error for AccessError {}

/// The reason why a scope cannot be entered.
enum ScopeError {
    Borrowed,
    Destroyed,
}

impl ScopeError {
    #[track_caller]
    fn panic(self) -> ! {
        match self {
            ScopeError::Borrowed => {
                panic!("cannot enter a task-local scope while the task-local storage is borrowed")
            }
            ScopeError::Destroyed => panic!(
                "cannot enter a task-local scope during or after destruction of the underlying thread-local"
            ),
        }
    }
}
