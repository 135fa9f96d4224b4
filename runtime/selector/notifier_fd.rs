//! The descriptor that a notifier makes readable, on Linux and Android: an eventfd, or a pipe if a sandbox or
//! an emulated kernel has no eventfd.

use super::eventfd::EventFd;
use super::is_refused;
use super::pipe::NotifierPipe;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

pub(crate) enum NotifierFd {
    EventFd(EventFd),
    Pipe(NotifierPipe),
}

impl NotifierFd {
    pub(crate) fn new() -> io::Result<NotifierFd> {
        match EventFd::new() {
            Ok(eventfd) => Ok(NotifierFd::EventFd(eventfd)),
            Err(error) if is_refused(&error) => NotifierPipe::new().map(NotifierFd::Pipe),
            // The process is out of descriptors, and a pipe would need two.
            Err(error) => Err(error),
        }
    }

    /// Makes the descriptor readable.
    pub(crate) fn notify(&self) {
        match self {
            NotifierFd::EventFd(eventfd) => eventfd.notify(),
            NotifierFd::Pipe(pipe) => pipe.notify(),
        }
    }

    /// Makes the descriptor unreadable again.
    pub(crate) fn empty(&self) {
        match self {
            NotifierFd::EventFd(eventfd) => eventfd.empty(),
            NotifierFd::Pipe(pipe) => pipe.empty(),
        }
    }

    /// Prepares the next event if the descriptor is watched edge-triggered. An eventfd needs no preparation. A
    /// write to a full pipe causes no event, and from Linux 5.5 to 5.13 only a write to an empty pipe did.
    #[cold]
    pub(super) fn empty_for_edge(&self) {
        if let NotifierFd::Pipe(pipe) = self {
            pipe.empty();
        }
    }
}

impl AsFd for NotifierFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            NotifierFd::EventFd(eventfd) => eventfd.as_fd(),
            NotifierFd::Pipe(pipe) => pipe.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::io::interest::Interest;
    use crate::runtime::selector::epoll::Epoll;
    use crate::runtime::selector::poll::Poll;
    use std::time::{Duration, Instant};

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no poll")]
    fn a_pipe_in_the_place_of_an_eventfd_loses_no_notification() {
        let mut epoll = Epoll::watching(NotifierFd::Pipe(NotifierPipe::new().unwrap()), 8, None).unwrap();
        let (notifier_fd, notifier) = (epoll.notifier_fd.clone(), epoll.notifier());
        // With epoll it depends on the kernel if a second write without a read causes an event. So this test also asks
        // poll(2).
        let mut level = Poll::new().unwrap();
        level.register(notifier_fd.as_fd(), 1, Some(Interest::READABLE)).unwrap();
        // The larger number is more than a pipe holds.
        for many in [1, 3, 100_000, 1, 3] {
            (0..many).for_each(|_| notifier.notify());
            let start = Instant::now();
            epoll.wait(8, Some(Duration::from_secs(5)), |event| panic!("{event:?}")).unwrap();
            assert!(start.elapsed() < Duration::from_secs(5), "lost");
            level.wait(8, Some(Duration::ZERO), |_| panic!("there are {many} still")).unwrap();
        }
    }
}
