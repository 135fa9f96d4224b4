//! Accepting connections, for listeners of every kind: who waits, what is tried again, and when it
//! rests.
//!
//! A kind brings one system call that takes one connection from its queue; what is here is all else.
//! What an error means is in `net/accept_backoff.rs`.

use super::accept_backoff::{AcceptBackoff, MAX_SKIPPED};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered, Waiting};
use crate::task::origin::Origin;
use crate::time::Sleep;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

/// A socket that listens.
pub(super) trait Listen: AsFd {
    /// A connection, and whose it is.
    type Accepted;

    /// The public type that listens.
    const OWNER: Owner;

    /// Takes one connection from the queue. One system call, that never blocks.
    fn accept(&self) -> io::Result<Self::Accepted>;
}

/// A listener that can be waited for.
pub(super) struct Listening<L: Listen> {
    io: Registered<L>,
    backoff: AcceptBackoff,
}

impl<L: Listen> Listening<L> {
    /// Of a socket that does not block.
    pub(super) fn new(listener: L) -> Listening<L> {
        Listening { io: Registered::new(listener, L::OWNER), backoff: AcceptBackoff::default() }
    }

    /// Notes where it was made.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.io.set_origin(origin);
    }

    pub(super) fn get(&self) -> &L {
        self.io.get()
    }

    pub(super) fn into_inner(self) -> L {
        self.io.into_inner()
    }

    /// Accepts on behalf of the latest caller.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<L::Accepted>> {
        ready!(self.backoff.poll_over_shared(cx));
        let polled = self.io.poll_io(cx, Direction::Read, |listener| self.take(listener));
        self.conclude(cx, polled)
    }

    /// One who accepts, of several.
    pub(super) fn acceptor(&self) -> Acceptor<'_, L> {
        Acceptor { listening: self, waiting: self.io.waiting(Direction::Read), sleep: None }
    }

    /// The system call, past broken connections. `None` if the loop is to have its turn first.
    fn take(&self, listener: &L) -> io::Result<Option<L::Accepted>> {
        for _ in 0..MAX_SKIPPED {
            match listener.accept() {
                Ok(accepted) => {
                    self.backoff.accepted();
                    return Ok(Some(accepted));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) if self.backoff.skips(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn conclude(
        &self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<Option<L::Accepted>>>,
    ) -> Poll<io::Result<L::Accepted>> {
        match ready!(polled) {
            Ok(Some(accepted)) => Poll::Ready(Ok(accepted)),
            Ok(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => {
                self.backoff.failed();
                Poll::Ready(Err(error))
            }
        }
    }
}

/// One who accepts, with a seat and a sleep of its own. Dropped, it has accepted nothing.
pub(super) struct Acceptor<'a, L: Listen> {
    listening: &'a Listening<L>,
    waiting: Waiting<'a, L>,
    sleep: Option<Sleep>,
}

impl<'a, L: Listen> Acceptor<'a, L> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<L::Accepted>> {
        ready!(self.listening.backoff.poll_over(cx, &mut self.sleep));
        let polled = self.waiting.poll_io(cx, |listener| self.listening.take(listener));
        self.listening.conclude(cx, polled)
    }

    /// The socket on which it waits.
    pub(super) fn listener(&self) -> &'a L {
        self.listening.get()
    }
}
