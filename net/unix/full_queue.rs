//! Waiting for room in the queue of another socket, for which the kernel may not report readiness.
//!
//! A Unix datagram goes directly into the receiver's queue, which on Linux holds `net.unix.max_dgram_qlen` of them, 10
//! by default. While the queue is full, sending returns `EAGAIN`. A sender that is connected to the receiver gets an
//! event when there is room again. A sender that is not connected always counts as writable: a level-triggered selector
//! reports it ready in each turn of the loop; and so does an edge-triggered one, since each failed attempt frees the
//! memory of the datagram that it could not send, which is an event. When datagrams of other senders are taken out of
//! the queue, there is no event at all. See `unix_dgram_sendmsg`, `unix_dgram_poll` and `unix_write_space` in Linux's
//! net/unix/af_unix.c.
//!
//! So a send by address reacts only to the first few events, during which a receiver on this thread has its turns. Then
//! it tries again after timers, at growing intervals. And since the full queue of one receiver tells nothing about that
//! of another one, each send is tried before it waits. On a thread without a runtime there are no timers: a send by
//! address reacts to every event there, and so takes CPU time as long as the queue is full.

use crate::net::backoff::Backoff;
use crate::runtime::context;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Registered, Waiting};
use crate::task::coop;
use crate::time::{Sleep, sleep};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The number of events after which a send failed again, and from which on the sender waits for a timer instead.
const MAX_FAILED_EVENTS: u32 = 8;

/// The first wait is for a receiver that is running, but busy on another core.
const FIRST: Duration = Duration::from_micros(50);

/// The longest wait is for a receiver that sleeps. Thirty attempts a second cost almost nothing.
const MAX: Duration = Duration::from_millis(32);

/// The reliability of the events of a socket that waits for room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteEvents {
    /// The socket is connected: an event comes whenever there is room, and only then.
    Connected,
    /// The datagram is sent to an address: events may be missing, or may come while there is no room.
    ByAddress,
}

/// The attempts of one sender.
pub(super) struct Attempts {
    failed_events: u32,
    backoff: Backoff,
    sleep: Option<Sleep>,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts { failed_events: 0, backoff: Backoff::new(FIRST, MAX), sleep: None }
    }
}

/// Tries `send` until there is room. This function is cancel safe: if it is dropped, nothing has been sent.
pub(super) async fn send<T: AsFd>(
    io: &Registered<T>,
    events: WriteEvents,
    mut send: impl FnMut(&T) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut attempts = Attempts::default();
    let mut waiting = io.waiting(Direction::Write);
    let mut is_new = true;
    poll_fn(|cx| {
        if is_new && let Some(result) = ready!(poll_try(cx, io, &mut send)) {
            return Poll::Ready(result);
        }
        is_new = false;
        attempts.poll(cx, io, events, Some(&mut waiting), &mut send)
    })
    .await
}

/// Tries to send once, even if the socket is not known to be ready. Returns `None` if there is no room.
fn poll_try<T: AsFd>(
    cx: &mut Context<'_>,
    io: &Registered<T>,
    send: &mut impl FnMut(&T) -> io::Result<usize>,
) -> Poll<Option<io::Result<usize>>> {
    ready!(coop::poll_spend(cx));
    match send(io.get()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            coop::refund();
            Poll::Ready(None)
        }
        result => Poll::Ready(Some(result)),
    }
}

impl Attempts {
    /// Waits for an event, with the given waiter or that of the latest caller, and for the timer.
    fn poll<T: AsFd>(
        &mut self,
        cx: &mut Context<'_>,
        io: &Registered<T>,
        events: WriteEvents,
        waiter: Option<&mut Waiting<'_, T>>,
        send: &mut impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let has_only_events = events == WriteEvents::Connected || !context::is_entered();
        if has_only_events || self.failed_events < MAX_FAILED_EVENTS {
            let mut has_tried = false;
            let operation = |io: &T| {
                has_tried = true;
                send(io)
            };
            let polled = match waiter {
                Some(waiting) => waiting.poll_io(cx, operation),
                None => io.poll_io(cx, Direction::Write, operation),
            };
            if polled.is_ready() || has_only_events {
                return polled;
            }
            self.failed_events += u32::from(has_tried);
        }
        loop {
            let running = self.sleep.get_or_insert_with(|| sleep(self.backoff.next_wait()));
            ready!(Pin::new(running).poll(cx));
            self.sleep = None;
            if let Some(result) = ready!(poll_try(cx, io, send)) {
                return Poll::Ready(result);
            }
        }
    }
}

/// The attempts shared by the callers of the `poll_send` methods. Only the latest of them is woken.
#[derive(Default)]
pub(super) struct Shared(Mutex<Attempts>);

impl Shared {
    pub(super) fn poll<T: AsFd>(
        &self,
        cx: &mut Context<'_>,
        io: &Registered<T>,
        events: WriteEvents,
        mut send: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        // Each call may be for another receiver.
        let tried = ready!(poll_try(cx, io, &mut send));
        // Take the attempts out: polled or dropped under the lock, they would run a foreign waker's code there.
        let mut attempts = std::mem::take(&mut *self.lock());
        if let Some(result) = tried {
            return Poll::Ready(result);
        }
        let polled = attempts.poll(cx, io, events, None, &mut send);
        if polled.is_pending() {
            let other = std::mem::replace(&mut *self.lock(), attempts);
            drop(other);
        }
        polled
    }

    fn lock(&self) -> MutexGuard<'_, Attempts> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
