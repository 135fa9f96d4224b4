//! The signal that tells handlers that the server is shutting down.

use crate::runtime::{unwind, waker};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A handle that tells handlers that the shutdown has begun: no more connections are accepted, and the grace period is
/// running. Returned by [`Serve::drain`](super::Serve::drain).
///
/// If a client may be silent for a long time, its handler should wait for the next request and for the drain at the
/// same time:
///
/// ```
/// use futures_lite::future::or;
/// use runtime::io::AsyncReadExt;
/// use runtime::net::{Drain, TcpStream};
///
/// async fn handle(mut stream: TcpStream, drain: Drain) -> std::io::Result<()> {
///     let mut request = [0; 1024];
///     loop {
///         let next = async { stream.read(&mut request).await.map(Some) };
///         let end = async {
///             drain.started().await;
///             Ok(None)
///         };
///         match or(next, end).await? {
///             Some(1..) => { /* answer */ }
///             _ => return Ok(()),
///         }
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Drain {
    state: Rc<State>,
}

struct State {
    started: Cell<bool>,
    waiters: RefCell<Slab<Waker>>,
}

impl Drop for State {
    fn drop(&mut self) {
        unwind::drop_each(self.waiters.get_mut().drain());
    }
}

impl Drain {
    pub(super) fn new() -> Drain {
        let state = State { started: Cell::new(false), waiters: RefCell::new(Slab::new()) };
        Drain { state: Rc::new(state) }
    }

    pub(super) fn start(&self) {
        self.state.started.set(true);
        let mut waiters = self.state.waiters.take();
        // If a waker panics, the others are woken all the same.
        waiters.drain().for_each(waker::wake);
    }

    /// Returns `true` if the drain has started.
    pub fn is_started(&self) -> bool {
        self.state.started.get()
    }

    /// Waits until the drain starts.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub fn started(&self) -> Draining<'_> {
        Draining { drain: self, key: None }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("started", &self.is_started()).finish()
    }
}

/// The future returned by [`Drain::started`].
#[must_use = "futures do nothing unless they are polled"]
#[derive(Debug)]
pub struct Draining<'a> {
    drain: &'a Drain,
    key: Option<usize>,
}

impl Future for Draining<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waiters = &self.drain.state.waiters;
        let is_waiting = self
            .key
            .is_some_and(|key| waiters.borrow().get(key).is_some_and(|waker| waker.will_wake(cx.waker())));
        if is_waiting {
            return Poll::Pending;
        }
        // Clone before the check: the clone of a foreign waker is user code, which may start the drain. For the same
        // reason the waker is dropped while nothing is borrowed.
        let waker = cx.waker().clone();
        if self.drain.is_started() {
            // The start has removed all entries.
            self.key = None;
            unwind::drop(waker);
            return Poll::Ready(());
        }
        let mut waiters = waiters.borrow_mut();
        let earlier = match self.key {
            Some(key) => Some(std::mem::replace(&mut waiters[key], waker)),
            None => {
                let key = waiters.insert(waker);
                drop(waiters);
                self.key = Some(key);
                return Poll::Pending;
            }
        };
        drop(waiters);
        unwind::drop_each(earlier);
        Poll::Pending
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take()
            && !self.drain.is_started()
        {
            let waker = self.drain.state.waiters.borrow_mut().try_remove(key);
            unwind::drop_each(waker);
        }
    }
}
