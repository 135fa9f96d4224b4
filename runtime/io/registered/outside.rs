//! Panics of operations that have to wait for a descriptor on a thread without a runtime.

use super::Registered;
use crate::runtime::context;
use crate::runtime::io::reactor::Direction;
use crate::task::outside;
use std::os::fd::AsFd;

/// The public type that owns a descriptor, as the messages name it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(all(
        feature = "io-std",
        feature = "process",
        feature = "signal",
        feature = "udp",
        feature = "unix"
    )),
    allow(dead_code, reason = "an owner exists if its feature is on")
)]
pub(crate) enum Owner {
    AsyncFd,
    Child,
    ChildStderr,
    ChildStdin,
    ChildStdout,
    CtrlC,
    Receiver,
    Sender,
    Shutdown,
    Signal,
    StandardStream,
    TcpListener,
    TcpStream,
    UdpSocket,
    UnixDatagram,
    UnixListener,
    UnixStream,
}

/// The result that a caller waits for.
#[derive(Clone, Copy)]
pub(super) enum Aim {
    /// A system call that succeeds.
    Operation,
    /// The readiness of a direction.
    Readiness,
}

impl<T: AsFd> Registered<T> {
    /// Panics if no runtime is entered on this thread, and names what was polled.
    #[inline]
    pub(super) fn assert_inside(&self, direction: Direction, aim: Aim) {
        if !context::is_entered() {
            self.polled_outside(direction, aim);
        }
    }

    #[cold]
    fn polled_outside(&self, direction: Direction, aim: Aim) -> ! {
        let operation = match (aim, direction) {
            (Aim::Operation, _) => self.owner.operation(direction),
            (Aim::Readiness, Direction::Read) => "readable",
            (Aim::Readiness, Direction::Write) => "writable",
        };
        outside::polled(format_args!("{}::{operation}", self.owner.name()), self.origin)
    }
}

impl Owner {
    fn name(self) -> &'static str {
        match self {
            Owner::AsyncFd => "AsyncFd",
            Owner::Child => "Child",
            Owner::ChildStderr => "ChildStderr",
            Owner::ChildStdin => "ChildStdin",
            Owner::ChildStdout => "ChildStdout",
            Owner::CtrlC | Owner::Shutdown => "signal",
            Owner::Receiver => "Receiver",
            Owner::Sender => "Sender",
            Owner::Signal => "Signal",
            Owner::StandardStream => "a standard stream",
            Owner::TcpListener => "TcpListener",
            Owner::TcpStream => "TcpStream",
            Owner::UdpSocket => "UdpSocket",
            Owner::UnixDatagram => "UnixDatagram",
            Owner::UnixListener => "UnixListener",
            Owner::UnixStream => "UnixStream",
        }
    }

    /// The method by which users wait for an operation in a direction.
    fn operation(self, direction: Direction) -> &'static str {
        match (self, direction) {
            (Owner::AsyncFd, _) => "async_io",
            (Owner::TcpListener | Owner::UnixListener, _) => "accept",
            (Owner::UdpSocket | Owner::UnixDatagram, Direction::Read) => "recv",
            (Owner::UdpSocket | Owner::UnixDatagram, Direction::Write) => "send",
            (Owner::Child, _) => "wait",
            (Owner::CtrlC, _) => "ctrl_c",
            (Owner::Shutdown, _) => "shutdown",
            (Owner::Signal, _) => "recv",
            (_, Direction::Read) => "read",
            (_, Direction::Write) => "write",
        }
    }
}
