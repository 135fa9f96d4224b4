//! The order in which `select!` and `join!` poll their branches.
//!
//! The macros expand to a closure that polls the branch of a given number, and the loops around it are here. They know
//! the numbers of branches and not what a branch is.

use crate::runtime::context;
use crate::runtime::rng::{Rng, RngSeed};
use crate::task::coop;
use std::task::{Context, Poll, ready};

thread_local! {
    /// The generator for code that runs outside of a runtime.
    static OUTSIDE: Rng = Rng::new(&RngSeed::random());
}

fn random() -> u64 {
    if let Some(number) = context::try_with(|context| context.rng.next()) {
        return number;
    }
    // A destructor of another thread-local may run after that of this one. It gets the first branch.
    OUTSIDE.try_with(Rng::next).unwrap_or(0)
}

/// The outcome of polling one branch of `select!`.
pub enum Branch<T> {
    /// The future is pending.
    Pending,
    /// The future is ready, but its output does not match the pattern.
    Mismatched,
    /// The future is ready, and its output matches.
    Chosen(T),
}

/// The branches of one `select!` that may still be chosen, one bit for each.
pub struct Select<const IS_BIASED: bool> {
    enabled: u64,
}

impl Select<false> {
    /// Branches that are polled in random order, with the conditions by which they are enabled.
    pub fn random<const N: usize>(conditions: [bool; N]) -> Select<false> {
        Select { enabled: bits(conditions) }
    }
}

impl Select<true> {
    /// Branches that are polled from first to last.
    pub fn biased<const N: usize>(conditions: [bool; N]) -> Select<true> {
        Select { enabled: bits(conditions) }
    }
}

impl<const IS_BIASED: bool> Select<IS_BIASED> {
    /// Polls each enabled branch once, until one is chosen. Returns `Ready(None)` if no branch is enabled any more.
    ///
    /// In the random order each permutation of the enabled branches is equally likely, so among the branches that are
    /// ready each is. A rotation from a random start would not do: a branch that follows a disabled or a pending one
    /// would be chosen for that one as well, and so twice as often as the others.
    #[inline]
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll_branch: impl FnMut(u32, &mut Context<'_>) -> Branch<T>,
    ) -> Poll<Option<T>> {
        ready!(coop::poll_budget(cx));
        let mut is_pending = false;
        let mut remaining = self.enabled;
        let mut choices = Choices::default();
        while remaining != 0 {
            let number = if IS_BIASED { remaining.trailing_zeros() } else { choices.next_of(remaining) };
            let bit = 1 << number;
            remaining &= !bit;
            match poll_branch(number, cx) {
                Branch::Pending => is_pending = true,
                Branch::Mismatched => self.enabled &= !bit,
                Branch::Chosen(output) => return Poll::Ready(Some(output)),
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(None) }
    }
}

fn bits<const N: usize>(conditions: [bool; N]) -> u64 {
    conditions.iter().rev().fold(0, |bits, is_enabled| bits << 1 | u64::from(*is_enabled))
}

/// The number of choices made with one random number. Together they are among 64^5 = 2^30 at most, so that with 64 bits
/// no choice is more likely than another by more than one in 2^34.
const CHOICES_PER_NUMBER: u32 = 5;

/// Random choices, several of which are made with one random number.
#[derive(Default)]
struct Choices {
    /// The rest of the random number, as a fraction of 2^64.
    fraction: u64,
    made: u32,
}

impl Choices {
    /// Returns the number of one of the bits that are set. Each is equally likely.
    #[inline]
    fn next_of(&mut self, bits: u64) -> u32 {
        let mut bits = bits;
        let count = bits.count_ones();
        if count > 1 {
            if self.made.is_multiple_of(CHOICES_PER_NUMBER) {
                self.fraction = random();
            }
            self.made += 1;
            // The integer part of the product is the choice, and its fraction is as random as before.
            let product = u128::from(self.fraction) * u128::from(count);
            self.fraction = product as u64;
            for _ in 0..(product >> 64) as u32 {
                bits &= bits - 1;
            }
        }
        bits.trailing_zeros()
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_permutations_is_equally_likely() {
        const ROUNDS: u32 = if cfg!(miri) { 240 } else { 240_000 };
        let mut counts = std::collections::HashMap::new();
        for _ in 0..ROUNDS {
            let (mut bits, mut choices, mut order) = (0b1001_0110u64, Choices::default(), Vec::new());
            while bits != 0 {
                let number = choices.next_of(bits);
                bits &= !(1 << number);
                order.push(number);
            }
            *counts.entry(order).or_insert(0u32) += 1;
        }
        assert!(counts.len() == 24 || cfg!(miri), "{counts:?}");
        // Six standard deviations.
        let even = f64::from(ROUNDS) / 24.0;
        assert!(
            counts.values().all(|count| (f64::from(*count) - even).abs() <= 6.0 * even.sqrt()),
            "{counts:?}"
        );
    }

    #[test]
    fn many_choices_take_each_bit_once() {
        let (mut bits, mut choices) = (u64::MAX, Choices::default());
        for left in (0..64).rev() {
            bits &= !(1 << choices.next_of(bits));
            assert_eq!(bits.count_ones(), left);
        }
    }

    #[test]
    fn conditions_are_bits_from_the_first_on() {
        assert_eq!(bits([true, false, true, true]), 0b1101);
        assert_eq!(bits([true; 64]), u64::MAX);
    }
}
