//! Guards that cancel a token when they are dropped.

use super::CancellationToken;

/// A guard that cancels its token when it is dropped. [`CancellationToken::drop_guard`] returns it.
#[derive(Debug)]
#[must_use = "dropped, it cancels the token"]
pub struct DropGuard {
    /// `Some` until the guard is disarmed.
    pub(super) token: Option<CancellationToken>,
}

impl DropGuard {
    /// Returns the token of the guard.
    ///
    /// ```
    /// let guard = runtime::sync::CancellationToken::new().drop_guard();
    /// let child = guard.token().child_token();
    /// drop(guard);
    /// assert!(child.is_cancelled());
    /// ```
    pub fn token(&self) -> &CancellationToken {
        self.token.as_ref().expect("a guard holds its token until it is disarmed")
    }

    /// Returns the token, which is not cancelled.
    pub fn disarm(mut self) -> CancellationToken {
        self.token.take().expect("a guard holds its token until it is disarmed")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

/// A guard that cancels a borrowed token when it is dropped. [`CancellationToken::drop_guard_ref`] returns it.
#[derive(Debug)]
#[must_use = "dropped, it cancels the token"]
pub struct DropGuardRef<'a> {
    /// `Some` until the guard is disarmed.
    pub(super) token: Option<&'a CancellationToken>,
}

impl<'a> DropGuardRef<'a> {
    /// Returns the token of the guard.
    ///
    /// ```
    /// let token = runtime::sync::CancellationToken::new();
    /// let guard = token.drop_guard_ref();
    /// let child = guard.token().child_token();
    /// drop(guard);
    /// assert!(child.is_cancelled());
    /// ```
    pub fn token(&self) -> &CancellationToken {
        self.token.expect("a guard holds its token until it is disarmed")
    }

    /// Returns the token, which is not cancelled.
    pub fn disarm(mut self) -> &'a CancellationToken {
        self.token.take().expect("a guard holds its token until it is disarmed")
    }
}

impl Drop for DropGuardRef<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            token.cancel();
        }
    }
}
