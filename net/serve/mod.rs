//! Serving: the loop that accepts, with what is easily forgotten in it.
//!
//! A plain `loop { accept; spawn }` takes connections until descriptors or memory run out, and ends by
//! cutting them off. Here the number is capped, those above it wait in the kernel's queue; a shortage is
//! waited out; and at the end only those are accepted that are established already, all that are served may
//! finish, and whoever does not is cut off after a while. No task outlives the call.
//!
//! ```text
//! accept ─► spawn(handler) ─► …        the cap: no accept while so many are served
//!    │ shutdown is ready, or the listener has failed
//!    ▼
//! accept what is queued ─► close the listener ─► tell the handlers (Drain)
//!    ─► serve what was queued, and wait, at most `grace` ─► abort who is left
//! ```

mod accept;
mod backlog;
mod connections;
mod drain;
#[cfg(feature = "unix")]
mod unix;

pub use accept::Accept;
pub use drain::{Drain, Draining};

use super::accept_backoff;
use crate::runtime::unwind::Contained;
use crate::task;
use crate::time::{self, Duration};
use backlog::Backlog;
use connections::Connections;
use futures_lite::future::or;
use std::fmt;
use std::future::{Pending, pending};
use std::io;
use std::pin::pin;
use std::rc::Rc;

/// Serves a listener's connections, each in a task of its own.
///
/// A handler that panics ends its own connection, and the others go on. Not so in a program that is compiled with
/// `panic = "abort"`: there the first panic of a handler ends the process, with all connections.
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

/// How connections are to be served. From [`serve`].
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
    /// How many connections are served at once. Those above wait in the listener's queue, where the
    /// kernel has room for some. No limit unless set.
    ///
    /// # Panics
    ///
    /// Panics if it is zero.
    #[track_caller]
    pub fn max_connections(mut self, connections: usize) -> Serve<L, S> {
        assert!(connections > 0, "max_connections must be at least 1: nobody would be served");
        self.max_connections = connections;
        self
    }

    /// Ends when `shutdown` is ready: then the listener is closed, those who are served have `grace` to
    /// finish, and who has not is aborted. [`Duration::MAX`] waits for the last.
    ///
    /// Connections that are established by then but wait to be accepted are still served, unless
    /// [`serve_queued`](Serve::serve_queued) says otherwise.
    pub fn graceful<T: Future>(self, shutdown: T, grace: Duration) -> Serve<L, T> {
        let Serve { listener, max_connections, on_error, drain, serves_queued, .. } = self;
        Serve { listener, max_connections, shutdown, grace, on_error, drain, serves_queued }
    }

    /// Sets whether connections are served that wait in the listener's queue when the shutdown begins. On by default.
    ///
    /// They have been established by the system, and their clients may have sent a request already. They are accepted
    /// before the listener is closed, 4,096 at most, as long as there are descriptors. Then they get their places
    /// within the cap and the grace, in their order, and their handlers find the [drain](Serve::drain) started.
    /// With `false`, and if there is no place in time, their clients find the connection closed or reset.
    pub fn serve_queued(mut self, on: bool) -> Serve<L, S> {
        self.serves_queued = on;
        self
    }

    /// Calls `report` when descriptors or memory have run out, so that nobody could be accepted for
    /// now: at most ten times a second.
    pub fn on_error(mut self, report: impl FnMut(&io::Error) + 'static) -> Serve<L, S> {
        self.on_error = Some(Box::new(report));
        self
    }

    /// By which a handler learns that it should come to its end. Clones may go to all of them.
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Serves until the end that was set by [`graceful`](Serve::graceful), or else for ever.
    ///
    /// Each connection is handed to `handler`, whose future runs as a task on this thread. A panic in
    /// it ends that connection alone.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it aborts all its tasks, which are dropped in their next turn, and closes the listener.
    ///
    /// # Errors
    ///
    /// Returns the errors of the listener, after which those who are served had their grace, too. That descriptors or
    /// memory have run out, or that one connection was broken, is none: that passes.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread; and with the panic of `shutdown` or of
    /// [`on_error`](Serve::on_error)'s function.
    pub async fn run<H>(self, handler: H) -> io::Result<Served>
    where
        H: AsyncFn(L::Stream, L::Addr) + 'static,
    {
        let Serve { listener, max_connections, shutdown, grace, on_error, drain, serves_queued } = self;
        // The end comes also if one of these panics while it is dropped.
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

/// What became of the connections. From [`Serve::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    accepted: u64,
    panicked: u64,
    aborted: u64,
    unserved: u64,
}

impl Served {
    /// How many were accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Of how many the handler panicked.
    pub fn panicked(&self) -> u64 {
        self.panicked
    }

    /// How many were aborted, since they had not finished in time.
    pub fn aborted(&self) -> u64 {
        self.aborted
    }

    /// Returns how many connections that were queued when the shutdown began found no place within the grace. They are
    /// not among the accepted ones.
    pub fn unserved(&self) -> u64 {
        self.unserved
    }
}

/// That nothing can be accepted now, and will when somebody has left.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// That the next one may well be accepted. TCP's listener passes over such errors by itself.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
