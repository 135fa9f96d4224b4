//! The state of a child: it has not been reaped, it has been reaped here, or other code has reaped it.
//!
//! When a [`Child`](super::Child) is dropped that has not been reaped, its guard kills it if that is wanted, and hands it over
//! to `orphans.rs`.

use super::orphans;
use super::running::{self, Running};
use std::fmt;
use std::io;
use std::mem;
use std::process::ExitStatus;
use std::task::{Context, Poll, ready};

pub(super) struct Guard {
    state: State,
    kill_on_drop: bool,
}

enum State {
    Running(Running),
    Ended(ExitStatus),
    /// Other code has reaped the child.
    Lost,
}

impl Guard {
    /// Takes over a child that std has spawned. It is killed on drop.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn new(child: std::process::Child) -> Guard {
        Guard { state: State::Running(Running::new(child)), kill_on_drop: true }
    }

    pub(super) fn set_kill_on_drop(&mut self, kill_on_drop: bool) {
        self.kill_on_drop = kill_on_drop;
    }

    /// Returns the process id, unless the child has been reaped.
    pub(super) fn id(&self) -> Option<u32> {
        match &self.state {
            State::Running(running) => Some(running.id()),
            State::Ended(_) | State::Lost => None,
        }
    }

    /// Returns the exit status if the child has ended.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        match &mut self.state {
            State::Running(running) => {
                let result = running.try_reap();
                result.transpose().map(|result| self.settle(result)).transpose()
            }
            State::Ended(status) => Ok(Some(*status)),
            State::Lost => Err(lost()),
        }
    }

    /// Waits until the child has ended. Only the waker of the latest call is woken.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        match &mut self.state {
            State::Running(running) => {
                let result = ready!(running.poll_reap(cx));
                Poll::Ready(self.settle(result))
            }
            State::Ended(status) => Poll::Ready(Ok(*status)),
            State::Lost => Poll::Ready(Err(lost())),
        }
    }

    /// Notes the result of reaping the child. After some errors it can be reaped later.
    fn settle(&mut self, result: io::Result<ExitStatus>) -> io::Result<ExitStatus> {
        match &result {
            Ok(status) => self.state = State::Ended(*status),
            Err(error) if running::is_lost(error) => self.state = State::Lost,
            Err(_) => {}
        }
        result
    }

    /// Sends a signal to a child that has not been reaped.
    pub(super) fn signal_by(&self, send: impl FnOnce(&Running) -> io::Result<()>) -> io::Result<()> {
        match &self.state {
            State::Running(running) => send(running),
            State::Ended(_) | State::Lost => Ok(()),
        }
    }

    /// Adds a field to the debug form of the child.
    pub(super) fn describe(&self, debug: &mut fmt::DebugStruct<'_, '_>) {
        match &self.state {
            State::Running(running) => debug.field("id", &running.id()),
            State::Ended(status) => debug.field("status", status),
            State::Lost => debug.field("status", &"lost"),
        };
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let State::Running(running) = mem::replace(&mut self.state, State::Lost) {
            if self.kill_on_drop {
                // Nobody could be told of an error.
                let _ = running.send_signal(libc::SIGKILL);
            }
            orphans::adopt(running);
        }
    }
}

fn lost() -> io::Error {
    io::Error::from_raw_os_error(libc::ECHILD)
}
