//! The time limits of one connection: which of them applies now, and since when.
//!
//! ```text
//! head ─► request in progress ─► idle ─► head ─► …        each arrow ends one limit and begins the next
//! ```
//!
//! While a request is in progress, no limit applies but that of a blocked write: a handler may take as long as it wants.
//! HTTP/2 has no limit for heads, because its frames have no idle time between them that could be told from a slow head.
//!
//! This file knows neither streams nor timers: it is told what is seen, and returns a deadline.

use crate::time::{Duration, Instant};

/// The time that a connection has to close after it was told to: for the answer of an HTTP/2 client to the last ping, or
/// for what the client still sends and nobody reads.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time that a client has for the rest of what it sends, as long as it goes on. nginx has the same times in
/// `lingering_timeout` and `lingering_time`.
const LINGERING_TIMEOUT: Duration = Duration::from_secs(30);

/// The limits of a server. [`Duration::MAX`] means no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) handshake: Duration,
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
}

/// The state of a connection, from which its time limit follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// A request is in progress.
    pub(super) is_busy: bool,
    /// The end of the latest request, or `None` if there was no request yet.
    pub(super) served: Option<Instant>,
    pub(super) is_http2: bool,
    /// Bytes have been read since the latest request has ended.
    pub(super) has_read: bool,
    /// If responses wait for the client: a number that changes whenever some of them has been sent.
    pub(super) blocked: Option<u32>,
    /// The connection was told to end, or ends by itself.
    pub(super) is_ending: bool,
    /// The number of reads at its end that were thrown away.
    pub(super) discarded: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// The connection is closed.
    Cut,
    /// The connection is told to end.
    Idle,
}

pub(super) struct Clocks {
    limits: Limits,
    start: Instant,
    /// The moment in which the first bytes of the present head were seen.
    head: Option<Instant>,
    /// The moment in which a response was first seen to wait for the client, and the number by which progress is told.
    blocked: Option<(Instant, u32)>,
    /// The moment after which nothing is blocked any more.
    unblocked: Option<Instant>,
    ending: Option<Ending>,
}

#[derive(Clone, Copy)]
struct Ending {
    start: Instant,
    /// The moment in which the client was last seen to send, and the number of reads by then.
    latest: Instant,
    discarded: u32,
}

impl Clocks {
    pub(super) fn new(limits: Limits, start: Instant) -> Clocks {
        Clocks { limits, start, head: None, blocked: None, unblocked: None, ending: None }
    }

    /// Returns the deadline of the limit that applies now, if there is one. `now` reads the clock, which most calls do
    /// not need.
    pub(super) fn deadline(&mut self, seen: Seen, now: impl Fn() -> Instant) -> Option<(Instant, Limit)> {
        if let Some(writes) = seen.blocked {
            let since = match self.blocked {
                Some((since, before)) if before == writes => since,
                _ => now(),
            };
            self.blocked = Some((since, writes));
            return Some((since.saturating_add(self.limits.write), Limit::Cut));
        }
        if self.blocked.take().is_some() {
            // A client that reads slowly has got the rest of a response only now.
            self.unblocked = Some(now());
        }
        if seen.is_busy {
            (self.head, self.unblocked, self.ending) = (None, None, None);
            return None;
        }
        if seen.is_ending {
            let ending = match self.ending {
                Some(ending) if ending.discarded == seen.discarded => ending,
                earlier => {
                    let latest = now();
                    let start = earlier.map_or(latest, |earlier| earlier.start);
                    Ending { start, latest, discarded: seen.discarded }
                }
            };
            self.ending = Some(ending);
            let latest = ending.start.saturating_add(LINGERING_TIMEOUT);
            return Some((ending.latest.saturating_add(CLOSE_TIMEOUT).min(latest), Limit::Cut));
        }
        let Some(served) = seen.served else {
            return Some(if seen.is_http2 {
                (self.start.saturating_add(self.limits.idle), Limit::Idle)
            } else {
                (self.start.saturating_add(self.limits.header), Limit::Cut)
            });
        };
        if seen.has_read && !seen.is_http2 {
            let since = *self.head.get_or_insert_with(&now);
            return Some((since.saturating_add(self.limits.header), Limit::Cut));
        }
        self.head = None;
        let since = self.unblocked.map_or(served, |unblocked| unblocked.max(served));
        Some((since.saturating_add(self.limits.idle), Limit::Idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const SECOND: Duration = Duration::from_secs(1);

    const QUIET: Seen = Seen {
        is_busy: false,
        served: None,
        is_http2: false,
        has_read: false,
        blocked: None,
        is_ending: false,
        discarded: 0,
    };

    /// A connection of which the limits are 10 s for heads, 60 s while idle, and 30 s for writes. Times are seconds
    /// since its start.
    struct Story {
        clocks: Clocks,
        start: Instant,
        now_s: Cell<u32>,
    }

    impl Story {
        fn new() -> Story {
            let start = Instant::now();
            let limits =
                Limits { handshake: SECOND, header: 10 * SECOND, idle: 60 * SECOND, write: 30 * SECOND };
            Story { clocks: Clocks::new(limits, start), start, now_s: Cell::new(0) }
        }

        fn at(&mut self, now_s: u32, seen: Seen) -> Option<(u64, Limit)> {
            self.now_s.set(now_s);
            let now = || self.start + self.now_s.get() * SECOND;
            let found = self.clocks.deadline(seen, now);
            found.map(|(deadline, limit)| ((deadline - self.start).as_secs(), limit))
        }

        fn served(&self, at_s: u32) -> Option<Instant> {
            Some(self.start + at_s * SECOND)
        }
    }

    #[test]
    fn the_first_head_is_timed_from_the_start_and_not_from_its_first_byte() {
        let mut story = Story::new();
        assert_eq!(story.at(0, QUIET), Some((10, Limit::Cut)));
        assert_eq!(story.at(7, Seen { has_read: true, ..QUIET }), Some((10, Limit::Cut)));
        assert_eq!(story.at(8, Seen { is_busy: true, ..QUIET }), None);
    }

    #[test]
    fn a_further_head_is_timed_from_its_first_byte() {
        let mut story = Story::new();
        let idle = Seen { served: story.served(3), ..QUIET };
        assert_eq!(story.at(3, idle), Some((63, Limit::Idle)));
        assert_eq!(story.at(20, Seen { has_read: true, ..idle }), Some((30, Limit::Cut)));
        assert_eq!(story.at(25, Seen { has_read: true, ..idle }), Some((30, Limit::Cut)), "a trickle");
        assert_eq!(story.at(29, Seen { is_busy: true, ..idle }), None);
        assert_eq!(story.at(40, Seen { served: story.served(40), ..QUIET }), Some((100, Limit::Idle)));
    }

    #[test]
    fn a_client_that_reads_slowly_is_not_idle() {
        let mut story = Story::new();
        let idle = Seen { served: story.served(1), ..QUIET };
        assert_eq!(story.at(2, Seen { blocked: Some(0), ..idle }), Some((32, Limit::Cut)));
        assert_eq!(story.at(9, Seen { blocked: Some(0), ..idle }), Some((32, Limit::Cut)), "no progress");
        assert_eq!(story.at(31, Seen { blocked: Some(1), ..idle }), Some((61, Limit::Cut)), "some progress");
        assert_eq!(story.at(50, idle), Some((110, Limit::Idle)), "all is written");
    }

    #[test]
    fn a_blocked_write_has_a_limit_while_a_request_is_in_progress() {
        let mut story = Story::new();
        let busy = Seen { is_busy: true, blocked: Some(0), ..QUIET };
        assert_eq!(story.at(5, busy), Some((35, Limit::Cut)));
        assert_eq!(story.at(6, Seen { blocked: None, ..busy }), None);
        assert_eq!(story.at(7, Seen { blocked: Some(1), ..busy }), Some((37, Limit::Cut)));
    }

    #[test]
    fn an_http2_connection_without_requests_is_idle_even_if_it_pings() {
        let mut story = Story::new();
        let ping = Seen { is_http2: true, has_read: true, ..QUIET };
        assert_eq!(story.at(5, ping), Some((60, Limit::Idle)));
        let served = Seen { served: story.served(30), ..ping };
        assert_eq!(story.at(80, served), Some((90, Limit::Idle)));
        assert_eq!(story.at(91, Seen { is_ending: true, ..served }), Some((96, Limit::Cut)));
    }

    #[test]
    fn a_client_that_still_sends_at_the_end_has_more_time_and_not_all_of_it() {
        let mut story = Story::new();
        let ending = Seen { is_ending: true, served: story.served(10), ..QUIET };
        assert_eq!(story.at(10, ending), Some((15, Limit::Cut)));
        assert_eq!(story.at(14, Seen { discarded: 1, ..ending }), Some((19, Limit::Cut)));
        assert_eq!(story.at(16, Seen { discarded: 1, ..ending }), Some((19, Limit::Cut)));
        assert_eq!(story.at(18, Seen { discarded: 7, ..ending }), Some((23, Limit::Cut)));
        assert_eq!(story.at(38, Seen { discarded: 9, ..ending }), Some((40, Limit::Cut)));
    }

    #[test]
    fn no_limit_is_endless() {
        let limits = Limits {
            handshake: Duration::MAX,
            header: Duration::MAX,
            idle: Duration::MAX,
            write: Duration::MAX,
        };
        let now = Instant::now();
        let (deadline, _) = Clocks::new(limits, now).deadline(QUIET, || now).unwrap();
        assert!(deadline - now > Duration::from_secs(1 << 31));
    }
}
