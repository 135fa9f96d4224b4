//! The multiplexer layer: asks the kernel which file descriptors are ready.
//!
//! One file per mechanism, one contract; the reactor above sees only what stands here, and nothing
//! here knows of wakers or tasks.
//!
//! # The contract
//!
//! - A descriptor is registered once, under a *token* of the caller's choice, which every event
//!   about it carries. Registering it again fails with `EEXIST`; one that the mechanism cannot
//!   watch is refused at registration (epoll: `EPERM` for regular files; select: numbers past its
//!   set), never later.
//! - An *edge* mechanism (epoll, kqueue) watches both directions from registration on, reports each
//!   change once, and reports at registration what is ready already. A *level* mechanism (poll,
//!   select) reports as long as a state lasts, so it must watch a direction only while somebody
//!   waits for it: a hang-up that nobody reads would turn the loop for ever.
//! - Events may be spurious: an operation must be tried to be sure. None is missing: a direction
//!   that becomes ready after an operation said `EAGAIN` is reported.
//! - Error and hang-up count as both directions, for whoever waits has to hear of it.
//! - `deregister` comes before the close of the descriptor. An event that was already collected
//!   may still come out afterwards, so tokens carry a generation and stale ones are dropped.
//! - A wait without time-out ends only by an event or by the [`Notifier`]. A time-out is rounded
//!   up, never down, and clamped to what the system call can say. `EINTR` is zero events.
//! - [`Remote`] is the part that other threads may use: it deregisters a descriptor whose owner
//!   was dropped away from its runtime.

mod epoll;
mod notifier;

pub(crate) use epoll::{Epoll as Selector, Remote};
pub(crate) use notifier::Notifier;

/// Calls a function of libc, and turns its -1 into the error that errno holds.
macro_rules! syscall {
    ($function:ident ( $($argument:expr),* $(,)? )) => {{
        // SAFETY: the call site says why its arguments are what this function expects.
        let result = unsafe { libc::$function($($argument),*) };
        if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
    }};
}
pub(crate) use syscall;

/// The token of the notifier; no source has it, since ids are never all ones.
pub(crate) const NOTIFIER_TOKEN: u64 = u64::MAX;

/// What the kernel says about one descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    /// The token under which the descriptor was registered.
    pub(crate) token: u64,
    /// Any of the flags below.
    pub(crate) flags: u8,
}

impl Event {
    /// A read may get on: data, end of file, or an error to collect.
    pub(crate) const READABLE: u8 = 1;
    /// A write may get on, or has an error to collect.
    pub(crate) const WRITABLE: u8 = 2;
    /// A short read does not mean that nothing is left: the peer has closed (an end of file follows
    /// the data), there is an error to collect, or urgent data made the read stop half way.
    pub(crate) const READ_CLOSED: u8 = 4;
    /// Likewise for writes: an error is there to collect.
    pub(crate) const WRITE_CLOSED: u8 = 8;
}
