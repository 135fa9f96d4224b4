//! A child that has not been reaped, and how its end is watched.
//!
//! The watch begins when the child is created. If there is no descriptor for it then, the child is none the worse: the
//! next wait tries again, and returns the error.

use super::exit::{self, Watch};
use crate::runtime::selector::Process;
use crate::task::origin::Origin;
use std::ffi::c_int;
use std::io;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll};

pub(super) struct Running {
    /// `None` if there was no descriptor for it.
    watch: Option<Watch>,
    child: Child,
    /// The parent of the child.
    parent: Process,
    origin: Origin,
}

impl Running {
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn new(child: Child) -> Running {
        let origin = Origin::caller();
        let parent = Process::counted_if_possible();
        Running { watch: Watch::new(&child, origin).ok(), child, parent, origin }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reaps the child if it has ended.
    pub(super) fn try_reap(&mut self) -> io::Result<Option<ExitStatus>> {
        self.check_parent()?;
        exit::reap_uninterrupted(&mut self.child, self.watch.as_ref().and_then(Watch::fd))
    }

    /// Waits until the child has ended, and reaps it. Only the waker of the latest call is woken.
    pub(super) fn poll_reap(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        self.check_parent()?;
        let watch = match &mut self.watch {
            Some(watch) => watch,
            None => {
                if let Some(status) = exit::reap_uninterrupted(&mut self.child, None)? {
                    return Poll::Ready(Ok(status));
                }
                self.watch.insert(Watch::new(&self.child, self.origin)?)
            }
        };
        watch.poll_reap(cx, &mut self.child)
    }

    /// Sends a signal to the child. Does nothing if it has ended.
    pub(super) fn send_signal(&self, signal: c_int) -> io::Result<()> {
        self.check_parent()?;
        exit::send_signal(&self.child, self.watch.as_ref().and_then(Watch::fd), signal)
    }

    /// Sends a signal to the processes of the group that the child leads.
    pub(super) fn send_signal_to_group(&self, signal: c_int) -> io::Result<()> {
        self.check_parent()?;
        exit::send_signal_to_group(&self.child, self.watch.as_ref().and_then(Watch::fd), signal)
    }

    /// In a child of fork(2), returns an error: the process is a child of its parent. After its end, a child of this
    /// process may get its number.
    fn check_parent(&self) -> io::Result<()> {
        if self.parent.is_current() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ECHILD)) }
    }

    /// Ends the watch, and closes its descriptor.
    pub(super) fn stop_watching(&mut self) {
        self.watch = None;
    }
}

/// Returns true if other code has reaped the child, whose exit status is then lost.
pub(super) fn is_lost(error: &io::Error) -> bool {
    exit::is_reaped_elsewhere(error)
}
