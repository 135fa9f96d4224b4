//! The checks at the end of an episode: guards, each of which is to be dropped once, hostile wakers, and faults.

use crate::common::adversary::Adversary;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The checks of an episode. Both of its threads share them.
#[derive(Default)]
pub(crate) struct Checks {
    guards: Mutex<Guards>,
    adversaries: Mutex<Vec<(Arc<Adversary>, String)>>,
    faults: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Guards {
    made: u64,
    live: HashSet<u64>,
}

/// A value held by a future, an output, a panic's payload or a waker. It is to be dropped once.
pub(crate) struct Guard {
    number: u64,
    checks: Arc<Checks>,
}

impl Checks {
    pub(crate) fn guard(self: &Arc<Self>) -> Guard {
        let mut guards = lock(&self.guards);
        guards.made += 1;
        let number = guards.made;
        guards.live.insert(number);
        Guard { number, checks: self.clone() }
    }

    /// Expects all wakers of `adversary` to be dropped by the end.
    pub(crate) fn watch(&self, adversary: &Arc<Adversary>, name: String) {
        lock(&self.adversaries).push((adversary.clone(), name));
    }

    /// Records a fault. The episode goes on, so that no thread waits for one that has panicked.
    pub(crate) fn fault(&self, fault: String) {
        lock(&self.faults).push(fault);
    }

    /// Returns all faults. To be called when both threads have ended.
    pub(crate) fn close(&self) -> Vec<String> {
        let mut faults = std::mem::take(&mut *lock(&self.faults));
        let guards = lock(&self.guards);
        if !guards.live.is_empty() {
            faults.push(format!("{} of {} guards were not dropped", guards.live.len(), guards.made));
        }
        for (adversary, name) in lock(&self.adversaries).drain(..) {
            let (live, failed) = (adversary.live(), adversary.failed());
            if (live, failed) != (0, 0) {
                faults.push(format!("{name}: {live} wakers were not dropped, {failed} calls failed"));
            }
        }
        faults
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !lock(&self.checks.guards).live.remove(&self.number) {
            self.checks.fault(format!("guard {} was dropped twice", self.number));
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
