//! Moments: when something was, noted without a reading of the clock.
//!
//! A driver has the number of the loop's present turn in a thread-local. To note a moment is to copy it. When
//! somebody comes to need the time, the driver looks into its [log](super::log) for the reading of the clock that
//! followed: that is not before the moment, and behind it by no more than what was left of the turn, or by a small
//! part of the time since.
//!
//! A driver keeps no log, and without timers does not read its clock, unless it has to: a counter tells it whether
//! there are moments of this turn that may be asked for. A `timeout` that is polled right away has forgotten its
//! own.
//!
//! This file knows neither clocks nor timers.

use std::cell::Cell;

/// A moment has so many bits for the turn, which are enough for nine years of turns of a microsecond. Above are
/// the low bits of the driver's id.
const TURN_BITS: u32 = 48;

const LAST_TURN: u64 = (1 << TURN_BITS) - 1;

/// A moment, by the turn of a driver in which it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment(u64);

struct Present {
    /// The driver of this thread, or zero.
    driver: Cell<u64>,
    /// `NONE` if moments cannot be noted.
    moment: Cell<Moment>,
    /// How many moments of this turn may be asked for later.
    noted: Cell<u32>,
}

thread_local! {
    static PRESENT: Present =
        const { Present { driver: Cell::new(0), moment: Cell::new(Moment::NONE), noted: Cell::new(0) } };
}

impl Moment {
    const NONE: Moment = Moment(0);

    /// A driver's number is its own while it lives. A moment of one that has gone may be taken for one of another:
    /// that one did not read its clock before, so it is only dated too late.
    #[inline]
    fn new(driver: u64, turn: u64) -> Moment {
        Moment(driver << TURN_BITS | turn & LAST_TURN)
    }

    /// Notes the present moment. `None` if the clock has to be read instead, for there is no driver on this thread, or
    /// its clock is stopped and moves within a turn.
    #[inline]
    pub(crate) fn now() -> Option<Moment> {
        PRESENT.with(|present| {
            let moment = present.moment.get();
            if moment == Moment::NONE {
                return None;
            }
            present.noted.set(present.noted.get().wrapping_add(1));
            Some(moment)
        })
    }

    /// The moment will not be asked for in a later turn. To be called once.
    #[inline]
    pub(crate) fn forget(self) {
        PRESENT.with(|present| {
            if present.moment.get() == self {
                present.noted.set(present.noted.get().wrapping_sub(1));
            }
        });
    }

    /// Returns the turn, if it is one of this driver.
    #[inline]
    pub(super) fn turn_of(self, driver: u64) -> Option<u64> {
        let turn = self.0 & LAST_TURN;
        (self == Moment::new(driver, turn)).then_some(turn)
    }
}

/// Makes this the driver of this thread, and its turn the present one. Without a turn no moments can be noted.
pub(super) fn enter(driver: u64, turn: Option<u64>) {
    PRESENT.with(|present| {
        present.driver.set(driver);
        present.moment.set(turn.map_or(Moment::NONE, |turn| Moment::new(driver, turn)));
    });
}

/// Leaves the driver of this thread.
pub(super) fn leave() {
    enter(0, None);
}

/// Returns whether this is the driver of this thread.
#[inline]
pub(super) fn is_entered(driver: u64) -> bool {
    PRESENT.with(|present| present.driver.get() == driver)
}

/// Returns whether there are moments of this turn that may be asked for later. None is counted any more.
#[inline]
pub(super) fn take_noted() -> bool {
    PRESENT.with(|present| present.noted.take() > 0)
}
