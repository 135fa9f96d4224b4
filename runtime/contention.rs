//! Descriptors that another runtime has taken while somebody waited for them here.
//!
//! A descriptor is registered with one runtime at a time, and moves to the one where an operation has to wait.
//! Whoever waited in the earlier one is woken, and tries again. If that was a wait that is over by now, nothing
//! more happens, and the descriptor has been handed on. If it lasts, the try takes the descriptor back at
//! once: then two runtimes wait for it at the same time, and would take it from each other for ever.
//!
//! So a loss is remembered until the tasks that it has woken have been polled. What takes the descriptor back
//! within that time is an answer to the loss.

use super::tasks::{QueuePosition, Tasks};
use std::os::fd::RawFd;

/// The losses of one runtime that have not been answered yet.
#[derive(Default)]
pub(crate) struct Losses {
    losses: Vec<(RawFd, QueuePosition)>,
}

impl Losses {
    /// Another runtime has taken a descriptor, and whoever waited for it here is queued now.
    pub(crate) fn add(&mut self, fd: RawFd, tasks: &Tasks) {
        self.losses.retain(|(lost, until)| *lost != fd && !tasks.has_reached(*until));
        self.losses.push((fd, tasks.position()));
    }

    /// A descriptor comes back. Returns whether that is an answer to its loss.
    pub(crate) fn take(&mut self, fd: RawFd, tasks: &Tasks) -> bool {
        let Some(index) = self.losses.iter().position(|(lost, _)| *lost == fd) else { return false };
        let (_, until) = self.losses.swap_remove(index);
        !tasks.has_reached(until)
    }
}
