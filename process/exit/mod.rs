//! Watches for the end of one process: by a descriptor of the process where the system has one, or else by `SIGCHLD`.
//!
//! A watch does not reap the child, and does not know its exit status. A wake-up may be spurious, so the task that is woken
//! asks the system.

// Each file has the same face: `ExitFd`, `reap`, `send_signal` and `send_signal_to_group`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "kqueue.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "pidfd.rs"]
mod system;
#[cfg(target_os = "android")]
#[path = "unsupported.rs"]
mod system;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod zombie;

mod kill;

pub(super) use system::{ExitFd, reap, send_signal, send_signal_to_group};

use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use crate::signal::unix::{Signal, SignalKind};
use crate::task::coop;
use crate::task::origin::Origin;
use std::io;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll, ready};

/// The event source that wakes the task which waits for the end of a process.
pub(super) enum Watch {
    Fd(Registered<ExitFd>),
    Signal(Signal),
}

impl Watch {
    /// Begins to watch a child that has not been reaped.
    pub(super) fn new(child: &Child, origin: Origin) -> io::Result<Watch> {
        match ExitFd::open(child.id()) {
            Ok(fd) => {
                let mut io = Registered::new(fd, Owner::Child);
                io.set_origin(origin);
                Ok(Watch::Fd(io))
            }
            Err(error) if is_refused(&error) => Watch::by_signal(origin),
            Err(error) => Err(error),
        }
    }

    fn by_signal(origin: Origin) -> io::Result<Watch> {
        Signal::new(SignalKind::child(), Owner::Child, origin).map(Watch::Signal)
    }

    /// The descriptor, if there is one.
    pub(super) fn fd(&self) -> Option<&ExitFd> {
        match self {
            Watch::Fd(io) => Some(io.get()),
            Watch::Signal(_) => None,
        }
    }

    /// Waits until the child has ended, and reaps it.
    pub(super) fn poll_reap(
        &mut self,
        cx: &mut Context<'_>,
        child: &mut Child,
    ) -> Poll<io::Result<ExitStatus>> {
        match self {
            Watch::Fd(io) => io.poll_io(cx, Direction::Read, |fd| {
                reap(child, Some(fd))?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
            }),
            Watch::Signal(signal) => {
                ready!(coop::poll_budget(cx));
                loop {
                    // Careful: this comes before the wait. A signal that arrives in between ends the wait. And one that
                    // arrived before the handler was installed, or before the stream was created, does not.
                    if let Some(status) = reap_uninterrupted(child, None)? {
                        coop::spend();
                        return Poll::Ready(Ok(status));
                    }
                    if signal.is_disabled() {
                        return Poll::Ready(Err(sigchld_is_disabled()));
                    }
                    ready!(signal.poll_signal(cx))?;
                }
            }
        }
    }
}

/// Does what [`reap`] does, and repeats a call that a signal has interrupted.
pub(super) fn reap_uninterrupted(child: &mut Child, fd: Option<&ExitFd>) -> io::Result<Option<ExitStatus>> {
    loop {
        match reap(child, fd) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cold]
fn sigchld_is_disabled() -> io::Error {
    io::Error::other(
        "the end of a child cannot be noticed: this system has no pidfds, and other code has replaced the handler of \
         SIGCHLD by SIG_IGN or SIG_DFL",
    )
}

/// Returns true if the error means that the system has no such call, or a sandbox refuses it.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EACCES | libc::ENODEV))
}

/// Returns true if the process is not a child of this process any more: other code has reaped it.
pub(super) fn is_reaped_elsewhere(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECHILD)
}

#[cfg(test)]
#[cfg(not(miri))] // Miri has no processes.
mod tests {
    use super::*;
    use crate::block_on;
    use std::future::poll_fn;
    use std::process::{Command, Stdio};

    /// Waits by `SIGCHLD`, as where there are no pidfds.
    async fn wait(watch: &mut Watch, child: &mut Child) -> io::Result<ExitStatus> {
        poll_fn(|cx| watch.poll_reap(cx, child)).await
    }

    #[test]
    fn the_end_of_a_child_is_noticed_by_its_signal() {
        block_on(async {
            for _ in 0..20 {
                let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
                let mut watch = Watch::by_signal(Origin::caller()).unwrap();
                assert!(watch.fd().is_none());
                let stdin = child.stdin.take();
                let closing = crate::spawn(async move { drop(stdin) });
                assert!(wait(&mut watch, &mut child).await.unwrap().success());
                closing.await.unwrap();
            }
        });
    }

    /// tokio#6770: the signal arrives before anything listens for it.
    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn a_child_that_ended_before_its_signal_was_listened_for_is_noticed() {
        let mut signal = Signal::new(SignalKind::child(), Owner::Child, Origin::caller()).unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        while !zombie::is_zombie(&child, None).unwrap() {
            std::thread::yield_now();
        }
        block_on(poll_fn(|cx| signal.poll_signal(cx))).unwrap();
        // On a thread that has not listened for the signal before: else a new stream also returns earlier ones.
        let is_noticed_at_once = || {
            block_on(async {
                let mut watch = Watch::by_signal(Origin::caller()).unwrap();
                let first = poll_fn(|cx| Poll::Ready(watch.poll_reap(cx, &mut child))).await;
                assert!(matches!(first, Poll::Ready(Ok(status)) if status.success()), "{first:?}");
            });
        };
        std::thread::scope(|scope| scope.spawn(is_noticed_at_once).join().unwrap());
    }

    #[test]
    #[should_panic(expected = "Child::wait was polled outside of a runtime")]
    fn a_wait_by_a_signal_names_the_child_if_there_is_no_runtime() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let _stdin = child.stdin.take();
        let mut watch = Watch::by_signal(Origin::caller()).unwrap();
        _ = futures_lite::future::block_on(wait(&mut watch, &mut child));
    }
}
