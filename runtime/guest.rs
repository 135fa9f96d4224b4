//! A runtime as a guest: the methods by which another loop drives it. What they do is in `executor/guest.rs`.

// The methods, and those that only they call, are marked `inline`: they are then compiled with the program that calls
// them, and a program that is no host is not larger for them.

use super::handle::Runtime;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Methods for a loop of another kind, such as that of a window system, a game or another runtime, that drives this
/// runtime on its own thread. The host repeats three steps:
///
/// 1. It asks for the [`next_deadline`](Runtime::next_deadline).
/// 2. It waits until that time, or until [`selector_fd`](Runtime::selector_fd) is readable, together with whatever else
///    it waits for.
/// 3. It calls [`turn`](Runtime::turn), usually with a timeout of zero.
///
/// Everything that other threads and the kernel do makes the descriptor readable: sockets, wakes, tasks that are spawned
/// or aborted through a [`Handle`](crate::Handle), blocking calls that a task awaits, signals. Whatever the runtime's own
/// thread does to it between two turns, such as spawning a task, may show in `next_deadline` alone.
impl Runtime {
    /// Turns the loop once: runs the tasks that are ready, waits for events for at most `timeout`, and runs the tasks
    /// that these have woken. `None` means that the wait is not limited, unless tasks are ready at the beginning: then
    /// there is no wait, so that `while !task.is_finished() { runtime.turn(None) }` does not wait for a task that has
    /// just ended.
    ///
    /// The wait ends early when there is an event, when a timer fires, or when another thread sends a message. If tasks
    /// are still ready after they have run for their time slice of half a millisecond, there is no wait. So with a
    /// timeout of zero, `turn` returns after about a millisecond, whatever the tasks do, plus the time by which the last
    /// poll exceeds its slice. Tasks that have not had their turn by then run in the next call.
    ///
    /// `turn` and [`block_on`](Runtime::block_on) may be called alternately. A paused clock moves in `turn` as in
    /// `block_on`; of the real time that it waits for sockets before, each call waits at most `timeout`. The functions
    /// set by [`on_thread_park`](crate::Builder::on_thread_park) and `on_thread_unpark` are not called if `timeout` is
    /// zero.
    ///
    /// # Panics
    ///
    /// Panics if `turn` or `block_on` of any runtime is already running on this thread, and if the selector fails. The
    /// panic of a task is returned by its join handle, unless
    /// [`unhandled_panic`](crate::Builder::unhandled_panic) says that it shuts the runtime down: then `turn` panics.
    ///
    /// # Examples
    ///
    /// A game runs tasks once in a frame:
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = runtime::Runtime::new()?;
    /// let loaded = runtime.spawn(async {
    ///     runtime::time::sleep(Duration::from_millis(20)).await;
    ///     "the map"
    /// });
    /// let mut frames = 0;
    /// while !loaded.is_finished() {
    ///     runtime.turn(Some(Duration::ZERO));
    ///     frames += 1; // Draw a frame here.
    ///     std::thread::sleep(Duration::from_millis(5));
    /// }
    /// assert!(frames > 1);
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn turn(&self, timeout: Option<Duration>) {
        self.executor().turn_as_guest(timeout);
    }

    /// Returns the time at which the host has to call [`turn`](Runtime::turn), even if [`selector_fd`] has not become
    /// readable by then. `None` means that there is only the descriptor to wait for.
    ///
    /// This is the deadline of the next timer. It is the current time if `turn` has something to do already: while tasks
    /// are ready, while there are messages from other threads, and after a turn that has found as many events as it had
    /// room for ([`max_io_events_per_tick`](crate::Builder::max_io_events_per_tick)), since the descriptor need not
    /// become readable again for the events that are left.
    ///
    /// Ask directly before each wait: a task that is spawned or woken in between changes the answer.
    ///
    /// [`selector_fd`]: Runtime::selector_fd
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let runtime = runtime::Runtime::new()?;
    /// assert_eq!(runtime.next_deadline(), None);
    /// runtime.spawn(runtime::time::sleep(Duration::from_secs(60)));
    /// assert!(runtime.next_deadline().unwrap() <= Instant::now());
    /// runtime.turn(Some(Duration::ZERO));
    /// assert!(runtime.next_deadline().unwrap() > Instant::now());
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.executor().next_deadline()
    }

    /// Returns the descriptor of the runtime's selector, for epoll(7), poll(2) or kqueue(2) of the host. It is readable
    /// while the loop has events to fetch. Use it for nothing but that wait.
    ///
    /// The host may wait for it in an edge-triggered or in a level-triggered way.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`Unsupported`](io::ErrorKind::Unsupported) if the selector is `poll` or `select`,
    /// which have no descriptor: such a runtime has to wait in [`turn`](Runtime::turn) itself. Also returns an error if
    /// the runtime has shut down because of a panic, or belongs to the parent of a forked process.
    ///
    /// # Examples
    ///
    /// A host that waits for its own descriptor and for the runtime:
    ///
    /// ```
    /// use runtime::io::Interest;
    /// use runtime::selector::{Events, Kind, Selector};
    /// use std::time::{Duration, Instant};
    ///
    /// # if runtime::Runtime::new()?.selector_fd().is_err() { return Ok(()) }
    /// let runtime = runtime::Runtime::new()?;
    /// let mut host = Selector::new()?;
    /// host.register(runtime.selector_fd()?, 1, Interest::READABLE)?;
    /// // Further descriptors of the host follow here.
    ///
    /// let task = runtime.spawn(async { runtime::task::spawn_blocking(|| 6 * 7).await.unwrap() });
    /// let mut events = Events::with_capacity(16);
    /// while !task.is_finished() {
    ///     let timeout = runtime.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
    ///     host.wait(&mut events, timeout)?;
    ///     runtime.turn(Some(Duration::ZERO));
    /// }
    /// assert_eq!(runtime.block_on(task)?, 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn selector_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.executor().selector_fd()
    }
}
