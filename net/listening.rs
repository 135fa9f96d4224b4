//! Accepting connections, for listeners of every kind: how tasks wait, which errors are tried again, and when the
//! listener backs off.
//!
//! A kind of listener supplies one system call that takes one connection from its queue. All the rest is here. What an
//! error means is decided in `net/accept_backoff.rs`.

use super::accept_backoff::{AcceptBackoff, MAX_SKIPPED};
use crate::runtime::context;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered, Waiting};
use crate::task::origin::Origin;
use crate::time::Sleep;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

/// A socket that listens.
pub(super) trait Listen: AsFd {
    /// A connection, and the address of its peer.
    type Accepted;

    /// The public type of the listener.
    const OWNER: Owner;

    /// Takes one connection from the queue. This is one system call, which never blocks.
    fn accept(&self) -> io::Result<Self::Accepted>;

    /// Binds an accepted connection to the runtime that the listener is bound to.
    fn bind_to_home(accepted: &mut Self::Accepted, listener: &Registered<Self>)
    where
        Self: Sized;
}

/// A listener that can be waited for.
pub(super) struct Listening<L: Listen> {
    io: Registered<L>,
    backoff: AcceptBackoff,
}

impl<L: Listen> Listening<L> {
    /// Wraps a socket that is already in non-blocking mode.
    pub(super) fn new(listener: L) -> Listening<L> {
        Listening { io: Registered::new(listener, L::OWNER), backoff: AcceptBackoff::default() }
    }

    /// Records the code location where the listener was created.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.io.set_origin(origin);
    }

    pub(super) fn get(&self) -> &L {
        self.io.get()
    }

    pub(super) fn into_inner(self) -> L {
        self.io.into_inner()
    }

    /// Polls to accept a connection. Only the waker of the latest call is woken.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<L::Accepted>> {
        ready!(self.backoff.poll_over_shared(cx));
        let polled = self.io.poll_io(cx, Direction::Read, |listener| self.take(listener));
        self.conclude(cx, polled)
    }

    /// Returns an acceptor. A listener may have several.
    pub(super) fn acceptor(&self) -> Acceptor<'_, L> {
        Acceptor { listening: self, waiting: self.io.waiting(Direction::Read), sleep: None }
    }

    /// Makes the system call, and passes over broken connections. Returns `None` if the loop should have its turn
    /// first.
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
            // The runtime that is entered here has the connection.
            Ok(Some(accepted)) if context::is_entered() => Poll::Ready(Ok(accepted)),
            Ok(Some(accepted)) => Poll::Ready(Ok(self.bound(accepted))),
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

    /// Binds a connection that was accepted on a thread without a runtime.
    #[cold]
    fn bound(&self, mut accepted: L::Accepted) -> L::Accepted {
        L::bind_to_home(&mut accepted, &self.io);
        accepted
    }
}

/// A caller that accepts, with its own waiter and its own sleep. If it is dropped, it has accepted nothing.
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

    /// Returns the socket on which it waits.
    pub(super) fn listener(&self) -> &'a L {
        self.listening.get()
    }
}
