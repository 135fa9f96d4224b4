//! Moments: points in time that are noted without reading the clock.
//!
//! A driver keeps the number of the loop's present turn in a thread-local. A moment is a copy of it. When the
//! time is needed later, the driver looks up the reading of the clock that followed in its
//! [log](super::turn_log). That reading is not before the moment. It is later than the moment by no more than
//! the rest of that turn, plus a small part of the time that has passed since.
//!
//! A driver keeps no log until it is needed, and does not read its clock while it has no timers. A counter
//! tells it how many moments of the present turn may be needed later. A `timeout` that is polled right away
//! removes its own moment from that count.
//!
//! This file knows neither clocks nor timers.

use std::cell::Cell;

/// The number of low bits of a moment that hold the turn. They are enough for nine years of turns of a
/// microsecond each. The bits above hold the low bits of the driver's id.
const TURN_BITS: u32 = 48;

const LAST_TURN: u64 = (1 << TURN_BITS) - 1;

/// A moment: the driver, and the turn in which it was noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment(u64);

struct Present {
    /// The id of the driver of this thread, or zero.
    driver: Cell<u64>,
    /// The present moment, or `NONE` if moments cannot be noted.
    moment: Cell<Moment>,
    /// The number of moments of this turn whose time may be needed later.
    noted: Cell<u32>,
}

thread_local! {
    static PRESENT: Present =
        const { Present { driver: Cell::new(0), moment: Cell::new(Moment::NONE), noted: Cell::new(0) } };
}

impl Moment {
    const NONE: Moment = Moment(0);

    /// Creates a moment. A driver's number is unique while the driver lives. The moment of a driver that was
    /// dropped may be mistaken for a moment of another driver. The times that the other driver looks up are
    /// later than that moment, so the timeout fires late and not early.
    #[inline]
    fn new(driver: u64, turn: u64) -> Moment {
        Moment(driver << TURN_BITS | turn & LAST_TURN)
    }

    /// Notes the present moment. Returns `None` if the clock has to be read instead: there is no driver on
    /// this thread, or its clock is paused and may move within a turn.
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

    /// Tells the driver that the time of this moment will not be needed in a later turn. Call this only once.
    #[inline]
    pub(crate) fn forget(self) {
        PRESENT.with(|present| {
            if present.moment.get() == self {
                present.noted.set(present.noted.get().wrapping_sub(1));
            }
        });
    }

    /// Returns the turn, if the moment was noted by this driver.
    #[inline]
    pub(super) fn turn_of(self, driver: u64) -> Option<u64> {
        let turn = self.0 & LAST_TURN;
        (self == Moment::new(driver, turn)).then_some(turn)
    }
}

/// Makes this the driver of this thread, and `turn` the present turn. Without a turn no moments can be noted.
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

/// Returns true if this is the driver of this thread.
#[inline]
pub(super) fn is_entered(driver: u64) -> bool {
    PRESENT.with(|present| present.driver.get() == driver)
}

/// Returns true if the time of moments of this turn may be needed later, and resets their count.
#[inline]
pub(super) fn take_noted() -> bool {
    PRESENT.with(|present| present.noted.take() > 0)
}
