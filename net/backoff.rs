//! Exponential backoff: how long to wait before the next attempt.
//!
//! It is used to wait for events that the kernel does not report: free descriptors (`accept_backoff.rs`), room in
//! another socket's queue (`unix/full_queue.rs`), and room in a listener's queue (`unix/connect.rs`).

use std::time::Duration;

/// A sequence of waits. The first lasts `first`, and each further one is twice as long, up to `max`.
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    /// The latest wait, or zero before the first.
    latest: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration, max: Duration) -> Backoff {
        Backoff { first, max, latest: Duration::ZERO }
    }

    /// Returns the next wait.
    pub(super) fn next_wait(&mut self) -> Duration {
        self.latest = self.latest.saturating_mul(2).clamp(self.first, self.max);
        self.latest
    }

    /// Restarts the sequence with the first wait.
    pub(super) fn reset(&mut self) {
        self.latest = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_as_long_up_to_the_longest() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(5), ms(100));
        for _ in 0..2 {
            let waits = [(); 7].map(|()| backoff.next_wait());
            assert_eq!(waits, [5, 10, 20, 40, 80, 100, 100].map(ms));
            backoff.reset();
        }
    }
}
