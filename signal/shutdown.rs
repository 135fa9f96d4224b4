//! The future that is ready when the program should end.

use super::handler;
use super::listeners::Listener;
use super::stop_state::{self, REQUESTS};
use super::unix::SignalKind;
use crate::runtime::io::registered::Owner;
use crate::task::origin::Origin;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Returns a future that is ready when the process has been asked to end: at the first `SIGINT` (Ctrl-C) or `SIGTERM`
/// after the first call of this function.
///
/// A **second** such signal, of either kind, ends the process at once by the default action of that signal, so its exit
/// status names that signal. This needs no runtime: the signal also ends a process whose loop is blocked, or has ended.
/// Signals within 50 ms after the first one count as the same request, since timeout(1) and other programs send it
/// twice.
///
/// A process is asked to end once. From then on all these futures are ready, on all threads, and also those that are
/// created later. Nothing is lost if one is dropped and another one is created.
///
/// [`Serve::graceful`](crate::net::serve) takes this future. To wait for other signals, or for more than one request,
/// see [`unix::signal`](super::unix::signal).
///
/// # Cancel safety
///
/// The future is cancel safe.
///
/// # Errors
///
/// The future returns the errors of [`unix::signal`](super::unix::signal) at its first poll. If it is polled again, it
/// tries again.
///
/// # Panics
///
/// The future panics if it has to wait and no runtime is entered on this thread.
///
/// # Examples
///
/// ```no_run
/// use runtime::signal;
///
/// #[runtime::main]
/// async fn main() -> std::io::Result<()> {
///     let shutdown = signal::shutdown(); // From here on, a signal does not end the process at once.
///     runtime::spawn(async { /* work */ });
///     let kind = shutdown.await?;
///     println!("finishing the work because of {kind:?}; press Ctrl-C to end at once");
///     Ok(())
/// }
/// ```
#[cfg_attr(debug_assertions, track_caller)]
pub fn shutdown() -> Shutdown {
    let origin = Origin::caller();
    Shutdown { listener: Some(listen(origin)), origin }
}

fn listen(origin: Origin) -> io::Result<Listener> {
    let mut kinds = 0;
    for kind in REQUESTS {
        kinds |= handler::checked(kind)?;
    }
    let listener = Listener::new(kinds, Owner::Shutdown, origin)?;
    // Careful: before the handlers are installed. A signal that arrives between the two has its default effect, and
    // would otherwise have none.
    stop_state::watch();
    for kind in REQUESTS {
        handler::install(kind)?;
    }
    Ok(listener)
}

/// The future returned by [`shutdown`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Shutdown {
    /// `None` if an error has been returned.
    listener: Option<io::Result<Listener>>,
    origin: Origin,
}

impl Future for Shutdown {
    type Output = io::Result<SignalKind>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SignalKind>> {
        let shutdown = self.get_mut();
        let mut listener = match shutdown.listener.take() {
            Some(listener) => listener?,
            None => listen(shutdown.origin)?,
        };
        let polled = listener.poll(cx, stop_state::begun_by);
        shutdown.listener = Some(Ok(listener));
        Poll::Ready(ready!(polled))
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("begun_by", &stop_state::begun_by()).finish()
    }
}
