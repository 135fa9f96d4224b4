//! The word to the handlers that they should come to their end.

use crate::runtime::{unwind, waker};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Tells handlers that no more connections are accepted, and their time is running. From
/// [`Serve::drain`](super::Serve::drain).
///
/// A handler whose client may stay silent for long waits for both, and leaves when it can:
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
        // One whose waker panics keeps the others from nothing.
        waiters.drain().for_each(waker::wake);
    }

    /// Whether it has begun.
    pub fn is_started(&self) -> bool {
        self.state.started.get()
    }

    /// Waits until it begins.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub fn started(&self) -> Draining<'_> {
        Draining { drain: self, seat: None }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("started", &self.is_started()).finish()
    }
}

/// Waits until the drain begins. From [`Drain::started`].
#[must_use = "futures do nothing unless they are polled"]
#[derive(Debug)]
pub struct Draining<'a> {
    drain: &'a Drain,
    seat: Option<usize>,
}

impl Future for Draining<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waiters = &self.drain.state.waiters;
        let is_seated = self
            .seat
            .is_some_and(|seat| waiters.borrow().get(seat).is_some_and(|waker| waker.will_wake(cx.waker())));
        if is_seated {
            return Poll::Pending;
        }
        // Cloned before the look: a foreign waker's clone is user code, under which it may begin. And
        // dropped under no borrow.
        let waker = cx.waker().clone();
        if self.drain.is_started() {
            // All seats are gone with it.
            self.seat = None;
            unwind::drop(waker);
            return Poll::Ready(());
        }
        let mut waiters = waiters.borrow_mut();
        let earlier = match self.seat {
            Some(seat) => Some(std::mem::replace(&mut waiters[seat], waker)),
            None => {
                let seat = waiters.insert(waker);
                drop(waiters);
                self.seat = Some(seat);
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
        if let Some(seat) = self.seat.take()
            && !self.drain.is_started()
        {
            let waker = self.drain.state.waiters.borrow_mut().try_remove(seat);
            unwind::drop_each(waker);
        }
    }
}
