//! The order in which `join!` polls its branches.
//!
//! The macros expand to a closure that polls the branch of a given number, and the loop around it is here. It knows the
//! numbers of branches and not what a branch is.

use std::task::{Context, Poll};

/// The branches of one `join!` or `try_join!`.
pub struct Join {
    count: u8,
    /// The branch that is polled first.
    first: u8,
    is_biased: bool,
}

impl Join {
    /// Branches of which a different one is polled first each time.
    pub fn rotating<const N: usize>(_numbers: [u8; N]) -> Join {
        Join { count: N as u8, first: 0, is_biased: false }
    }

    /// Branches that are polled from first to last each time.
    pub fn biased<const N: usize>(_numbers: [u8; N]) -> Join {
        Join { count: N as u8, first: 0, is_biased: true }
    }

    /// Polls each branch once, up to the first error.
    ///
    /// Without the rotation, a branch that always uses up the budget of the task would keep the branches after it from
    /// making progress.
    #[inline]
    pub fn poll<E>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll_branch: impl FnMut(u8, &mut Context<'_>) -> Poll<Result<(), E>>,
    ) -> Poll<Result<(), E>> {
        let first = self.first;
        if !self.is_biased {
            self.first = (first + 1) % self.count;
        }
        let mut is_pending = false;
        for number in (first..self.count).chain(0..first) {
            match poll_branch(number, cx) {
                Poll::Pending => is_pending = true,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}
