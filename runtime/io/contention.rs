//! Descriptors that another runtime has taken while a task of this runtime waited for them.
//!
//! A descriptor is registered with one runtime at a time. It moves to the runtime where an operation has to
//! wait. The tasks that wait for it in the earlier runtime are woken, and try again. If they no longer wait
//! for the descriptor, nothing more happens: it has been handed over. If a task continues to wait, its next
//! attempt takes the descriptor back at once. Then two runtimes wait for it at the same time, and would take
//! it from each other forever.
//!
//! So a loss is remembered until the tasks that it has woken have been polled. If the descriptor is taken
//! back within that time, that is an *answer* to the loss. The loop learns of a loss only some time after it
//! has happened. If the descriptor has come back by then, the loss can no longer have an answer.
//!
//! A task that has left a waker here and no longer waits is woken by the loss too. If it is handed the descriptor again
//! before it is polled, its next wait looks like an answer. Whoever hands it over from another thread also wakes a task
//! here. So once another thread has woken a task after the loss, an answer is *doubtful*.
//!
//! The moves of a descriptor are numbered, so that their order is known.

use crate::runtime::executor::tasks::{QueuePosition, Tasks};
use std::os::fd::RawFd;

/// A judgement about the return of a lost descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No task has waited all the time.
    No,
    /// A task may have waited all the time, or have been handed the descriptor again.
    Doubtful,
    /// A task has waited all the time.
    Clear,
}

/// The loss of a descriptor for which a task here has waited.
struct Loss {
    fd: RawFd,
    /// The position at which the tasks that the loss has woken have been polled.
    until: QueuePosition,
    /// The number of wakes from other threads before the loss.
    remote_wakes: u32,
}

/// The descriptors that have moved to and from one runtime.
#[derive(Default)]
pub(crate) struct Losses {
    /// The losses that have not been answered yet.
    losses: Vec<Loss>,
    /// The descriptors that have come from another runtime and are still here, sorted, with the numbers of
    /// their moves.
    arrivals: Vec<(RawFd, u16)>,
}

impl Losses {
    /// Records that a move has brought a descriptor here.
    pub(crate) fn arrived(&mut self, fd: RawFd, moves: u16) {
        match self.find(fd) {
            Ok(index) => self.arrivals[index].1 = moves,
            Err(index) => self.arrivals.insert(index, (fd, moves)),
        }
    }

    /// Records that a descriptor is no longer registered here.
    #[inline]
    pub(crate) fn departed(&mut self, fd: RawFd) {
        if let Ok(index) = self.find(fd) {
            self.arrivals.remove(index);
        }
    }

    fn find(&self, fd: RawFd) -> Result<usize, usize> {
        self.arrivals.binary_search_by_key(&fd, |(arrived, _)| *arrived)
    }

    /// Records that a descriptor was taken away by the move with the number `moves`. If `has_woken` is true,
    /// the loss has woken a task that waits for the descriptor here, and the task is in the run queue now.
    pub(crate) fn lost(&mut self, fd: RawFd, moves: u16, has_woken: bool, tasks: &Tasks) {
        self.losses.retain(|loss| loss.fd != fd && !tasks.has_reached(loss.until));
        // Careful: the numbers wrap.
        let is_later = |index: usize| (self.arrivals[index].1.wrapping_sub(moves) as i16) > 0;
        if self.find(fd).is_ok_and(is_later) {
            return;
        }
        self.departed(fd);
        if has_woken {
            self.losses.push(Loss { fd, until: tasks.position(), remote_wakes: tasks.remote_wakes() });
        }
    }

    /// Takes the loss of a descriptor that comes back.
    #[inline]
    pub(crate) fn take(&mut self, fd: RawFd, tasks: &Tasks) -> Answer {
        if self.losses.is_empty() { Answer::No } else { self.take_loss(fd, tasks) }
    }

    #[cold]
    fn take_loss(&mut self, fd: RawFd, tasks: &Tasks) -> Answer {
        let Some(index) = self.losses.iter().position(|loss| loss.fd == fd) else { return Answer::No };
        let loss = self.losses.swap_remove(index);
        if tasks.has_reached(loss.until) {
            Answer::No
        } else if loss.remote_wakes != tasks.remote_wakes() {
            Answer::Doubtful
        } else {
            Answer::Clear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::id::RuntimeId;

    #[test]
    fn a_loss_that_is_noticed_after_the_descriptor_has_come_back_has_no_answer() {
        let (mut losses, mut tasks) = (Losses::default(), Tasks::new(RuntimeId::new(1, 0)));
        for moves in [0, u16::MAX - 2, u16::MAX - 1, u16::MAX] {
            let [first, second, third] = [1, 2, 3].map(|step| moves.wrapping_add(step));
            losses.lost(7, first, false, &tasks);
            assert_eq!(losses.take(7, &tasks), Answer::No, "no task has waited");
            losses.lost(7, first, true, &tasks);
            assert_eq!(losses.take(7, &tasks), Answer::Clear, "it comes back in time");
            assert_eq!(losses.take(7, &tasks), Answer::No, "once");
            losses.lost(7, first, true, &tasks);
            tasks.count_remote_wakes();
            assert_eq!(losses.take(7, &tasks), Answer::Doubtful, "it may have been handed back");
            losses.arrived(7, second);
            losses.lost(7, first, true, &tasks);
            assert_eq!(losses.take(7, &tasks), Answer::No, "it has been back before");
            losses.lost(7, third, true, &tasks);
            assert_eq!(losses.take(7, &tasks), Answer::Clear, "it has been lost again");
            assert!(losses.arrivals.is_empty());
        }
    }
}
