//! The loop as a guest of another one: single turns, and what their host has to wait for in between.
//!
//! ```text
//!  host    ┤ wait: next_deadline, selector_fd ├──────────────────────────────┤ wait …
//!  guest                                      ├ tasks │ steps 2 to 5 │ tasks ┤
//!                                             unpark                      park
//! ```
//!
//! A turn runs tasks before and after the steps of `mod.rs` that it shares with `block_on`: before, so that its wait is
//! one for everything that the tasks wait for; after, so that a host which turns the loop once in a frame does not answer
//! an event a frame later.
//!
//! Between two turns the loop is parked, as if it slept: a message from another thread makes the selector's descriptor
//! readable. A turn always asks the selector, even if no descriptor is registered, or the event of the notifier would
//! keep the host awake. What the descriptor does not show is for [`Executor::next_deadline`]: timers, queued tasks, and
//! events in the kernel that it does not announce again.

use super::{Executor, Running, SHUT_DOWN_MESSAGE, earlier};
use crate::runtime::context;
use crate::task::coop;
use std::convert::Infallible;
use std::future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::time::{Duration, Instant};

impl Executor {
    /// Runs tasks, waits for events no longer than `timeout`, and runs the tasks that have been woken.
    #[inline]
    #[track_caller]
    pub(crate) fn turn_as_guest(&self, timeout: Option<Duration>) {
        assert!(
            !context::is_turning(),
            "turn inside a runtime: this thread turns its loop already; turn the guest outside of tasks"
        );
        assert!(!self.is_shut_down.get(), "{SHUT_DOWN_MESSAGE}");
        self.host();
        let context = &*self.context;
        let _entered = context::enter(&self.context);
        let _running = Running::begin(&self.context);
        context.tasks.borrow_mut().begin_without_main();
        // A waker of an earlier `block_on` may still queue its future. This one takes its place.
        let mut main = pin!(future::pending::<Infallible>());
        let waker = self.main_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        coop::begin(&waker);
        let polls = context.polls.get();
        self.watched.set((polls, 0));
        // The caller has not seen yet what these tasks do. It may call again only until one of them has ended.
        let timeout = timeout.or(self.is_runnable().then_some(Duration::ZERO));
        let _ = self.run_round(main.as_mut(), &mut cx);
        self.turn(timeout);
        if self.is_runnable() {
            let _ = self.run_round(main.as_mut(), &mut cx);
        }
        context.running.set(0);
        if context.polls.get() != polls {
            self.idle_since.set(None);
        }
        self.prepare_to_sleep();
        context.publish();
    }

    /// Returns when the next turn is due even if the selector's descriptor does not become readable.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.host();
        if self.is_shut_down.get() {
            return None;
        }
        let context = &*self.context;
        let now = Instant::now();
        if self.is_runnable() || context.remote.has_messages() {
            return Some(now);
        }
        let next_wait = context.reactor.borrow_mut().next_wait();
        let next_timer = if context.time.is_paused() {
            self.next_advance()
        } else {
            context.time.look();
            // Added to a later reading of the clock, so that the turn does not come early.
            context.time.next_wait(self.config.timer_slack)
        };
        // An instant that std cannot represent is never reached.
        earlier(next_wait, next_timer).and_then(|wait| Instant::now().checked_add(wait))
    }

    /// Returns the real time until a turn moves the paused clock.
    #[inline]
    fn next_advance(&self) -> Option<Duration> {
        if !self.context.time.may_auto_advance() {
            return None;
        }
        let since = self.idle_since.get().filter(|_| self.waits_for_grace());
        Some(
            since.map_or(Duration::ZERO, |since| {
                self.config.auto_advance_grace.saturating_sub(since.elapsed())
            }),
        )
    }

    /// Returns the descriptor of the selector.
    #[inline]
    pub(crate) fn selector_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.host();
        if self.context.remote.is_closed() {
            return Err(io::Error::other(
                "the runtime has shut down, or belongs to the parent of this process",
            ));
        }
        let find = || self.context.reactor.borrow().deregistrar().selector_fd();
        self.selector_fd.get_or_init(find).as_deref().map(AsFd::as_fd).ok_or_else(|| {
            let kind = self.context.remote.selector();
            let message = format!("the selector {kind} has no descriptor; let Runtime::turn wait instead");
            io::Error::new(io::ErrorKind::Unsupported, message)
        })
    }

    /// Parks the loop, unless it turns at this moment or there are messages. From the first call on, it is parked
    /// whenever it does not turn. The loop of another runtime may turn on this thread meanwhile.
    #[inline]
    fn host(&self) {
        self.context.is_guest.set(true);
        if !self.context.remote.is_running() {
            self.context.remote.park();
        }
    }
}
