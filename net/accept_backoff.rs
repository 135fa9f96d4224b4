//! The backoff of a listener when accept(2) fails.
//!
//! A connection that broke while it waited in the queue tells nothing about the next one, so its error is skipped. But
//! when descriptors or memory run out, accept(2) fails as long as that lasts, and the connection stays in the queue: a
//! loop that tries again at once would take all the CPU time from the tasks that are going to close something. So after
//! an error was returned to the caller, the listener *backs off*. For a while no call tries to accept; then one does,
//! and if it fails as well, the listener waits twice as long. Once a connection has been accepted, the next wait is
//! short again, so that a queue full of broken connections is emptied soon. Users write a plain `loop { accept }` and
//! need no backoff of their own.

use super::backoff::Backoff;
use crate::runtime::context;
use crate::time::{Instant, Sleep, sleep_until};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The first wait, during which the tasks of open connections have many turns to close something.
const FIRST_WAIT: Duration = Duration::from_millis(5);

/// The longest wait. Ten attempts a second cost almost nothing, and clients hardly notice the delay.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The maximum number of broken connections that are skipped before the loop has its turn.
pub(super) const MAX_SKIPPED: usize = 16;

/// The number of broken connections in a row, without a good one, after which the error is returned: a filter that
/// forbids accept(2), for example, answers `EPERM` each time.
const MAX_BROKEN_IN_A_ROW: u32 = 1024;

/// The backoff of a listener, which its callers share.
#[derive(Default)]
pub(super) struct AcceptBackoff {
    /// `true` while `until` is set. As long as accept(2) succeeds, nothing else is read.
    is_waiting: AtomicBool,
    /// The number of broken connections since one was accepted, and [`FAILED`]. It is zero if there were no errors.
    failures: AtomicU32,
    state: Mutex<State>,
}

/// The bit that is set when an error was returned to the caller.
const FAILED: u32 = 1 << 31;

/// Returns the backoff of a listener. Each connection that is accepted resets it.
pub(super) const fn backoff() -> Backoff {
    Backoff::new(FIRST_WAIT, MAX_WAIT)
}

struct State {
    until: Option<Instant>,
    backoff: Backoff,
    /// The sleep that all callers of `poll_accept` share. The latest of them is woken.
    shared: Option<Sleep>,
}

impl Default for State {
    fn default() -> State {
        State { until: None, backoff: backoff(), shared: None }
    }
}

impl AcceptBackoff {
    /// Returns ready unless the listener backs off. `sleep` is the caller's own.
    #[inline]
    pub(super) fn poll_over(&self, cx: &mut Context<'_>, sleep: &mut Option<Sleep>) -> Poll<()> {
        if !self.is_waiting.load(Relaxed) && sleep.is_none() {
            return Poll::Ready(());
        }
        self.poll_wait(cx, sleep)
    }

    /// Does the same with the sleep that all callers of `poll_accept` share.
    #[inline]
    pub(super) fn poll_over_shared(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_waiting.load(Relaxed) {
            return Poll::Ready(());
        }
        // Take the sleep out: polled under the lock, it would clone a foreign waker there.
        let mut sleep = self.lock().shared.take();
        let polled = self.poll_wait(cx, &mut sleep);
        let other = std::mem::replace(&mut self.lock().shared, sleep);
        drop(other);
        polled
    }

    #[cold]
    fn poll_wait(&self, cx: &mut Context<'_>, sleep: &mut Option<Sleep>) -> Poll<()> {
        if !context::is_entered() {
            // There are no timers on this thread, so its caller has to back off.
            *sleep = None;
            return Poll::Ready(());
        }
        loop {
            if let Some(running) = sleep {
                ready!(Pin::new(running).poll(cx));
                *sleep = None;
            }
            // Check again: another caller may have tried first, and failed again.
            match self.waiting_until() {
                Some(until) => *sleep = Some(sleep_until(until)),
                None => return Poll::Ready(()),
            }
        }
    }

    /// Backs off, since an error is returned to the caller.
    #[cold]
    pub(super) fn failed(&self) {
        let wait = self.next_wait();
        self.lock().until = Some(Instant::now() + wait);
        self.is_waiting.store(true, Relaxed);
    }

    /// Returns how long to wait after an error. The first wait after an accepted connection is short again.
    fn next_wait(&self) -> Duration {
        let has_accepted = self.failures.swap(FAILED, Relaxed) & FAILED == 0;
        let mut state = self.lock();
        if has_accepted {
            state.backoff.reset();
        }
        state.backoff.next_wait()
    }

    /// Records that a connection was accepted.
    #[inline]
    pub(super) fn accepted(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Returns `true` if an error of accept(2) is skipped, and the next connection is tried.
    #[cold]
    pub(super) fn skips(&self, error: &io::Error) -> bool {
        if error.kind() == io::ErrorKind::Interrupted {
            return true;
        }
        if !is_of_one_connection(error) {
            return false;
        }
        let broken = self.failures.fetch_add(1, Relaxed);
        let is_skipped = broken & !FAILED < MAX_BROKEN_IN_A_ROW;
        if !is_skipped {
            self.failures.store(broken & FAILED, Relaxed);
        }
        is_skipped
    }

    fn waiting_until(&self) -> Option<Instant> {
        if !self.is_waiting.load(Relaxed) {
            return None;
        }
        let now = Instant::now();
        // An instant further away was set by the clock of another runtime, which is paused.
        let until = self.lock().until.filter(|until| now < *until && *until <= now + MAX_WAIT);
        if until.is_none() {
            self.is_waiting.store(false, Relaxed);
        }
        until
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The errors of the connection at the head of the queue, which is then removed from it. Linux returns network errors
/// that are pending on the new socket, and accept(2) says to treat them like `EAGAIN`. `EPERM` comes from a firewall.
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
    fn a_broken_connection_is_skipped_and_a_broken_listener_is_not() {
        let accept = AcceptBackoff::default();
        for errno in [libc::ECONNABORTED, libc::EPROTO, libc::ENETDOWN, libc::EPERM, libc::EINTR] {
            assert!(accept.skips(&io::Error::from_raw_os_error(errno)), "{errno}");
        }
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EBADF, libc::EINVAL] {
            assert!(!accept.skips(&io::Error::from_raw_os_error(errno)), "{errno}");
        }
    }

    #[test]
    fn a_wait_after_which_nothing_is_accepted_is_followed_by_one_twice_as_long() {
        let accept = AcceptBackoff::default();
        let wait = || accept.next_wait().as_millis();
        for _ in 0..2 {
            assert_eq!([(); 7].map(|()| wait()), [5, 10, 20, 40, 80, 100, 100]);
            accept.accepted();
            assert_eq!([(); 2].map(|()| wait()), [5, 10]);
            // A broken connection is not an accepted one.
            assert!(accept.skips(&io::Error::from_raw_os_error(libc::ECONNABORTED)));
            assert_eq!(wait(), 20);
            accept.accepted();
        }
    }

    #[test]
    fn an_error_that_does_not_end_is_returned_in_the_end() {
        let accept = AcceptBackoff::default();
        let error = io::Error::from_raw_os_error(libc::EPERM);
        let skipped = |limit: u32| (0..limit).take_while(|_| accept.skips(&error)).count() as u32;
        assert_eq!(skipped(MAX_BROKEN_IN_A_ROW - 1), MAX_BROKEN_IN_A_ROW - 1);
        accept.accepted();
        assert_eq!(skipped(2 * MAX_BROKEN_IN_A_ROW), MAX_BROKEN_IN_A_ROW);
    }
}
