//! Time slices: how long tasks run before the loop checks timers and sockets again.
//!
//! A round of tasks ends after half a millisecond plus a few polls, however long the polls take, or earlier after a
//! maximum number of polls. Reading the clock costs about as much as a poll of a task that merely yields, so the clock
//! is read after a *chunk* of polls. The number of polls in a chunk is how many fit into a quarter of a millisecond, as
//! estimated from earlier polls, and at most [`MAX_CHUNK`]:
//!
//! ```text
//!  round   ├────chunk────┼────chunk────┼────chunk────┤
//!                        ▲             ▲             ▲
//!                  read the clock: over? more or fewer polls to the next?
//! ```
//!
//! Chunks shrink at once and grow slowly: while slow and fast polls alternate, a chunk stays at one poll.
//!
//! If fewer polls are queued than fit into a chunk, the clock is read only in one of [`ROUNDS_PER_READING`] such
//! rounds, to find out whether polls have become slow. So when polls become slow, they can once hold up the loop for a
//! full chunk, or for that many short rounds.
//!
//! The caller passes in the time, and reads the clock only when it is asked to.

/// The time from one check of timers and sockets to the next.
const SLICE_NS: u64 = 500_000;

/// The time that a chunk should take.
const CHUNK_NS: u64 = SLICE_NS / 2;

/// The maximum number of polls in a chunk. Reading the clock takes some 100 instructions, a poll at least 170.
const MAX_CHUNK: usize = 64;

/// One of so many rounds that are shorter than a chunk is measured.
const ROUNDS_PER_READING: u32 = 32;

pub(crate) struct TimeSlice {
    /// The maximum number of polls in a round.
    max_polls: usize,
    /// The number of polls that are left in this round after the current chunk.
    left: usize,
    /// The number of polls between two readings of the clock.
    chunk: usize,
    /// The number of polls since the size of a chunk last changed, in chunks that took a short enough time.
    proven: usize,
    /// The latest reading of the clock. `None` if the loop may have slept since.
    read_ns: Option<u64>,
    /// The number of polls since that reading, including the whole current chunk.
    polls: usize,
    /// The time at which the round began, if it is known.
    begin_ns: Option<u64>,
    rounds: u32,
}

impl TimeSlice {
    pub(crate) fn new(max_polls: usize) -> TimeSlice {
        TimeSlice {
            max_polls,
            left: 0,
            chunk: 1,
            proven: 0,
            read_ns: None,
            polls: 0,
            begin_ns: None,
            rounds: 0,
        }
    }

    /// Begins a round in which `queued` polls are queued. Returns the number of polls that may be made before
    /// [`check`](TimeSlice::check) is called.
    #[inline]
    pub(crate) fn begin(&mut self, queued: usize, now_ns: impl FnOnce() -> u64) -> usize {
        self.left = self.max_polls;
        self.rounds += 1;
        if queued > self.chunk || self.rounds >= ROUNDS_PER_READING {
            self.begin_measured(now_ns);
        }
        self.begin_ns = self.read_ns;
        self.next_chunk()
    }

    fn begin_measured(&mut self, now_ns: impl FnOnce() -> u64) {
        self.rounds = 0;
        if self.read_ns.is_none() {
            (self.read_ns, self.polls) = (Some(now_ns()), 0);
        }
    }

    /// Decides whether the round continues. Called when the permitted polls have been made. Returns the number of polls
    /// that may be made before the next call, or `None` if the round is over.
    #[inline(never)]
    pub(crate) fn check(&mut self, now_ns: impl FnOnce() -> u64) -> Option<usize> {
        if self.left == 0 && self.polls < self.chunk {
            // A round may have only a few polls. Its time is measured together with that of the next rounds.
            return None;
        }
        let now_ns = now_ns();
        self.measure(now_ns);
        let begin_ns = *self.begin_ns.get_or_insert(now_ns);
        if self.left == 0 || now_ns.saturating_sub(begin_ns) >= SLICE_NS {
            return None;
        }
        Some(self.next_chunk())
    }

    /// Returns whether half of the time or half of the polls of the round are used up, as of the latest reading.
    pub(crate) fn is_half_over(&self) -> bool {
        let passed_ns = self.read_ns.unwrap_or(0).saturating_sub(self.begin_ns.unwrap_or(0));
        passed_ns >= SLICE_NS / 2 || self.left < self.max_polls / 2
    }

    /// Ends a round because nothing more is queued. Of the polls until the next call of [`check`](TimeSlice::check),
    /// `unused` were not made.
    #[inline]
    pub(crate) fn end(&mut self, unused: usize, now_ns: impl FnOnce() -> u64) {
        self.polls = self.polls.saturating_sub(unused);
        if self.read_ns.is_some() && self.polls > 0 {
            self.measure(now_ns());
        }
    }

    /// Discards the latest reading, since the loop may have slept: the time at which the next polls begin is unknown.
    #[inline]
    pub(crate) fn forget(&mut self) {
        self.read_ns = None;
    }

    #[inline]
    fn next_chunk(&mut self) -> usize {
        let polls = self.chunk.min(self.left);
        self.left -= polls;
        self.polls += polls;
        polls
    }

    #[inline(never)]
    fn measure(&mut self, now_ns: u64) {
        let polls = std::mem::take(&mut self.polls);
        let Some(read_ns) = self.read_ns.replace(now_ns) else { return };
        let took_ns = now_ns.saturating_sub(read_ns);
        let fitting = (polls as u64 * CHUNK_NS / took_ns.max(1)) as usize;
        if fitting < self.chunk {
            (self.chunk, self.proven) = (fitting.max(1), 0);
            return;
        }
        // Among slow polls there are some fast ones, so a chunk grows only after many fast polls in a row.
        self.proven += polls;
        if self.proven >= MAX_CHUNK && fitting >= 2 * self.chunk {
            (self.chunk, self.proven) = ((2 * self.chunk).min(MAX_CHUNK), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_POLLS: usize = 128;
    const US: u64 = 1000;

    /// A loop whose clock is moved only by its polls.
    struct Loop {
        slice: TimeSlice,
        now_ns: u64,
        readings: u64,
    }

    impl Loop {
        fn new() -> Loop {
            Loop { slice: TimeSlice::new(MAX_POLLS), now_ns: 7, readings: 0 }
        }

        /// Makes polls as long as there are any. Returns the number of polls, and the time that they took.
        fn round(&mut self, queued: usize, mut polls: impl Iterator<Item = u64>) -> (usize, u64) {
            let begin_ns = self.now_ns;
            let mut count = 0;
            let mut left = self.slice.begin(queued, || read(self.now_ns, &mut self.readings));
            loop {
                match polls.next() {
                    None => {
                        self.slice.end(left, || read(self.now_ns, &mut self.readings));
                        return (count, self.now_ns - begin_ns);
                    }
                    Some(poll_ns) => self.now_ns += poll_ns,
                }
                count += 1;
                left -= 1;
                if left == 0 {
                    match self.slice.check(|| read(self.now_ns, &mut self.readings)) {
                        Some(more) => left = more,
                        None => return (count, self.now_ns - begin_ns),
                    }
                }
            }
        }

        fn endless(&mut self, polls: impl Iterator<Item = u64>) -> (usize, u64) {
            self.round(usize::MAX, polls)
        }
    }

    fn read(now_ns: u64, readings: &mut u64) -> u64 {
        *readings += 1;
        now_ns
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many polls for an interpreter")]
    fn fast_polls_are_counted_and_rarely_measured() {
        let mut looping = Loop::new();
        for _ in 0..1000 {
            assert_eq!(looping.endless(std::iter::repeat(50)).0, MAX_POLLS);
        }
        let most = 1000 * (MAX_POLLS / MAX_CHUNK) as u64 + 2 * MAX_CHUNK as u64;
        assert!(looping.readings <= most, "{}", looping.readings);
        // The loop sleeps between rounds of one poll each, which may also be a slow one.
        for poll_ns in [500, 50_000] {
            looping.readings = 0;
            for _ in 0..3200 {
                looping.slice.forget();
                assert_eq!(looping.round(1, [poll_ns].into_iter()).0, 1);
            }
            assert!(looping.readings <= 2 * 3200 / u64::from(ROUNDS_PER_READING) + 2, "{}", looping.readings);
        }
    }

    #[test]
    fn a_round_of_slow_polls_takes_a_slice_and_one_poll() {
        for poll_ns in [20 * US, 100 * US, 300 * US, 700 * US, 5_000 * US] {
            let mut looping = Loop::new();
            looping.endless(std::iter::repeat(poll_ns));
            for _ in 0..100 {
                let (_, took_ns) = looping.endless(std::iter::repeat(poll_ns));
                assert!(took_ns < SLICE_NS + CHUNK_NS + poll_ns, "{took_ns} with polls of {poll_ns}");
            }
        }
    }

    #[test]
    fn slow_polls_among_fast_ones_end_the_round() {
        let mut looping = Loop::new();
        looping.endless(std::iter::repeat(1_000 * US));
        // One poll in ten is slow.
        let mut polls = (0..).map(|n| if n % 10 == 9 { 1_000 * US } else { US });
        for _ in 0..100 {
            let (_, took_ns) = looping.endless(polls.by_ref());
            assert!(took_ns < SLICE_NS + 1_000 * US, "{took_ns}");
        }
    }

    #[test]
    fn short_rounds_of_slow_polls_are_found_out() {
        let mut looping = Loop::new();
        looping.endless(std::iter::repeat(50));
        for _ in 0..=ROUNDS_PER_READING {
            looping.slice.forget();
            looping.round(7, std::iter::repeat_n(1_000 * US, 7));
        }
        looping.slice.forget();
        assert_eq!(looping.round(7, std::iter::repeat_n(1_000 * US, 7)), (1, 1_000 * US));
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many polls for an interpreter")]
    fn chunks_grow_again_although_rounds_are_short() {
        let mut looping = Loop::new();
        looping.endless(std::iter::repeat(1_000 * US));
        assert_eq!(looping.slice.chunk, 1);
        for _ in 0..7 * MAX_CHUNK * ROUNDS_PER_READING as usize {
            looping.slice.forget();
            looping.round(1, [US].into_iter());
        }
        assert_eq!(looping.slice.chunk, MAX_CHUNK);
    }

    #[test]
    fn a_clock_that_steps_back_does_no_harm() {
        let mut slice = TimeSlice::new(MAX_POLLS);
        slice.begin(8, || 1_000_000);
        assert!(slice.check(|| 2_000).is_some());
        assert!(slice.check(|| 1_000).is_some());
        slice.end(0, || 0);
    }
}
