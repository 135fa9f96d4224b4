//! A mutex that never blocks a forked child forever.
//!
//! After fork(2), the child has the mutexes of its parent, but only the thread that called fork: a mutex that another
//! thread had locked at that moment stays locked in the child forever. So the child only tries to lock a mutex that it
//! has inherited. If that succeeds, the mutex is as good as a new one. If it does not, the value in it is lost to the
//! child, and the caller has to do without it.

use super::selector::Process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{self, MutexGuard, PoisonError, TryLockError};
use std::thread;

/// The number of attempts to lock an inherited mutex. More than one, because another thread of the child may hold it
/// while it takes the mutex over.
const TRIES: usize = 64;

pub(crate) struct Mutex<T> {
    /// The [number](Process::number) of the process in which the mutex may be waited for, because only threads of that
    /// process can hold it.
    process: AtomicU32,
    inner: sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        let process = Process::counted_if_possible();
        Mutex { process: AtomicU32::new(process.number()), inner: sync::Mutex::new(value) }
    }

    /// Creates a mutex for a static variable. The first thread that locks it takes it over for its process.
    #[cfg_attr(
        not(any(feature = "process", feature = "tokio-context")),
        allow(dead_code, reason = "the other mutexes belong to a runtime")
    )]
    pub(crate) const fn unowned(value: T) -> Mutex<T> {
        Mutex { process: AtomicU32::new(0), inner: sync::Mutex::new(value) }
    }

    /// Locks the mutex. Returns `None` in a forked child if a thread of the parent holds the lock.
    ///
    /// The caller runs nothing that can panic while it holds the lock.
    #[inline]
    pub(crate) fn lock(&self) -> Option<MutexGuard<'_, T>> {
        if self.process.load(Relaxed) != Process::current().number() {
            return self.lock_inherited();
        }
        Some(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Locks the mutex if no thread holds it.
    #[cfg_attr(not(feature = "fs"), allow(dead_code))]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.inner.try_lock() {
            Ok(guard) => Some(self.take_over(guard)),
            Err(TryLockError::Poisoned(error)) => Some(self.take_over(error.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    #[cold]
    fn lock_inherited(&self) -> Option<MutexGuard<'_, T>> {
        for _ in 0..TRIES {
            match self.inner.try_lock() {
                Ok(guard) => return Some(self.take_over(guard)),
                Err(TryLockError::Poisoned(error)) => return Some(self.take_over(error.into_inner())),
                Err(TryLockError::WouldBlock) => thread::yield_now(),
            }
            if self.process.load(Relaxed) == Process::current().number() {
                return self.lock();
            }
        }
        None
    }

    /// Notes that the mutex belongs to this process: only its threads can hold it from now on.
    fn take_over<'a>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.process.store(Process::current().number(), Relaxed);
        guard
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

#[cfg(test)]
#[cfg(not(miri))] // Miri does not support fork.
mod tests {
    #![expect(unsafe_code, reason = "fork, waitpid and _exit")]

    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::channel;

    /// Runs `body` in a forked child. `body` must not print.
    fn in_fork(body: impl FnOnce()) {
        // SAFETY: the child does only what POSIX allows after fork(2), except for malloc, which glibc allows.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the function takes a number. The signal ends the process.
            unsafe { libc::alarm(10) };
            let is_well = catch_unwind(AssertUnwindSafe(body)).is_ok();
            // SAFETY: the function takes a number.
            unsafe { libc::_exit(if is_well { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the kernel writes one number, to `status`.
        let waited = unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!((waited, status), (child, 0), "the child failed");
    }

    fn check(holds: bool) {
        if !holds {
            // Without a message, since a thread that does not exist in the child may hold the lock of the standard
            // streams.
            std::panic::resume_unwind(Box::new(()));
        }
    }

    #[test]
    fn a_child_does_not_wait_for_a_thread_that_it_does_not_have() {
        let (free, held) = (Mutex::new(1), Mutex::new(2));
        let (has_locked, is_locked) = channel();
        let (unlock, unlocked) = channel::<()>();
        thread::scope(|scope| {
            let held = &held;
            scope.spawn(move || {
                let guard = held.lock();
                has_locked.send(()).unwrap();
                drop((unlocked.recv(), guard));
            });
            is_locked.recv().unwrap();
            in_fork(|| {
                check(held.lock().is_none());
                let guard = free.lock();
                check(guard.as_deref() == Some(&1));
                // The mutex now belongs to the child, so another thread waits for it.
                thread::scope(|scope| {
                    let other = scope.spawn(|| free.lock().is_some_and(|guard| *guard == 3));
                    if let Some(mut guard) = guard {
                        *guard = 3;
                    }
                    check(other.join().is_ok_and(|waited| waited));
                });
            });
            drop(unlock);
        });
        assert_eq!(held.lock().as_deref(), Some(&2));
        assert_eq!(free.lock().as_deref(), Some(&1), "the child has its own copy");
    }
}
