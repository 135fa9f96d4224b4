//! How a listener bears failing: what it tries again, and when it rests.
//!
//! A connection that was broken while it waited in the queue says nothing about the next one, so
//! its error is passed over. But when descriptors or memory run out, accept(2) fails as long as that
//! lasts, and the connection stays in the queue: a loop that just tries again would take all the
//! CPU from the tasks that are to close something. So after an error that was handed out the
//! listener *rests*: for a while nobody tries, then one does, and if that fails it rests anew, twice as
//! long. What was accepted in between shows that it goes on, so then the rest is short again: a
//! queue full of connections that are dead already is through soon. A plain `loop { accept }` needs no
//! care of its own.

use crate::time::{Instant, Sleep, sleep_until};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The first rest, in which those who are served have many turns to close something.
const SHORTEST_REST: Duration = Duration::from_millis(5);

/// The longest: ten tries a second cost nothing, and those who wait hardly notice.
const LONGEST_REST: Duration = Duration::from_millis(100);

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
    /// Since a connection was accepted: broken ones, and [`RESTED`]. Zero while all is well.
    trouble: AtomicU32,
    state: Mutex<State>,
}

/// It has rested.
const RESTED: u32 = 1 << 31;

/// How long to rest.
#[derive(Default)]
pub(super) struct Rests {
    last: Duration,
}

impl Rests {
    /// The next rest: short, unless nothing was gained since the last one.
    pub(super) fn next(&mut self, has_gained: bool) -> Duration {
        self.last = if has_gained { SHORTEST_REST } else { LONGEST_REST.min(2 * self.last) };
        self.last
    }
}

#[derive(Default)]
struct State {
    until: Option<Instant>,
    rests: Rests,
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
        let has_gained = self.trouble.swap(RESTED, Relaxed) & RESTED == 0;
        let mut state = self.lock();
        state.until = Some(Instant::now() + state.rests.next(has_gained));
        drop(state);
        self.resting.store(true, Relaxed);
    }

    /// A connection was accepted.
    #[inline]
    pub(super) fn accepted(&self) {
        if self.trouble.load(Relaxed) != 0 {
            self.trouble.store(0, Relaxed);
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
        let broken = self.trouble.fetch_add(1, Relaxed);
        let passed = broken & !RESTED < BROKEN_IN_A_ROW;
        if !passed {
            self.trouble.store(broken & RESTED, Relaxed);
        }
        passed
    }

    fn resting_until(&self) -> Option<Instant> {
        if !self.resting.load(Relaxed) {
            return None;
        }
        let now = Instant::now();
        // An end further away is of another runtime's clock, a paused one.
        let until = self.lock().until.filter(|until| now < *until && *until <= now + LONGEST_REST);
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
    fn a_rest_that_gains_nothing_is_followed_by_one_twice_as_long() {
        let pace = Pace::default();
        let rest = || {
            pace.rest();
            pace.lock().rests.last.as_millis()
        };
        for _ in 0..2 {
            assert_eq!([(); 7].map(|()| rest()), [5, 10, 20, 40, 80, 100, 100]);
            pace.accepted();
            assert_eq!([(); 2].map(|()| rest()), [5, 10]);
            // It is no gain that a connection was broken.
            assert!(pace.passes_over(&io::Error::from_raw_os_error(libc::ECONNABORTED)));
            assert_eq!(rest(), 20);
            pace.accepted();
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
