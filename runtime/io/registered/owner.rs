//! The public types that own descriptors, and what panic messages call their operations.

use crate::runtime::io::reactor::Direction;

/// The public type that owns a descriptor, as the messages name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

impl Owner {
    pub(super) fn name(self) -> &'static str {
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
    pub(super) fn operation(self, direction: Direction) -> &'static str {
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
