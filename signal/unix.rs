//! Streams of signals of one kind.

// A stream holds a number: the count of signals that had arrived when it last returned an item. It is ready when the
// count has changed, and uses its listener only to wait for that. Each thread stores the latest number of its streams, and
// a new stream begins with that number.

pub use super::kind::SignalKind;

use super::handler::{self, MAX_SIGNAL};
use super::listeners::Listener;
use crate::runtime::io::registered::Owner;
use crate::task::origin::Origin;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};

/// Creates a stream of the signals of one kind.
///
/// If there has been a stream for this kind on this thread before, the new stream begins where the earlier ones of
/// this thread have ended: it also returns a signal that has arrived since then.
///
/// The first stream for a kind replaces the default effect of the signal, until the process ends: see
/// [`signal`](crate::signal#the-effect-on-the-process).
///
/// # Errors
///
/// Returns an error of the kind [`Other`](io::ErrorKind::Other) for `SIGKILL`, `SIGSTOP`, `SIGILL`, `SIGFPE` and
/// `SIGSEGV`, which a program cannot or must not handle, and for numbers that are not between 1 and 64; `EINVAL` for
/// numbers that the system refuses, such as 32 and 33 with glibc; `EMFILE` or `ENFILE` if there is no descriptor left;
/// and, inside of a runtime, the errors of registering a descriptor.
///
/// # Examples
///
/// ```
/// use runtime::signal::unix::{SignalKind, signal};
///
/// # runtime::block_on(async {
/// let mut hangup = signal(SignalKind::hangup())?;
/// # std::process::Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status()?;
/// hangup.recv().await;
/// println!("reading the configuration again");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[cfg_attr(debug_assertions, track_caller)]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    Signal::new(kind, Owner::Signal, Origin::caller())
}

/// A stream of signals of one kind, which never ends. Created by [`signal`].
///
/// An item stands for one or more signals: all that have arrived since the last item. There may be any number of
/// streams for a kind, on any threads, and each one returns each signal. A stream may be moved to another thread, and
/// also to another runtime.
///
/// When it is dropped, the signal does not get its default effect back: see
/// [`signal`](crate::signal#the-effect-on-the-process).
///
/// # Examples
///
/// ```no_run
/// use runtime::select;
/// use runtime::signal::unix::{SignalKind, signal};
///
/// #[runtime::main]
/// async fn main() -> std::io::Result<()> {
///     let mut hangup = signal(SignalKind::hangup())?;
///     let mut user1 = signal(SignalKind::user_defined1())?;
///     loop {
///         select! {
///             _ = hangup.recv() => println!("opening the log again"),
///             _ = user1.recv() => println!("ten requests are in progress"),
///         }
///     }
/// }
/// ```
#[must_use = "streams do nothing unless they are polled"]
pub struct Signal {
    kind: SignalKind,
    /// The number of signals that had arrived when the stream last returned an item.
    seen: u64,
    /// The progress of the thread that created the stream.
    progress: Arc<Progress>,
    listener: Listener,
}

impl Signal {
    /// Creates a stream on behalf of `owner`, as which error messages name it.
    pub(crate) fn new(kind: SignalKind, owner: Owner, origin: Origin) -> io::Result<Signal> {
        let kinds = handler::checked(kind)?;
        let listener = Listener::new(kinds, owner, origin)?;
        let progress = Progress::of_this_thread();
        // Careful: before the handler is installed, so that the stream returns a signal that arrives immediately after.
        let seen = progress.begin(kind);
        handler::install(kind)?;
        Ok(Signal { kind, seen, progress, listener })
    }

    /// Waits for the next signal. The result is always `Some`, as in tokio.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: no signal is lost if the future is dropped.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait and no runtime is entered on this thread, or if the runtime cannot register the
    /// descriptor of the stream. The latter can only happen when the stream is first polled in another runtime than the
    /// one in which it was created.
    pub async fn recv(&mut self) -> Option<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Polls for the next signal; see [`recv`](Signal::recv). Only the waker passed to the latest call is woken.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`recv`](Signal::recv).
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        match self.poll_signal(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(Some(())),
            Poll::Ready(Err(error)) => panic!("this runtime cannot wait for {:?}: {error}", self.kind),
        }
    }

    pub(super) async fn wait(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_signal(cx)).await
    }

    /// Returns true if no signal arrives because other code has replaced the handler.
    #[cfg(feature = "process")]
    pub(crate) fn is_disabled(&self) -> bool {
        handler::is_disabled(self.kind)
    }

    /// Does what [`poll_recv`](Signal::poll_recv) does, and returns the errors.
    pub(crate) fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Signal { kind, seen, progress, listener } = self;
        listener.poll(cx, || {
            let arrived = handler::arrivals(*kind);
            if arrived == *seen {
                return None;
            }
            *seen = arrived;
            progress.advance(*kind, arrived);
            Some(())
        })
    }
}

impl Stream for Signal {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.get_mut().poll_recv(cx)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// For each kind, the number of signals that the streams created on one thread have seen.
struct Progress([AtomicU64; MAX_SIGNAL + 1]);

/// Stands for a kind for which there has been no stream.
const NEVER: u64 = u64::MAX;

thread_local! {
    static PROGRESS: Arc<Progress> = Arc::new(Progress::new());
}

impl Progress {
    fn new() -> Progress {
        Progress([const { AtomicU64::new(NEVER) }; MAX_SIGNAL + 1])
    }

    fn of_this_thread() -> Arc<Progress> {
        // A thread that is ending has no later streams.
        PROGRESS.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Progress::new()))
    }

    /// Returns where a new stream begins.
    fn begin(&self, kind: SignalKind) -> u64 {
        let arrived = handler::arrivals(kind);
        self.of(kind).compare_exchange(NEVER, arrived, SeqCst, SeqCst).map_or_else(|seen| seen, |_| arrived)
    }

    /// Notes that a stream has seen this number of signals.
    fn advance(&self, kind: SignalKind, seen: u64) {
        self.of(kind).fetch_max(seen, SeqCst);
    }

    fn of(&self, kind: SignalKind) -> &AtomicU64 {
        &self.0[kind.as_raw_value() as usize]
    }
}
