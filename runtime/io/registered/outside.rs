//! What is said to one who has to wait for a descriptor on a thread without a runtime.

use super::Registered;
use crate::runtime::context;
use crate::runtime::io::reactor::Direction;
use crate::task::outside;
use std::any::type_name;
use std::os::fd::AsFd;

/// What somebody waits for.
#[derive(Clone, Copy)]
pub(super) enum Aim {
    /// That an operation is done.
    Operation,
    /// That a side is ready.
    Readiness,
}

impl<T: AsFd> Registered<T> {
    /// Panics if there is no runtime to wait in, and says what has been polled.
    #[inline]
    pub(super) fn assert_inside(&self, direction: Direction, aim: Aim) {
        if !context::is_entered() {
            self.polled_outside(direction, aim);
        }
    }

    #[cold]
    fn polled_outside(&self, direction: Direction, aim: Aim) -> ! {
        let owner = self.origin.name().unwrap_or_else(|| owner_of(type_name::<T>()));
        let operation = match (aim, direction) {
            (Aim::Operation, _) => operation_of(owner, direction),
            (Aim::Readiness, Direction::Read) => "readable",
            (Aim::Readiness, Direction::Write) => "writable",
        };
        outside::polled(format_args!("{owner}::{operation}"), self.origin.origin())
    }
}

/// The type of ours that has a descriptor of some type, as far as that can be told.
fn owner_of(descriptor: &str) -> &'static str {
    let path = descriptor.split('<').next().unwrap_or_default();
    let is_ours = path.split("::").next() == module_path!().split("::").next();
    match path.rsplit("::").next().unwrap_or_default() {
        "TcpStream" => "TcpStream",
        "TcpListener" => "TcpListener",
        "UnixListener" => "UnixListener",
        "Connection" if is_ours => "UnixStream",
        "Socket" if is_ours && path.contains("::udp::") => "UdpSocket",
        "Socket" if is_ours => "UnixDatagram",
        "End" if is_ours && descriptor.contains("PipeReader") => "Receiver",
        "End" if is_ours => "Sender",
        "File" => "a standard stream",
        _ => "AsyncFd",
    }
}

fn operation_of(owner: &str, direction: Direction) -> &'static str {
    match (owner, direction) {
        ("AsyncFd", _) => "async_io",
        ("TcpListener" | "UnixListener", _) => "accept",
        ("UdpSocket" | "UnixDatagram", Direction::Read) => "recv",
        ("UdpSocket" | "UnixDatagram", Direction::Write) => "send",
        (_, Direction::Read) => "read",
        (_, Direction::Write) => "write",
    }
}
