//! Random numbers from a seed: the same plan for the same seed, on every machine.

use std::ops::Range;
use std::time::Duration;

/// Marsaglia's xorshift, with Vigna's multiplication at the end.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Makes a generator. Neighbouring seeds give unrelated sequences (splitmix64's finish).
    pub(crate) fn new(seed: u64) -> Random {
        let mut state = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // The state is never zero, where xorshift would stay.
        Random((state ^ (state >> 31)) | 1)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns another generator, for a part of the plan.
    pub(crate) fn split(&mut self) -> Random {
        Random::new(self.number())
    }

    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.within(0..100) < percent
    }

    pub(crate) fn micros(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.within(range))
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.within(0..of.len() as u64) as usize]
    }
}

/// The bytes that one side of a stream sends. Each byte depends on its place alone, so that any piece can be checked.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    random: Random,
    /// The number of bytes that have been sent, or received.
    pub(crate) place: u64,
}

impl Pattern {
    pub(crate) fn new(random: Random) -> Pattern {
        Pattern { random, place: 0 }
    }

    /// Returns the next `length` bytes.
    pub(crate) fn peek(&self, length: usize) -> Vec<u8> {
        let mut ahead = self.clone();
        (0..length).map(|_| ahead.next()).collect()
    }

    /// Notes that the next `count` bytes have been sent.
    pub(crate) fn advance(&mut self, count: usize) {
        (0..count).for_each(|_| _ = self.next());
    }

    /// Checks that these are the next bytes.
    pub(crate) fn check(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let place = self.place;
            assert_eq!(*byte, self.next(), "a wrong byte at {place}");
        }
    }

    fn next(&mut self) -> u8 {
        self.place += 1;
        self.random.number() as u8
    }
}
