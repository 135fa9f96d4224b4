//! The state of the shutdown of this process: whether it has been asked to end, and what a second request does.
//!
//! The handler changes this state, and not the loop. So a second request ends a process whose loop is blocked, or has
//! ended already. What runs in the handler is async-signal-safe, see signal-safety(7).
#![expect(unsafe_code, reason = "the clock, and the end of the process, within a signal handler")]

use super::unix::SignalKind;
use std::ffi::c_int;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64};

/// The time after the first request during which further ones count as the same. timeout(1) signals its child and then
/// the whole process group, so the child gets the signal twice, and so it does if a terminal and a program that passes
/// signals on both send it. Nobody presses Ctrl-C twice as fast as this.
const SAME_REQUEST_MS: u64 = 50;

/// True from the first call of `shutdown` on.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// The time of the first request, or zero.
static BEGUN_MS: AtomicU64 = AtomicU64::new(0);

/// The signal that was the first request, or zero.
static BEGUN_BY: AtomicI32 = AtomicI32::new(0);

/// The kinds of signals that ask a process to end.
pub(super) const REQUESTS: [SignalKind; 2] = [SignalKind::interrupt(), SignalKind::terminate()];

/// Begins to take these signals for requests to end.
pub(super) fn watch() {
    IS_WATCHED.store(true, SeqCst);
}

/// Returns the signal that was the first request to end, if there was one.
pub(super) fn begun_by() -> Option<SignalKind> {
    let signal = BEGUN_BY.load(SeqCst);
    (signal != 0).then(|| SignalKind::from_raw(signal))
}

/// Notes that a signal has arrived. This function runs in the signal handler.
pub(super) fn arrive(signal: c_int) {
    if !IS_WATCHED.load(SeqCst) || !REQUESTS.iter().any(|request| request.as_raw_value() == signal) {
        return;
    }
    let now_ms = now_ms();
    match BEGUN_MS.compare_exchange(0, now_ms, SeqCst, SeqCst) {
        Ok(_) => BEGUN_BY.store(signal, SeqCst),
        Err(begun_ms) if is_same_request(begun_ms, now_ms) => {}
        Err(_) => end(signal),
    }
}

/// Returns true if a signal counts as the request that has begun the shutdown. Another thread may have read the clock
/// later, but begun the shutdown first.
fn is_same_request(begun_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(begun_ms) < SAME_REQUEST_MS
}

/// Returns the time in milliseconds, which is never zero.
fn now_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to `now`. The clock exists on all systems.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    (now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000).max(1)
}

/// Ends the process by the default action of the signal that is being handled, so that its parent sees that signal.
fn end(signal: c_int) -> ! {
    // SAFETY: the calls are async-signal-safe. They take numbers, and a set on this stack that is initialized first.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::raise(signal);
        // The first process of a container gets here: the kernel spares it the default action.
        libc::_exit(128 + signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_sent_twice_is_one_request() {
        assert!(is_same_request(1000, 1000) && is_same_request(1000, 1049));
        assert!(is_same_request(1000, 999));
        assert!(!is_same_request(1000, 1050) && !is_same_request(1, u64::MAX));
    }
}
