//! The socket of an endpoint: one descriptor that the endpoint receives from, and that all its connections send to.

use super::poller::Poller;
use super::{call, receiving, sending::Sending};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use ::quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use ::quinn::{AsyncUdpSocket, UdpPoller};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

pub(super) struct Socket {
    io: Registered<UdpSocket>,
    /// The options that quinn-udp has set, and its way to receive.
    state: UdpSocketState,
    sending: Sending,
    /// `true` from an attempt to send that has found no room, until a caller has waited for room. The recorded readiness
    /// does not tell: a connection may run on another runtime than the one that has registered the descriptor.
    is_full: AtomicBool,
}

impl Socket {
    /// Makes the socket non-blocking, and sets its options: the marks and the local address of each received datagram
    /// are reported, several datagrams are received as one, and none is fragmented.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Socket> {
        let state = UdpSocketState::new((&socket).into())?;
        let sending = Sending::new(state.max_gso_segments());
        Ok(Socket {
            io: Registered::new(socket, Owner::UdpSocket),
            state,
            sending,
            is_full: AtomicBool::new(false),
        })
    }

    /// Returns `true` if the latest attempt to send has found no room, and no caller has waited for room since.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Relaxed)
    }

    /// Waits until there is room to send. Any number of callers may wait.
    pub(super) async fn writable(&self) -> io::Result<()> {
        let result = self.io.ready(Direction::Write).await;
        self.is_full.store(false, Relaxed);
        result.map(drop)
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller::new(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let result = self.io.try_io(Direction::Write, |socket| {
            self.sending.send(transmit, |transmit| call::send(socket, &self.state, transmit))
        });
        // It is the only error, and quinn then asks a poller at once.
        if result.is_err() {
            self.is_full.store(true, Relaxed);
        }
        result
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let most = buffers.len();
        self.io.poll_transfer(
            cx,
            Direction::Read,
            |_, count| call::is_all(count, most),
            |socket| receiving::skip_errors(|| self.state.recv(socket.into(), buffers, meta)),
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.sending.most_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("socket", self.io.get()).finish_non_exhaustive()
    }
}
