//! Operations on a thread that has no runtime. They are tried there, and the runtime that the descriptor is bound to
//! watches for them: see `runtime/io/outside/`.
//!
//! The recorded readiness belongs to the thread of the runtime. Here it is neither used nor changed, so an operation is
//! always tried, and readiness is asked of the kernel.

use super::waiting::WaitState;
use super::{ReadyEvent, Registered};
use crate::runtime::id::{RuntimeId, SourceId};
use crate::runtime::io::outside::{Attempt, Outside, Waited};
use crate::runtime::io::reactor::{Direction, WaiterKey};
use crate::runtime::selector::{self, READ_END, READABLE, WRITABLE, WRITE_CLOSED};
use crate::runtime::waker;
use crate::task::outside;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

/// The result that a caller waits for.
#[derive(Clone, Copy)]
pub(super) enum Aim {
    /// A system call that succeeds.
    Operation,
    /// The readiness of a direction.
    Readiness,
}

impl<T: AsFd> Registered<T> {
    /// Tries an operation on a thread without a runtime, and waits while it fails with `EAGAIN`.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_outside<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
        aim: Aim,
        operation: &mut impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let mut output = None;
        let mut attempt = || operation(&self.io).map(|result| output = Some(result));
        ready!(self.poll_attempt_outside(cx, direction, wait, aim, &mut attempt))?;
        Poll::Ready(Ok(output.expect("the attempt has succeeded")))
    }

    /// Does the work of [`poll_outside`](Registered::poll_outside). Its code does not depend on the operation.
    fn poll_attempt_outside(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
        aim: Aim,
        attempt: &mut dyn FnMut() -> io::Result<()>,
    ) -> Poll<io::Result<()>> {
        loop {
            let watch = self.outside().map_or(0, |outside| outside.watch_in_place(direction));
            match attempt().map_err(|error| (error.kind(), error)) {
                Err((io::ErrorKind::WouldBlock, _)) => {}
                Err((io::ErrorKind::Interrupted, _)) => continue,
                result => {
                    if let Some(outside) = self.outside() {
                        outside.end_wait(direction, result.is_ok());
                    }
                    return Poll::Ready(result.map_err(|(_, error)| error));
                }
            }
            match self.wait_outside(cx, direction, wait, aim, watch) {
                Ok(Waited::TryAgain) => {}
                Ok(Waited::Pending) => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Waits for the readiness of a direction on a thread without a runtime.
    #[cold]
    pub(super) fn poll_event_outside(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
    ) -> Poll<io::Result<ReadyEvent>> {
        // Without a runtime, readiness is never reported, so that the mistake shows at the first attempt.
        self.home_outside(direction, Aim::Readiness);
        let flag = match direction {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        };
        let mut look = |io: &T| match selector::readiness_now(io.as_fd())? & flag {
            0 => Err(io::Error::from(io::ErrorKind::WouldBlock)),
            _ => Ok(()),
        };
        ready!(self.poll_outside(cx, direction, wait, Aim::Readiness, &mut look))?;
        let event = self.ready_event_of(direction);
        Poll::Ready(Ok(ReadyEvent { readiness: event.readiness.event(direction, false), ..event }))
    }

    /// Asks the kernel whether the peer has closed a direction.
    #[cold]
    pub(super) fn is_closed_now(&self, direction: Direction) -> bool {
        let flag = match direction {
            Direction::Read => READ_END,
            Direction::Write => WRITE_CLOSED,
        };
        selector::readiness_now(self.io.as_fd()).is_ok_and(|flags| flags & flag != 0)
    }

    fn wait_outside(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wait: &mut WaitState,
        aim: Aim,
        watch: u64,
    ) -> io::Result<Waited> {
        self.adopt();
        let (source, home) = self.home_outside(direction, aim);
        let outside = self.rare().outside.get_or_init(|| Outside::new(self.io.as_fd()));
        wait.move_outside(self, direction);
        let timeout = self.timeout(direction);
        outside.wait(Attempt { direction, home, source, watch, timeout }, &mut wait.waiter, cx)
    }

    /// Returns the source of a direction, and the runtime that the descriptor is bound to. Panics if there is no such
    /// runtime.
    fn home_outside(&self, direction: Direction, aim: Aim) -> (SourceId, RuntimeId) {
        let source = self.ready_event_of(direction).id;
        let home = self.home_of(source);
        if home == RuntimeId::NONE {
            self.polled_outside(direction, aim);
        }
        (source, home)
    }

    /// Takes over the source that the home has registered for a wait on a thread without a runtime, if there is one.
    pub(super) fn adopt(&self) {
        if let Some(outside) = self.outside() {
            outside.adopt(|source, fd| self.registration.adopt(source, fd));
        }
    }

    /// Removes the waiter of a caller that waited on a thread without a runtime.
    #[cold]
    pub(super) fn leave_outside(&self, direction: Direction, key: WaiterKey) {
        if let Some(outside) = self.outside() {
            waker::discard_each(outside.remove_waker(direction, key));
        }
    }

    pub(super) fn outside(&self) -> Option<&Outside> {
        self.rare.get()?.outside.get()
    }

    /// Panics, and names what was polled.
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
