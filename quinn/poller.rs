//! The wait of a connection for room to send. Each has a poller of its own, since many connections share one socket, and
//! each of them has to be woken.

use super::socket::Socket;
use ::quinn::UdpPoller;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A wait that owns its socket. It is allocated, because it refers to the socket beside it.
type Wait = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

pub(super) struct Poller {
    socket: Arc<Socket>,
    wait: Option<Wait>,
}

impl Poller {
    pub(super) fn new(socket: Arc<Socket>) -> Poller {
        Poller { socket, wait: None }
    }
}

impl UdpPoller for Poller {
    /// quinn asks before each datagram, and nearly always there is room. So nothing is asked of the reactor before an
    /// attempt has failed: the attempt itself tells, and quinn then asks again.
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.wait.is_none() {
            if !self.socket.is_full() {
                return Poll::Ready(Ok(()));
            }
            let socket = self.socket.clone();
            self.wait = Some(Box::pin(async move { socket.writable().await }));
        }
        let wait = self.wait.as_mut().expect("the wait was created above");
        let result = ready!(wait.as_mut().poll(cx));
        self.wait = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("socket", &self.socket).finish_non_exhaustive()
    }
}
