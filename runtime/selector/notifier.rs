//! The notifier, with which any thread ends the wait of a selector.
//!
//! It is an eventfd(2), or a pipe where there is no eventfd, and is watched along with the other descriptors.
//! kqueue has a user event for this purpose. A notifier that is watched edge-triggered is normally never
//! read.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use super::notifier_fd::NotifierFd;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use super::pipe::NotifierPipe as NotifierFd;

use super::KqueueFd;
use std::fmt;
use std::sync::Arc;

/// A handle that ends the wait of its selector, from any thread.
///
/// A notification is not an event: the wait just ends. Several notifications before the same wait end that
/// one wait only. A notifier may outlive the selector, and then does nothing.
///
/// # Examples
///
/// ```
/// use runtime::selector::{Events, Selector};
///
/// let mut selector = Selector::new()?;
/// let notifier = selector.notifier();
/// let thread = std::thread::spawn(move || notifier.notify());
/// let mut events = Events::with_capacity(8);
/// selector.wait(&mut events, None)?;
/// assert!(events.is_empty());
/// # thread.join().unwrap();
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Notifier(Inner);

#[derive(Clone)]
enum Inner {
    NotifierFd(Arc<NotifierFd>),
    KqueueFd(Arc<KqueueFd>),
}

impl Notifier {
    pub(super) fn of_fd(fd: Arc<NotifierFd>) -> Notifier {
        Notifier(Inner::NotifierFd(fd))
    }

    #[allow(dead_code, reason = "only kqueue has it")]
    pub(super) fn of_queue(queue: Arc<KqueueFd>) -> Notifier {
        Notifier(Inner::KqueueFd(queue))
    }

    /// Ends the wait in progress, or the next one.
    pub fn notify(&self) {
        match &self.0 {
            Inner::NotifierFd(fd) => fd.notify(),
            Inner::KqueueFd(queue) => queue.notify(),
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}
