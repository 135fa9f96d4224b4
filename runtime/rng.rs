//! The random numbers of a runtime. `select!` takes from them the order in which it polls its branches.
//!
//! The generator is wyrand: a counter of 64 bits, and one multiplication that mixes it. It is fast, its numbers are
//! evenly distributed, and they can be predicted, so they are not for secrets. Each runtime has a generator of its own,
//! so what one runtime does never changes the sequence of another. This file does not know who takes the numbers.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// The increment of the counter, and the number that is mixed in: the constants of wyrand.
const INCREMENT: u64 = 0xa076_1d64_78bd_642f;
const MIXED_IN: u64 = 0xe703_7ed1_a0b4_28db;

/// A seed for the random numbers of a runtime.
///
/// Two runtimes with the same seed produce the same sequence of numbers, so `select!` polls its branches in the same
/// order in both. See [`Builder::rng_seed`](crate::Builder::rng_seed).
#[derive(Clone, Debug)]
pub struct RngSeed(u64);

impl RngSeed {
    /// Derives a seed from bytes of any number.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::runtime::RngSeed;
    ///
    /// let seed = RngSeed::from_bytes(b"the order that made the test fail");
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> RngSeed {
        // Its keys are constant, unlike those of a `RandomState`.
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        RngSeed(hasher.finish())
    }

    /// Returns a seed that is different each time.
    pub(crate) fn random() -> RngSeed {
        RngSeed(RandomState::new().build_hasher().finish())
    }
}

/// A generator of random numbers.
pub(crate) struct Rng(Cell<u64>);

impl Rng {
    pub(crate) fn new(seed: &RngSeed) -> Rng {
        Rng(Cell::new(seed.0))
    }

    /// Returns the next number. All 64 bits are random.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        let counter = self.0.get().wrapping_add(INCREMENT);
        self.0.set(counter);
        let product = u128::from(counter) * u128::from(counter ^ MIXED_IN);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_gives_others() {
        let numbers = |seed: &[u8]| {
            let rng = Rng::new(&RngSeed::from_bytes(seed));
            (0..100).map(|_| rng.next()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(b"one"), numbers(b"one"));
        assert_ne!(numbers(b"one"), numbers(b"two"));
        assert_ne!(RngSeed::random().0, RngSeed::random().0);
    }

    #[test]
    fn each_bit_is_set_half_of_the_time() {
        const ROUNDS: u32 = if cfg!(miri) { 2_000 } else { 200_000 };
        let rng = Rng::new(&RngSeed(0));
        let mut counts = [0u32; 64];
        for _ in 0..ROUNDS {
            let number = rng.next();
            (0..64).for_each(|bit| counts[bit] += (number >> bit & 1) as u32);
        }
        // Six standard deviations.
        let (half, allowed) = (f64::from(ROUNDS) / 2.0, 3.0 * f64::from(ROUNDS).sqrt());
        assert!(counts.iter().all(|count| (f64::from(*count) - half).abs() <= allowed), "{counts:?}");
    }
}
