//! Waiting for room in somebody else's queue, where the kernel may not tell when there is some.
//!
//! A Unix datagram goes straight into the receiver's queue, which on Linux holds
//! `net.unix.max_dgram_qlen` of them, 10 by default. While it is full, sending says `EAGAIN`. A sender
//! that is connected to the receiver is told when there is room again. One that is not counts as
//! writable all the while: by level it is reported ready at each turn of the loop; and so it is by
//! edge, as each try in vain gives back the memory of what it could not send, which is an event.
//! When somebody else's datagrams are taken out of the queue there is no event at all. See
//! `unix_dgram_sendmsg`, `unix_dgram_poll` and `unix_write_space` in Linux's net/unix/af_unix.c.
//!
//! So who sends by address believes the first few events, during which a receiver on this thread has
//! its turns, and then waits for a timer, after which it tries unasked, ever more seldom. And since
//! one receiver's full queue says nothing of another's, each send is tried before it waits.

use crate::net::backoff::Backoff;
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
const MAX_FRUITLESS: u32 = 8;

/// The first wait suits a receiver that is awake and busy on another core.
const FIRST: Duration = Duration::from_micros(50);

/// The longest wait suits a receiver that sleeps. Thirty tries a second cost nothing.
const MAX: Duration = Duration::from_millis(32);

/// How reliable the events of a socket are that is waiting for room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteEvents {
    /// The socket is connected: an event comes whenever there is room, and only then.
    Connected,
    /// The datagram is sent to an address: events may be missing, or come without room.
    ByAddress,
}

/// The attempts of one sender.
pub(super) struct Attempts {
    fruitless: u32,
    backoff: Backoff,
    sleep: Option<Sleep>,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts { fruitless: 0, backoff: Backoff::new(FIRST, MAX), sleep: None }
    }
}

/// Tries `send` until there is room. Cancel safe: dropped, it has not sent.
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

/// Tries once, whatever is known. Ready with nothing if there is no room.
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
    /// Waits for an event, in the waiter given or in the one of the latest caller; and for the timer.
    fn poll<T: AsFd>(
        &mut self,
        cx: &mut Context<'_>,
        io: &Registered<T>,
        events: WriteEvents,
        waiter: Option<&mut Waiting<'_, T>>,
        send: &mut impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if events == WriteEvents::Connected || self.fruitless < MAX_FRUITLESS {
            let mut has_tried = false;
            let operation = |io: &T| {
                has_tried = true;
                send(io)
            };
            let polled = match waiter {
                Some(waiting) => waiting.poll_io(cx, operation),
                None => io.poll_io(cx, Direction::Write, operation),
            };
            if polled.is_ready() || events == WriteEvents::Connected {
                return polled;
            }
            self.fruitless += u32::from(has_tried);
        }
        loop {
            let asleep = self.sleep.get_or_insert_with(|| sleep(self.backoff.next_wait()));
            ready!(Pin::new(asleep).poll(cx));
            self.sleep = None;
            if let Some(result) = ready!(poll_try(cx, io, send)) {
                return Poll::Ready(result);
            }
        }
    }
}

/// The attempts of those who come by a `poll_send` form, the latest of whom is woken.
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
        // Each call may be about another receiver.
        let tried = ready!(poll_try(cx, io, &mut send));
        // Taken out: polled or dropped under the lock, it would run a foreign waker's code there.
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
