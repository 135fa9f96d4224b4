//! The clock of a driver: the system's monotonic clock, or one moved by hand.

use super::instant::Instant;
use std::cell::Cell;

/// Counts nanoseconds from its making on.
pub(crate) struct Clock {
    origin: Instant,
    state: Cell<State>,
}

#[derive(Clone, Copy)]
enum State {
    /// As the system's clock.
    Real,
    /// Stopped, so many nanoseconds after the origin.
    Paused(u64),
    /// Going again since the given instant, from so many nanoseconds after the origin.
    Resumed(Instant, u64),
}

impl Clock {
    pub(crate) fn new(paused: bool) -> Clock {
        let state = if paused { State::Paused(0) } else { State::Real };
        Clock { origin: Instant::real_now(), state: Cell::new(state) }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        match self.state.get() {
            State::Real => Instant::real_now().ns_since(self.origin),
            State::Paused(ns) => ns,
            State::Resumed(since, ns) => ns.saturating_add(Instant::real_now().ns_since(since)),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match self.state.get() {
            State::Real => Instant::real_now(),
            _ => self.origin.after_ns(self.now_ns()),
        }
    }

    /// How long after the origin an instant is; zero if it is before.
    #[inline]
    pub(crate) fn ns_of(&self, instant: Instant) -> u64 {
        instant.ns_since(self.origin)
    }

    /// The instant so many nanoseconds after the origin.
    pub(crate) fn at(&self, ns: u64) -> Instant {
        self.origin.after_ns(ns)
    }

    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.state.get(), State::Paused(_))
    }

    /// Stops at the next whole microsecond, the wheel's tick: then a sleep of whole microseconds
    /// takes just that.
    pub(crate) fn pause(&self) {
        self.state.set(State::Paused(self.now_ns().next_multiple_of(1000)));
    }

    pub(crate) fn resume(&self) {
        self.state.set(State::Resumed(Instant::real_now(), self.now_ns()));
    }

    /// Moves a stopped clock forward; it never goes back.
    pub(crate) fn move_to(&self, ns: u64) {
        if let State::Paused(now) = self.state.get() {
            self.state.set(State::Paused(now.max(ns)));
        }
    }
}
