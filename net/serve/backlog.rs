//! Connections that have been established when the shutdown begins, and not accepted yet.
//!
//! The system completes connections while they wait in the listener's queue, and their clients may have sent requests
//! already. A listener that is closed resets them. So at the end the queue is emptied, and the listener is closed at
//! once: whoever comes later is refused. What was taken out waits here for its place.

use super::{Accept, is_of_one_connection};
use crate::runtime::unwind::{self, Contained};
use crate::time::{self, Duration};
use futures_lite::future::or;
use std::collections::VecDeque;

/// The number of connections taken out at most. Linux lets as many wait by default (`net.core.somaxconn`), so clients
/// that come faster than they are accepted do not keep the listener open.
const MAX_CONNECTIONS: usize = 4096;

/// The shortest sleep. It lasts until the loop has asked the system for events, so that a connection that was
/// established before is known to the listener.
const ONE_LOOK: Duration = Duration::from_nanos(1);

/// Accepted connections without a handler.
pub(super) struct Backlog<L: Accept> {
    connections: VecDeque<(L::Stream, L::Addr)>,
}

impl<L: Accept> Backlog<L> {
    /// Holds no connection.
    pub(super) fn empty() -> Backlog<L> {
        Backlog { connections: VecDeque::new() }
    }

    /// Accepts what is established, and does not wait for more.
    pub(super) async fn accept(&mut self, listener: &L) {
        for _ in 0..MAX_CONNECTIONS {
            let accept = async { Some(Contained::new(listener.accept()).await) };
            let look = async {
                time::sleep(ONE_LOOK).await;
                None
            };
            match or(accept, look).await {
                Some(Ok(connection)) => self.connections.push_back(connection),
                Some(Err(error)) if is_of_one_connection(&error) => {}
                // The listener is broken, or descriptors or memory have run out. Or nobody is there.
                Some(Err(_)) | None => return,
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<(L::Stream, L::Addr)> {
        self.connections.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }
}

// Each of them is the user's, whose drop may panic.
impl<L: Accept> Drop for Backlog<L> {
    fn drop(&mut self) {
        unwind::drop_each(self.connections.drain(..));
    }
}
