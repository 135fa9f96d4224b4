//! Children whose [`Child`](super::Child) was dropped before they were reaped, and which would stay zombies.
//!
//! A task of the runtime that is entered waits for the child, and reaps it at once. Where that is not possible, the child
//! is put on a list, which is looked through whenever a child is spawned or dropped. Children that are not ours are never
//! waited for.

use super::running::Running;
use crate::runtime::context;
use crate::runtime::mutex::Mutex;
use crate::task::spawn;
use std::future::poll_fn;

/// The children that no runtime waits for.
static LISTED: Mutex<Vec<Running>> = Mutex::unowned(Vec::new());

/// A child without a handle. It is listed if this is dropped before the child is reaped.
struct Orphan(Option<Running>);

/// Takes over a child whose handle is dropped.
pub(super) fn adopt(running: Running) {
    reap_listed();
    let mut orphan = Orphan(Some(running));
    if orphan.try_reap() {
        return;
    }
    if context::is_entered() {
        // If the runtime is being dropped, so is the future.
        drop(spawn(async move { orphan.reap().await }));
    }
}

/// Reaps those of the listed children that have ended.
pub(super) fn reap_listed() {
    // In a forked child whose parent held the lock, there is nothing to reap.
    if let Some(mut listed) = LISTED.lock() {
        listed.retain_mut(|running| matches!(running.try_reap(), Ok(None)));
    }
}

impl Orphan {
    /// Returns true if there is nothing left to reap.
    fn try_reap(&mut self) -> bool {
        if self.0.as_mut().is_some_and(|running| matches!(running.try_reap(), Ok(None))) {
            return false;
        }
        self.0 = None;
        true
    }

    /// Waits until the child has ended, and reaps it. After an error the child is listed.
    async fn reap(mut self) {
        let Some(running) = &mut self.0 else { return };
        if poll_fn(|cx| running.poll_reap(cx)).await.is_ok() {
            self.0 = None;
        }
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if self.try_reap() {
            return;
        }
        if let Some(mut running) = self.0.take() {
            running.stop_watching();
            if let Some(mut listed) = LISTED.lock() {
                listed.push(running);
            }
        }
    }
}
