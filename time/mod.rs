//! Time: sleeps, timeouts, intervals, and a clock that tests may stop.
//!
//! Deadlines are kept in a hierarchical wheel with ticks of a microsecond. A timer never fires
//! early; by how much it may be late is up to the kernel's wait (some 50 µs) and to
//! [`Builder::timer_slack`](crate::Builder::timer_slack). A timer that is made but never polled
//! costs nothing, and one that is dropped before its time leaves nothing behind.
//!
//! This floor does not know the runtime. A [`Sleep`] finds its driver in a thread-local that the
//! runtime sets on entry; the driver hands wakers out and wakes nobody.
//!
//! ```text
//! sleep, timeout, interval ─► driver ─► wheel, clock
//! ```
//!
//! # Tests
//!
//! [`pause`] stops the clock, so that a test of long timeouts is over at once: whenever nothing is
//! left to do, the clock jumps to the next deadline. Unlike tokio's, it does not run ahead of real
//! I/O: it jumps only after the selector had nothing, and, while a socket has a waiter or a
//! blocking call is under way, only after it has waited for 10 ms of real time, or for what
//! [`Builder::auto_advance_grace`](crate::Builder::auto_advance_grace) says. [`inhibit_auto_advance`]
//! forbids it altogether, for wakes that other threads owe.

mod clock;
mod driver;
mod entries;
pub mod error;
mod instant;
mod interval;
mod moment;
mod paused;
mod sleep;
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
