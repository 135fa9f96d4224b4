//! The connections that are established when the shutdown begins, but are not accepted yet.
//!
//! The system completes connections while they wait in the listener's queue, and their clients may have sent requests
//! already. When a listener is closed, the system resets them. So at the shutdown the queue is emptied first, and the
//! listener is closed right after: later connections are refused. The connections that were taken out of the queue wait
//! here until the cap leaves room for them.

use super::accept::{Accept, is_of_one_connection};
use crate::runtime::unwind::{self, Contained};
use crate::time::{self, Duration};
use futures_lite::future::or;
use std::collections::VecDeque;

/// The maximum number of connections taken out of the queue. Linux lets as many wait by default (`net.core.somaxconn`).
/// With this limit, clients that connect faster than the server accepts cannot keep the listener open.
const MAX_CONNECTIONS: usize = 4096;

/// The shortest sleep. It lasts until the loop has asked the system for events, so that the listener knows of every
/// connection that was established before.
const ONE_LOOK: Duration = Duration::from_nanos(1);

/// Accepted connections that have no handler yet.
pub(super) struct Backlog<L: Accept> {
    connections: VecDeque<(L::Stream, L::Addr)>,
}

impl<L: Accept> Backlog<L> {
    /// Creates a backlog without connections.
    pub(super) fn empty() -> Backlog<L> {
        Backlog { connections: VecDeque::new() }
    }

    /// Accepts the connections that are established, and does not wait for more.
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
                // The queue is empty, the listener is broken, or descriptors or memory have run out.
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

// The connections are of the user's type, whose drop may panic.
impl<L: Accept> Drop for Backlog<L> {
    fn drop(&mut self) {
        unwind::drop_each(self.connections.drain(..));
    }
}
