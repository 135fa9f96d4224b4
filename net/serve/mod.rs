//! Serving: the loop that accepts connections, and the parts of it that are easily forgotten.
//!
//! A plain `loop { accept; spawn }` accepts connections until descriptors or memory run out, and cuts them off at the
//! end. Here the number of connections is capped, and further ones wait in the kernel's queue. A shortage of
//! descriptors or memory is waited out. At the shutdown, only those connections are accepted that are established
//! already; all handlers have a grace period to finish, and are aborted after it. No task outlives the call.
//!
//! ```text
//! accept ─► spawn(handler) ─► …        at the cap: accept again when a connection ends
//!    │ shutdown is ready, or the listener has failed
//!    ▼
//! accept what is queued ─► close the listener ─► tell the handlers (Drain)
//!    ─► serve what was queued, and wait, at most `grace` ─► abort the rest
//! ```

mod accept;
mod backlog;
pub(crate) mod connections;
mod drain;

pub use accept::Accept;
pub use drain::{Drain, Draining};

use super::accept_backoff;
use crate::runtime::unwind::Contained;
use crate::task;
use crate::time::{self, Duration};
use accept::{is_of_one_connection, is_shortage};
use backlog::Backlog;
use connections::Connections;
use futures_lite::future::or;
use std::fmt;
use std::future::{Pending, pending};
use std::io;
use std::pin::pin;
use std::rc::Rc;

/// Serves the connections of a listener, each in its own task.
///
/// If a handler panics, only its own connection ends. This is different in a program that is compiled with `panic =
/// "abort"`: there the first panic of a handler ends the process, with all connections.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{TcpListener, TcpStream, serve};
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
///
/// let client = runtime::spawn(async move {
///     let mut client = TcpStream::connect(address).await?;
///     let mut greeting = String::new();
///     client.read_to_string(&mut greeting).await?;
///     std::io::Result::Ok(greeting)
/// });
///
/// let served = serve(listener)
///     .max_connections(1000)
///     .graceful(client, Duration::from_secs(10)) // until the client has its greeting
///     .run(async |mut stream: TcpStream, _peer| {
///         drop(stream.write_all(b"hello").await);
///     })
///     .await?;
/// assert_eq!(served.accepted(), 1);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub fn serve<L: Accept>(listener: L) -> Serve<L> {
    Serve {
        listener,
        max_connections: usize::MAX,
        shutdown: pending(),
        grace: Duration::MAX,
        on_error: None,
        drain: Drain::new(),
        serves_queued: true,
    }
}

type OnError = Box<dyn FnMut(&io::Error)>;

/// A server that has not been started. Returned by [`serve`].
#[must_use = "call run to serve"]
pub struct Serve<L, S = Pending<()>> {
    listener: L,
    max_connections: usize,
    shutdown: S,
    grace: Duration,
    on_error: Option<OnError>,
    drain: Drain,
    serves_queued: bool,
}

impl<L: Accept, S: Future> Serve<L, S> {
    /// Sets the maximum number of connections served at once. Further connections wait in the kernel's accept queue, as
    /// long as it has room. There is no limit by default.
    ///
    /// # Panics
    ///
    /// Panics if it is zero.
    #[track_caller]
    pub fn max_connections(mut self, connections: usize) -> Serve<L, S> {
        assert!(connections > 0, "max_connections must be at least 1: otherwise nothing would be served");
        self.max_connections = connections;
        self
    }

    /// Shuts down when `shutdown` is ready. Then the listener is closed, and the handlers have the time `grace` to
    /// finish. Those that have not finished by then are aborted. [`Duration::MAX`] waits for all of them.
    ///
    /// Connections that the system has established by then, and that have not been accepted yet, are still served,
    /// unless [`serve_queued`](Serve::serve_queued) is set to `false`.
    pub fn graceful<T: Future>(self, shutdown: T, grace: Duration) -> Serve<L, T> {
        let Serve { listener, max_connections, on_error, drain, serves_queued, .. } = self;
        Serve { listener, max_connections, shutdown, grace, on_error, drain, serves_queued }
    }

    /// Sets whether connections that wait in the accept queue when the shutdown begins are still served. The default is
    /// `true`.
    ///
    /// The system has established these connections, and their clients may have sent a request already. At most 4,096
    /// of them are accepted before the listener is closed, as long as descriptors are left. They are then served in
    /// order, within the maximum number of connections and the grace period. When their handlers are called, the
    /// [drain](Serve::drain) has already started. If this option is `false`, or if the server has no room for a
    /// connection in time, the client finds the connection closed or reset.
    pub fn serve_queued(mut self, on: bool) -> Serve<L, S> {
        self.serves_queued = on;
        self
    }

    /// Sets a function that is called when no connection can be accepted because descriptors or memory have run out. It
    /// is called at most ten times a second.
    pub fn on_error(mut self, report: impl FnMut(&io::Error) + 'static) -> Serve<L, S> {
        self.on_error = Some(Box::new(report));
        self
    }

    /// Returns a handle through which connection handlers observe the shutdown. It can be cloned for each of them.
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Serves connections until the shutdown set by [`graceful`](Serve::graceful), or else until the listener fails.
    ///
    /// For each connection, `handler` is called, and its future runs as a task on this thread. If it panics, only its
    /// connection ends.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it aborts all its tasks, which are dropped the next time they would run, and closes
    /// the listener.
    ///
    /// # Errors
    ///
    /// Returns the error of the listener, after the handlers have had their grace period. A shortage of descriptors or
    /// memory, or a single broken connection, is temporary and not returned as an error.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread, or if `shutdown` or the function of
    /// [`on_error`](Serve::on_error) panics.
    pub async fn run<H>(self, handler: H) -> io::Result<Served>
    where
        H: AsyncFn(L::Stream, L::Addr) + 'static,
    {
        let Serve { listener, max_connections, shutdown, grace, on_error, drain, serves_queued } = self;
        // The shutdown is completed even if one of these panics while it is dropped.
        let mut listener = pin!(Contained::new(listener));
        let mut shutdown = pin!(Contained::new(shutdown));
        let mut on_error = pin!(Contained::new(on_error));
        let (connections, handler) = (Connections::new(), Rc::new(Contained::new(handler)));
        let spawn = |stream, peer| {
            let handler = handler.clone();
            connections.spawn(async move { handler.get()(stream, peer).await });
        };
        let mut result = Ok(());
        let mut backoff = accept_backoff::backoff();
        loop {
            let accept = async {
                connections.wait_for_fewer_than(max_connections).await;
                Some(Contained::new(listener.get().accept()).await)
            };
            let end = async {
                shutdown.as_mut().await;
                None
            };
            match or(end, accept).await {
                None => break,
                Some(Ok((stream, peer))) => {
                    backoff.reset();
                    spawn(stream, peer);
                }
                Some(Err(error)) if is_of_one_connection(&error) => task::yield_now().await,
                Some(Err(error)) if is_shortage(&error) => {
                    if let Some(report) = &mut *on_error.as_mut().pinned() {
                        report(&error);
                    }
                    // The shutdown is observed while it waits.
                    let wait = async {
                        time::sleep(backoff.next_wait()).await;
                        false
                    };
                    let end = async {
                        shutdown.as_mut().await;
                        true
                    };
                    if or(end, wait).await {
                        break;
                    }
                }
                Some(Err(error)) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let mut backlog = Backlog::empty();
        if serves_queued && result.is_ok() {
            backlog.accept(listener.get()).await;
        }
        listener.as_mut().clear();
        drain.start();
        let finish = async {
            while backlog.len() > 0 {
                connections.wait_for_fewer_than(max_connections).await;
                backlog.pop().into_iter().for_each(|(stream, peer)| spawn(stream, peer));
            }
            connections.wait_for_fewer_than(1).await;
        };
        let is_late = time::timeout(grace, finish).await.is_err();
        let aborted = if is_late { connections.abort() } else { 0 };
        connections.wait_for_fewer_than(1).await;
        let (accepted, panicked) = (connections.spawned(), connections.panicked());
        result.map(|()| Served { accepted, panicked, aborted, unserved: backlog.len() as u64 })
    }
}

impl<L, S> fmt::Debug for Serve<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("max_connections", &self.max_connections)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// The numbers of connections that were served or not. Returned by [`Serve::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    accepted: u64,
    panicked: u64,
    aborted: u64,
    unserved: u64,
}

impl Served {
    /// Returns the number of connections that were accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the number of connections whose handler panicked.
    pub fn panicked(&self) -> u64 {
        self.panicked
    }

    /// Returns the number of connections that were aborted because they had not finished in time.
    pub fn aborted(&self) -> u64 {
        self.aborted
    }

    /// Returns the number of connections that were queued when the shutdown began and for which there was no room
    /// within the grace period. They do not count as accepted.
    pub fn unserved(&self) -> u64 {
        self.unserved
    }
}
