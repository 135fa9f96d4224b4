//! Descriptors that another runtime has taken while somebody waited for them here.
//!
//! A descriptor is registered with one runtime at a time, and moves to the one where an operation has to wait.
//! Whoever waited in the earlier one is woken, and tries again. If that was a wait that is over by now, nothing
//! more happens, and the descriptor has been handed on. If it lasts, the try takes the descriptor back at
//! once: then two runtimes wait for it at the same time, and would take it from each other for ever.
//!
//! So a loss is remembered until the tasks that it has woken have been polled. What takes the descriptor back
//! within that time is an answer to the loss. The loop hears of a loss some time after it: if the descriptor has
//! come back by then, nobody answers that loss any more.
//!
//! A descriptor's moves are numbered, so that it is known which came first.

use crate::runtime::executor::tasks::{QueuePosition, Tasks};
use std::os::fd::RawFd;

/// What one runtime knows of the descriptors that move to it and away.
#[derive(Default)]
pub(crate) struct Losses {
    /// Those that have not been answered yet.
    losses: Vec<(RawFd, QueuePosition)>,
    /// Descriptors that have come from another runtime and are here still, in order, and by which move they came.
    arrivals: Vec<(RawFd, u16)>,
}

impl Losses {
    /// A move has brought a descriptor here.
    pub(crate) fn arrived(&mut self, fd: RawFd, moves: u16) {
        match self.find(fd) {
            Ok(index) => self.arrivals[index].1 = moves,
            Err(index) => self.arrivals.insert(index, (fd, moves)),
        }
    }

    /// A descriptor is not registered here any more.
    #[inline]
    pub(crate) fn departed(&mut self, fd: RawFd) {
        if let Ok(index) = self.find(fd) {
            self.arrivals.remove(index);
        }
    }

    fn find(&self, fd: RawFd) -> Result<usize, usize> {
        self.arrivals.binary_search_by_key(&fd, |(arrived, _)| *arrived)
    }

    /// The loop hears that a descriptor was taken away after so many moves. If that `has_woken` a task that waits for
    /// it here, the task is queued now.
    pub(crate) fn lost(&mut self, fd: RawFd, moves: u16, has_woken: bool, tasks: &Tasks) {
        self.losses.retain(|(lost, until)| *lost != fd && !tasks.has_reached(*until));
        // The numbers wrap.
        let is_later = |index: usize| (self.arrivals[index].1.wrapping_sub(moves) as i16) > 0;
        if self.find(fd).is_ok_and(is_later) {
            return;
        }
        self.departed(fd);
        if has_woken {
            self.losses.push((fd, tasks.position()));
        }
    }

    /// A descriptor comes back. Returns whether that is an answer to its loss.
    #[inline]
    pub(crate) fn take(&mut self, fd: RawFd, tasks: &Tasks) -> bool {
        !self.losses.is_empty() && self.take_loss(fd, tasks)
    }

    #[cold]
    fn take_loss(&mut self, fd: RawFd, tasks: &Tasks) -> bool {
        let Some(index) = self.losses.iter().position(|(lost, _)| *lost == fd) else { return false };
        let (_, until) = self.losses.swap_remove(index);
        !tasks.has_reached(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::id::RuntimeId;

    #[test]
    fn a_loss_that_is_heard_of_when_the_descriptor_has_come_back_has_no_answer() {
        let (mut losses, tasks) = (Losses::default(), Tasks::new(RuntimeId::new(1, 0)));
        for moves in [0, u16::MAX - 2, u16::MAX - 1, u16::MAX] {
            let [first, second, third] = [1, 2, 3].map(|step| moves.wrapping_add(step));
            losses.lost(7, first, false, &tasks);
            assert!(!losses.take(7, &tasks), "nobody has waited");
            losses.lost(7, first, true, &tasks);
            assert!(losses.take(7, &tasks), "it comes back in time");
            assert!(!losses.take(7, &tasks), "once");
            losses.arrived(7, second);
            losses.lost(7, first, true, &tasks);
            assert!(!losses.take(7, &tasks), "it has been back before");
            losses.lost(7, third, true, &tasks);
            assert!(losses.take(7, &tasks), "it has been lost again");
            assert!(losses.arrivals.is_empty());
        }
    }
}
