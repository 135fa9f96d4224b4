//! A value that is set once: std's cell, or a value that was given in a `const`, which std's cell does not allow.

use std::cell::OnceCell;

pub(super) enum OnceValue<T> {
    Given(T),
    Later(OnceCell<T>),
}

impl<T> OnceValue<T> {
    pub(super) const fn new() -> OnceValue<T> {
        OnceValue::Later(OnceCell::new())
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        match self {
            OnceValue::Given(value) => Some(value),
            OnceValue::Later(cell) => cell.get(),
        }
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        match self {
            OnceValue::Given(value) => Some(value),
            OnceValue::Later(cell) => cell.get_mut(),
        }
    }

    /// Sets the value, or returns it if there is one.
    pub(super) fn set(&self, value: T) -> Result<(), T> {
        match self {
            OnceValue::Given(_) => Err(value),
            OnceValue::Later(cell) => cell.set(value),
        }
    }

    pub(super) fn into_inner(self) -> Option<T> {
        match self {
            OnceValue::Given(value) => Some(value),
            OnceValue::Later(cell) => cell.into_inner(),
        }
    }
}

impl<T> From<Option<T>> for OnceValue<T> {
    fn from(value: Option<T>) -> OnceValue<T> {
        value.map_or_else(OnceValue::new, OnceValue::Given)
    }
}
