//! The signal that tells handlers that the server is shutting down.
//!
//! It can be sent to other threads, because the state of a web framework (an axum `Router`) has to be.

use crate::runtime::{unwind, waker};
use slab::Slab;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A handle that tells handlers that the shutdown has begun: no more connections are accepted, and the grace period is
/// running. Returned by [`Serve::drain`](super::Serve::drain).
///
/// It may be cloned, and sent to other threads.
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
    state: Arc<State>,
}

struct State {
    /// Set once. A waiter reads it while it holds the lock of `waiters`, so that it either sees it or is woken.
    started: AtomicBool,
    waiters: Mutex<Slab<Waker>>,
}

impl State {
    /// Locks the waiters. No user code runs, and nothing panics, while they are locked.
    fn waiters(&self) -> MutexGuard<'_, Slab<Waker>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let waiters = self.waiters.get_mut().unwrap_or_else(PoisonError::into_inner);
        unwind::drop_each(waiters.drain());
    }
}

impl Drain {
    pub(super) fn new() -> Drain {
        let state = State { started: AtomicBool::new(false), waiters: Mutex::new(Slab::new()) };
        Drain { state: Arc::new(state) }
    }

    pub(super) fn start(&self) {
        let mut waiters = self.state.waiters();
        self.state.started.store(true, Relaxed);
        let mut taken = std::mem::take(&mut *waiters);
        drop(waiters);
        // If a waker panics, the others are woken all the same.
        taken.drain().for_each(waker::wake);
    }

    /// Returns `true` if the drain has started.
    pub fn is_started(&self) -> bool {
        self.state.started.load(Relaxed)
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
        let state = &self.drain.state;
        let is_waiting = self
            .key
            .is_some_and(|key| state.waiters().get(key).is_some_and(|waker| waker.will_wake(cx.waker())));
        if is_waiting {
            return Poll::Pending;
        }
        // Clone before the check: the clone of a foreign waker is user code, which may start the drain. For the same
        // reason the waker is dropped while nothing is locked.
        let waker = cx.waker().clone();
        let mut waiters = state.waiters();
        if self.drain.is_started() {
            drop(waiters);
            // The start has removed all entries.
            self.key = None;
            unwind::drop(waker);
            return Poll::Ready(());
        }
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
        if let Some(key) = self.key.take() {
            let mut waiters = self.drain.state.waiters();
            // The start has removed all entries.
            let waker = if self.drain.is_started() { None } else { waiters.try_remove(key) };
            drop(waiters);
            unwind::drop_each(waker);
        }
    }
}
