//! How a listener bears failing: what it tries again, and when it rests.
//!
//! A connection that was broken while it waited in the queue says nothing about the next one, so
//! its error is passed over. But when descriptors or memory run out, accept(2) fails as long as that
//! lasts, and the connection stays in the queue: a loop that just tries again would take all the
//! CPU from the tasks that are to close something. So after an error that was handed out the
//! listener *rests*: for [`REST`] nobody tries, then one does, and if that fails it rests anew. A
//! plain `loop { accept }` needs no care of its own.

use crate::time::{Instant, Sleep, sleep_until};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long a listener rests: ten tries a second cost nothing, and those who wait hardly notice.
pub(super) const REST: Duration = Duration::from_millis(100);

/// Broken connections passed over before the loop gets its turn.
pub(super) const TRIES: usize = 16;

/// Broken connections in a row, without a good one, after which it is no accident any more (a
/// filter that forbids accept(2) says `EPERM` each time) and the error is handed out.
const BROKEN_IN_A_ROW: u32 = 1024;

/// A listener's state of health.
#[derive(Default)]
pub(super) struct Pace {
    /// Whether `until` is set: all that is looked at while all is well.
    resting: AtomicBool,
    broken: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    until: Option<Instant>,
    /// For those who come by `poll_accept`, the latest of whom is woken.
    shared: Option<Sleep>,
}

impl Pace {
    /// Ready unless the listener rests; `sleep` is the caller's own.
    #[inline]
    pub(super) fn poll_rested(&self, cx: &mut Context<'_>, sleep: &mut Option<Sleep>) -> Poll<()> {
        if !self.resting.load(Relaxed) && sleep.is_none() {
            return Poll::Ready(());
        }
        self.poll_rest(cx, sleep)
    }

    /// As [`poll_rested`](Self::poll_rested), with the sleep that all such callers share.
    #[inline]
    pub(super) fn poll_rested_shared(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.resting.load(Relaxed) {
            return Poll::Ready(());
        }
        // Taken out: polled under the lock, it would clone a foreign waker there.
        let mut sleep = self.lock().shared.take();
        let polled = self.poll_rest(cx, &mut sleep);
        let other = std::mem::replace(&mut self.lock().shared, sleep);
        drop(other);
        polled
    }

    #[cold]
    fn poll_rest(&self, cx: &mut Context<'_>, sleep: &mut Option<Sleep>) -> Poll<()> {
        loop {
            if let Some(asleep) = sleep {
                ready!(Pin::new(asleep).poll(cx));
                *sleep = None;
            }
            // Somebody else may have been up first, and failed again.
            match self.resting_until() {
                Some(until) => *sleep = Some(sleep_until(until)),
                None => return Poll::Ready(()),
            }
        }
    }

    /// An error is handed out.
    #[cold]
    pub(super) fn rest(&self) {
        self.lock().until = Some(Instant::now() + REST);
        self.resting.store(true, Relaxed);
    }

    /// A connection was accepted.
    #[inline]
    pub(super) fn accepted(&self) {
        if self.broken.load(Relaxed) != 0 {
            self.broken.store(0, Relaxed);
        }
    }

    /// Accepting failed: whether to pass over it and go on to the next connection.
    #[cold]
    pub(super) fn passes_over(&self, error: &io::Error) -> bool {
        if error.kind() == io::ErrorKind::Interrupted {
            return true;
        }
        if !is_of_one_connection(error) {
            return false;
        }
        let passed = self.broken.fetch_add(1, Relaxed) < BROKEN_IN_A_ROW;
        if !passed {
            self.broken.store(0, Relaxed);
        }
        passed
    }

    fn resting_until(&self) -> Option<Instant> {
        if !self.resting.load(Relaxed) {
            return None;
        }
        let now = Instant::now();
        // An end further away is of another runtime's clock, a paused one.
        let until = self.lock().until.filter(|until| now < *until && *until <= now + REST);
        if until.is_none() {
            self.resting.store(false, Relaxed);
        }
        until
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Errors about the connection at the head of the queue, which is gone with it. Linux hands out
/// network errors that are pending on the new socket, and accept(2) says to treat them like
/// `EAGAIN`; `EPERM` is a firewall's word.
const OF_ONE_CONNECTION: &[i32] = &[
    libc::ECONNABORTED,
    libc::EPROTO,
    libc::ENETDOWN,
    libc::ENOPROTOOPT,
    libc::EHOSTDOWN,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    libc::ENONET,
    libc::EHOSTUNREACH,
    libc::EOPNOTSUPP,
    libc::ENETUNREACH,
    libc::EPERM,
];

fn is_of_one_connection(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|errno| OF_ONE_CONNECTION.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_is_passed_over_and_a_broken_listener_is_not() {
        let pace = Pace::default();
        for errno in [libc::ECONNABORTED, libc::EPROTO, libc::ENETDOWN, libc::EPERM, libc::EINTR] {
            assert!(pace.passes_over(&io::Error::from_raw_os_error(errno)), "{errno}");
        }
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EBADF, libc::EINVAL] {
            assert!(!pace.passes_over(&io::Error::from_raw_os_error(errno)), "{errno}");
        }
    }

    #[test]
    fn an_error_that_does_not_end_is_handed_out_in_the_end() {
        let pace = Pace::default();
        let error = io::Error::from_raw_os_error(libc::EPERM);
        let passed = |limit: u32| (0..limit).take_while(|_| pace.passes_over(&error)).count() as u32;
        assert_eq!(passed(BROKEN_IN_A_ROW - 1), BROKEN_IN_A_ROW - 1);
        pace.accepted();
        assert_eq!(passed(2 * BROKEN_IN_A_ROW), BROKEN_IN_A_ROW);
    }
}
