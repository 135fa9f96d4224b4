//! Time: sleeps, timeouts, intervals, and a clock that tests can pause.
//!
//! A timer never fires early. It may be late by the accuracy of the kernel's wait (some 50 µs) and by
//! [`Builder::timer_slack`](crate::Builder::timer_slack). A timer that is created but never polled costs
//! nothing, and a timer that is dropped before its deadline is removed.
//!
//! # Tests
//!
//! [`pause`] pauses the clock, so that a test of long timeouts finishes at once: whenever the loop has
//! nothing left to do, the clock jumps to the next deadline. Unlike tokio's, this clock does not run ahead of
//! real I/O. It jumps only after the selector has reported no event. While a task waits for a socket or a
//! blocking call is in progress, it jumps only after the loop has waited for 10 ms of real time, or for the
//! time set by [`Builder::auto_advance_grace`](crate::Builder::auto_advance_grace). [`inhibit_auto_advance`]
//! prevents the jumps altogether, for tests that wait for wakes from other threads.

// Deadlines are kept in a hierarchical wheel with ticks of a microsecond. This folder does not know the
// runtime. A [`Sleep`] finds its driver in a thread-local that the runtime sets on entry. The driver hands
// out wakers, and never wakes a task itself.
//
//     sleep, timeout, interval ─► driver ─► { wheel ─► levels, entries }, clock

mod clock;
mod driver;
mod entries;
pub mod error;
mod instant;
mod interval;
mod levels;
mod moment;
mod paused;
mod sleep;
mod system_clock;
mod timeout;
mod turn_log;
mod wheel;

pub(crate) use driver::{Driver, RemoteTimer, TimerId};
pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use paused::{AutoAdvanceInhibited, advance, inhibit_auto_advance, pause, resume};
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::Duration;
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
