//! Futures that a test polls by hand, each with a waker of its own that counts. The same steps can be taken with the
//! futures of this library and with those of tokio, and what is seen after each step compared.

use super::CountingWaker;
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm};
use runtime::task::{unconstrained, yield_now};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// So many random stories. The generator is the fast one: without optimization the other takes most of the time.
pub(crate) fn stories(cases: usize) -> ProptestConfig {
    ProptestConfig {
        cases: cases as u32,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::XorShift,
        ..ProptestConfig::default()
    }
}

/// A future that is pending, or its output.
pub(crate) enum Entry<'a, T> {
    Pending(Pending<'a, T>),
    Ready(T),
}

pub(crate) struct Pending<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    counting: Arc<CountingWaker>,
    waker: Waker,
}

pub(crate) struct Pool<'a, T>(Vec<Entry<'a, T>>);

impl<T> Default for Pool<'_, T> {
    fn default() -> Self {
        Pool(Vec::new())
    }
}

impl<'a, T> Pool<'a, T> {
    /// Adds a future, without a poll.
    pub(crate) fn push(&mut self, future: impl Future<Output = T> + 'a) {
        let (counting, waker) = CountingWaker::new();
        self.0.push(Entry::Pending(Pending { future: Box::pin(future), counting, waker }));
    }

    /// Adds a future, and polls it once.
    pub(crate) fn start(&mut self, future: impl Future<Output = T> + 'a) {
        self.push(future);
        self.poll(self.0.len() - 1);
    }

    /// Adds an output.
    pub(crate) fn put(&mut self, output: T) {
        self.0.push(Entry::Ready(output));
    }

    /// The entry for any number.
    fn index(&self, which: usize) -> usize {
        which % self.0.len().max(1)
    }

    /// Polls a future, if it is pending. True if it is ready now.
    pub(crate) fn poll(&mut self, which: usize) -> bool {
        let index = self.index(which);
        let Some(Entry::Pending(pending)) = self.0.get_mut(index) else { return false };
        let Poll::Ready(output) = pending.future.as_mut().poll(&mut Context::from_waker(&pending.waker))
        else {
            return false;
        };
        self.0[index] = Entry::Ready(output);
        true
    }

    /// Polls a future with a new waker.
    pub(crate) fn poll_elsewhere(&mut self, which: usize) -> bool {
        let index = self.index(which);
        if let Some(Entry::Pending(pending)) = self.0.get_mut(index) {
            (pending.counting, pending.waker) = CountingWaker::new();
        }
        self.poll(index)
    }

    /// Takes an entry out.
    pub(crate) fn take(&mut self, which: usize) -> Option<Entry<'a, T>> {
        let index = self.index(which);
        (index < self.0.len()).then(|| self.0.swap_remove(index))
    }

    /// The output of a future, if it is ready.
    pub(crate) fn output(&mut self, which: usize) -> Option<&mut T> {
        let index = self.index(which);
        match self.0.get_mut(index)? {
            Entry::Ready(output) => Some(output),
            Entry::Pending(_) => None,
        }
    }

    /// Takes an output out, if the future is ready.
    pub(crate) fn take_output(&mut self, which: usize) -> Option<T> {
        self.output(which)?;
        match self.take(which)? {
            Entry::Ready(output) => Some(output),
            Entry::Pending(_) => None,
        }
    }

    /// Returns the number of wakes of each pending future, and the result of `see` for each output.
    pub(crate) fn seen<S>(&self, see: impl Fn(&T) -> S) -> Vec<Result<S, usize>> {
        let entries = self.0.iter().map(|entry| match entry {
            Entry::Pending(pending) => Err(pending.counting.wakes()),
            Entry::Ready(output) => Ok(see(output)),
        });
        entries.collect()
    }

    /// Returns the number of wakes of a future, if it is pending.
    pub(crate) fn wakes(&self, index: usize) -> Option<usize> {
        match &self.0[index] {
            Entry::Pending(pending) => Some(pending.counting.wakes()),
            Entry::Ready(_) => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Polls every future that has been woken, until none is left. The number of polls.
    pub(crate) fn run(&mut self) -> usize {
        let mut polls = 0;
        loop {
            let before = polls;
            for index in 0..self.0.len() {
                let Entry::Pending(pending) = &mut self.0[index] else { continue };
                if pending.counting.wakes() > 0 {
                    (pending.counting, pending.waker) = CountingWaker::new();
                    polls += 1;
                    self.poll(index);
                }
            }
            if polls == before {
                return polls;
            }
        }
    }
}

/// Polls a future in a task without budget, and then another one as if by a task with budget. Both have to wait.
pub(crate) async fn poll_without_budget_and_with<F: Future + Unpin, G: Future + Unpin>(
    first: &mut F,
    second: &mut G,
) {
    poll_fn(|cx| {
        super::spend_budget();
        assert!(Pin::new(&mut *first).poll(cx).is_pending());
        let mut second = pin!(unconstrained(Pin::new(&mut *second)));
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        Poll::Ready(())
    })
    .await;
    // Now there is budget again.
    yield_now().await;
}
