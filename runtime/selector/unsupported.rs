//! The replacement for a selector that this system does not have. It is a type without values, so that the
//! code that chooses among the selectors is the same on every system.

use super::event::Event;
use super::{Deregistrar, Notifier};
use crate::runtime::io::interest::Interest;
use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;
/// A selector that cannot be created, so that none of its methods can be called.
/// There is none, so nothing can be asked of it.
#[allow(dead_code, reason = "each system lacks another one")]
pub(crate) struct Unsupported(Infallible);

#[allow(dead_code, reason = "each system lacks another one")]
impl Unsupported {
    pub(super) fn new(_: usize) -> io::Result<Unsupported> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn edge(room: usize) -> io::Result<Unsupported> {
        Unsupported::new(room)
    }

    pub(super) fn level(room: usize) -> io::Result<Unsupported> {
        Unsupported::new(room)
    }

    pub(super) fn deregistrar(&self) -> Deregistrar {
        match self.0 {}
    }

    pub(super) fn notifier(&self) -> Notifier {
        match self.0 {}
    }

    pub(super) fn register(&mut self, _: BorrowedFd<'_>, _: u64, _: Option<Interest>) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn modify(&mut self, _: RawFd, _: u64, _: Option<Interest>) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn deregister(&mut self, _: RawFd) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn ready(&mut self, _: usize, _: Option<Duration>) -> io::Result<std::iter::Empty<Event>> {
        match self.0 {}
    }

    pub(super) fn wait(&mut self, _: usize, _: Option<Duration>, _: impl FnMut(Event)) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn remove(&self, _: RawFd) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn notify(&self) {
        match self.0 {}
    }

    pub(super) fn has_more(&self) -> bool {
        match self.0 {}
    }
}

impl AsFd for Unsupported {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
