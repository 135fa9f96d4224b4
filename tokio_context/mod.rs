//! A context of tokio, for libraries that call tokio by its name.
//!
//! Many libraries sleep by `tokio::time`, open sockets of `tokio::net`, or call `tokio::spawn`. On a thread without a
//! runtime of tokio these calls panic: *there is no reactor running*. Inside of this module's context they work, while
//! the futures of the program stay on the thread of their [`Runtime`](crate::Runtime):
//!
//! - [`enter`] makes the context that of the whole thread, until its guard is dropped. That is for `main`.
//! - [`with_tokio`] makes it that of one future, whenever the future is polled and while it is dropped. That is for a task.
//!   Tasks that the future spawns are not in the context.
//!
//! So a server needs [`enter`], since it spawns a task for each connection: `hyper::serve_http` does, and so does a client
//! that gets `hyper::Executor`. As the guard surrounds [`block_on`](crate::block_on), `main` is then a plain function, without
//! the attribute `#[runtime::main]`.
//!
//! Timers and sockets of tokio are driven by one helper thread, `tokio-context`, which also runs what `tokio::spawn` is
//! given. All contexts of a process share it. The thread starts when a context is first entered, and runs until the
//! process ends, so nothing has to be shut down, in whichever order the program drops its runtimes. A future that waits
//! for tokio's sleep or socket is woken from that thread, which costs some microseconds more than a wait for those of
//! this library.
//!
//! # What is still different
//!
//! - What `tokio::spawn` gets runs on the helper thread, on which no [`Runtime`](crate::Runtime) is entered: there,
//!   [`spawn`](crate::spawn) and [`time::sleep`](crate::time::sleep) panic. Sockets of this library work, as
//!   [`net`](crate::net#threads-without-a-runtime) describes.
//! - Such tasks do not keep the process alive, and are not waited for at its end.
//! - Sockets of this library spend nothing of tokio's budget. A task on the helper thread whose socket is always ready has
//!   to call `tokio::task::coop::consume_budget` now and then, or no other task runs there meanwhile.
//! - `tokio::task::spawn_local` panics, since no `LocalSet` of tokio is entered. Use [`spawn`](crate::spawn).
//! - A child of fork(2) gets a helper thread of its own when it first enters a context. What belongs to the parent's does
//!   not work in the child.
//!
//! # Examples
//!
//! ```
//! use runtime::tokio_context;
//!
//! let _context = tokio_context::enter();
//! runtime::block_on(async {
//!     let task = tokio::spawn(async { std::thread::current().name().map(str::to_owned) });
//!     assert_eq!(task.await.unwrap().as_deref(), Some("tokio-context"));
//! });
//! ```

// This module knows the number of the process, because of fork, how panics are contained, and nothing else of the
// library.

mod future;
mod helper;

pub use future::{WithTokio, with_tokio};

use std::fmt;
use std::io;
use tokio::runtime::EnterGuard;

/// Enters tokio's context on this thread, until the guard is dropped.
///
/// Use this around [`block_on`](crate::block_on), and not in async code: a guard that is kept across an `.await` would
/// be entered for all tasks that run meanwhile, and tasks drop their guards in another order than that in which they got
/// them, on which tokio panics. For a part of a program there is [`with_tokio`].
///
/// # Panics
///
/// Panics if the helper thread cannot be started: see [`try_enter`].
///
/// # Examples
///
/// See the [module](self).
#[must_use = "the context is left when the guard is dropped"]
#[track_caller]
pub fn enter() -> Guard {
    match try_enter() {
        Ok(guard) => guard,
        Err(error) => panic!("the thread of tokio's context could not be started: {error}"),
    }
}

/// Does the same as [`enter`], but returns an error instead of the panic.
///
/// # Errors
///
/// Returns an error if the helper thread cannot be started, because threads, descriptors or memory have run out. The
/// next call tries again.
pub fn try_enter() -> io::Result<Guard> {
    Ok(Guard { entered: helper::handle()?.enter() })
}

/// Returns a handle of the helper's runtime, to spawn on it from anywhere.
///
/// # Errors
///
/// Returns the same errors as [`try_enter`].
///
/// # Examples
///
/// ```
/// let sum = runtime::tokio_context::handle()?.spawn(async { 40 + 2 });
/// assert_eq!(runtime::block_on(sum).unwrap(), 42);
/// # std::io::Result::Ok(())
/// ```
pub fn handle() -> io::Result<tokio::runtime::Handle> {
    helper::handle().cloned()
}

/// A guard that keeps tokio's context entered on its thread; see [`enter`].
///
/// Guards have to be dropped in the reverse order of their creation. Otherwise tokio panics.
pub struct Guard {
    #[expect(dead_code, reason = "it is held for its drop")]
    entered: EnterGuard<'static>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}
