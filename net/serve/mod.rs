//! Serving: the loop that accepts, with what is easily forgotten in it.
//!
//! A plain `loop { accept; spawn }` takes connections until descriptors or memory run out, and ends by
//! cutting them off. Here the number is capped, those above it wait in the kernel's queue; a shortage is
//! waited out; and at the end nobody new is accepted, those who are served may finish, and whoever
//! does not is cut off after a while. No task outlives the call.
//!
//! ```text
//! accept ─► spawn(handler) ─► …        the cap: no accept while so many are served
//!    │ shutdown is ready, or the listener has failed
//!    ▼
//! close the listener ─► tell the handlers (Drain) ─► wait, at most `grace` ─► abort who is left
//! ```

mod accept;
mod drain;
mod members;
#[cfg(feature = "unix")]
mod unix;

pub use accept::Accept;
pub use drain::{Drain, Draining};

use super::pace::Rests;
use crate::runtime::unwind::Contained;
use crate::task;
use crate::time::{self, Duration};
use futures_lite::future::or;
use members::Members;
use std::fmt;
use std::future::{Pending, pending};
use std::io;
use std::pin::pin;
use std::rc::Rc;

/// Serves a listener's connections, each in a task of its own.
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
}

impl<L: Accept, S: Future> Serve<L, S> {
    /// How many connections are served at once. Those above wait in the listener's queue, where the
    /// kernel has room for some. No limit unless set.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_connections(mut self, connections: usize) -> Serve<L, S> {
        assert!(connections > 0, "max_connections must be at least 1: nobody would be served");
        self.max_connections = connections;
        self
    }

    /// Ends when `shutdown` is ready: then the listener is closed, those who are served have `grace` to
    /// finish, and who has not is aborted. [`Duration::MAX`] waits for the last.
    pub fn graceful<T: Future>(self, shutdown: T, grace: Duration) -> Serve<L, T> {
        let Serve { listener, max_connections, on_error, drain, .. } = self;
        Serve { listener, max_connections, shutdown, grace, on_error, drain }
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
    /// Those of the listener, after which those who are served had their grace, too. That descriptors or
    /// memory have run out, or that one connection was broken, is none: that passes.
    ///
    /// # Panics
    ///
    /// If no runtime is entered on this thread; and with the panic of `shutdown` or of
    /// [`on_error`](Serve::on_error)'s function.
    pub async fn run<H>(self, handler: H) -> io::Result<Served>
    where
        H: AsyncFn(L::Stream, L::Addr) + 'static,
    {
        let Serve { listener, max_connections, shutdown, grace, on_error, drain } = self;
        // The end comes also if one of these panics while it is dropped.
        let mut listener = pin!(Contained::new(listener));
        let mut shutdown = pin!(Contained::new(shutdown));
        let mut on_error = pin!(Contained::new(on_error));
        let (members, handler) = (Members::new(), Rc::new(Contained::new(handler)));
        let mut result = Ok(());
        let (mut rests, mut has_gained) = (Rests::default(), true);
        loop {
            let accept = async {
                members.wait_for_fewer_than(max_connections).await;
                Some(Contained::new(listener.get().accept()).await)
            };
            let end = async {
                shutdown.as_mut().await;
                None
            };
            match or(end, accept).await {
                None => break,
                Some(Ok((stream, peer))) => {
                    has_gained = true;
                    let handler = handler.clone();
                    members.spawn(async move { handler.get()(stream, peer).await });
                }
                Some(Err(error)) if is_of_one_connection(&error) => task::yield_now().await,
                Some(Err(error)) if is_shortage(&error) => {
                    if let Some(report) = &mut *on_error.as_mut().pinned() {
                        report(&error);
                    }
                    let rest = rests.next(std::mem::replace(&mut has_gained, false));
                    // Not deaf meanwhile.
                    let rested = async {
                        time::sleep(rest).await;
                        false
                    };
                    let end = async {
                        shutdown.as_mut().await;
                        true
                    };
                    if or(end, rested).await {
                        break;
                    }
                }
                Some(Err(error)) => {
                    result = Err(error);
                    break;
                }
            }
        }
        listener.as_mut().clear();
        drain.start();
        let is_late = time::timeout(grace, members.wait_for_fewer_than(1)).await.is_err();
        let aborted = if is_late { members.abort() } else { 0 };
        members.wait_for_fewer_than(1).await;
        result.map(|()| Served { accepted: members.spawned(), panicked: members.panicked(), aborted })
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
}

/// That nothing can be accepted now, and will when somebody has left.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// That the next one may well be accepted. TCP's listener passes over such errors by itself.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
