//! The error of a run: which thread failed first, and why.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

/// The error returned by [`PerCore::run`](super::PerCore::run) and [`PerCore::try_run`](super::PerCore::try_run): a
/// thread panicked, returned an error, or could not be started. It describes the first failure. The other threads were
/// stopped after it.
///
/// # Examples
///
/// ```
/// use runtime::cores::PerCore;
///
/// let error = PerCore::new()
///     .threads(2)
///     .run(async |core| {
///         if core.index() == 1 {
///             panic!("oh");
///         }
///         std::future::pending::<()>().await // stopped, when the other panics
///     })
///     .unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(error.to_string(), "thread 1 panicked: oh");
/// ```
pub struct CoreError<E = Infallible> {
    index: usize,
    kind: CoreErrorKind<E>,
}

enum CoreErrorKind<E> {
    Start(io::Error),
    /// The mutex is there only to make the error `Sync`, as errors are expected to be.
    Panic(Mutex<Box<dyn Any + Send>>),
    Failed(E),
}

impl<E> CoreError<E> {
    pub(super) fn start(index: usize, error: io::Error) -> CoreError<E> {
        CoreError { index, kind: CoreErrorKind::Start(error) }
    }

    pub(super) fn panic(index: usize, payload: Box<dyn Any + Send>) -> CoreError<E> {
        CoreError { index, kind: CoreErrorKind::Panic(Mutex::new(payload)) }
    }

    pub(super) fn failed(index: usize, error: E) -> CoreError<E> {
        CoreError { index, kind: CoreErrorKind::Failed(error) }
    }

    /// Returns the index of the thread. The first thread has the index 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns `true` if the thread panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, CoreErrorKind::Panic(_))
    }

    /// Returns `true` if the thread could not be started, could not be pinned, or could not make its runtime. In that
    /// case no thread has called the function.
    pub fn is_start(&self) -> bool {
        matches!(self.kind, CoreErrorKind::Start(_))
    }

    /// Returns the payload of the thread's panic, which can be passed to [`resume_unwind`](std::panic::resume_unwind).
    ///
    /// # Panics
    ///
    /// Panics if the thread did not panic.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => {
                panic!("thread {} did not panic: ask is_panic before into_panic", error.index)
            }
        }
    }

    /// Returns the payload of the thread's panic.
    ///
    /// # Errors
    ///
    /// Returns the error itself if the thread did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, CoreError<E>> {
        match self.kind {
            CoreErrorKind::Panic(payload) => Ok(payload.into_inner().unwrap_or_else(PoisonError::into_inner)),
            kind => Err(CoreError { index: self.index, kind }),
        }
    }

    /// Returns the error that the thread's function returned.
    ///
    /// # Errors
    ///
    /// Returns the `CoreError` itself if it has another cause.
    pub fn try_into_inner(self) -> Result<E, CoreError<E>> {
        match self.kind {
            CoreErrorKind::Failed(error) => Ok(error),
            kind => Err(CoreError { index: self.index, kind }),
        }
    }

    /// Returns the message of the panic, if the payload is a string.
    fn message(&self) -> Option<String> {
        let CoreErrorKind::Panic(payload) = &self.kind else { return None };
        let payload = payload.lock().unwrap_or_else(PoisonError::into_inner);
        let message = payload.downcast_ref::<&'static str>().map(|message| (*message).to_owned());
        message.or_else(|| payload.downcast_ref::<String>().cloned())
    }
}

impl<E: fmt::Display> fmt::Display for CoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.index;
        match (&self.kind, self.message()) {
            (CoreErrorKind::Start(error), _) => write!(f, "thread {index} could not be started: {error}"),
            (CoreErrorKind::Failed(error), _) => write!(f, "thread {index} failed: {error}"),
            (CoreErrorKind::Panic(_), Some(message)) => write!(f, "thread {index} panicked: {message}"),
            (CoreErrorKind::Panic(_), None) => write!(f, "thread {index} panicked"),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for CoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("CoreError");
        debug.field("index", &self.index);
        match &self.kind {
            CoreErrorKind::Start(error) => debug.field("start", error),
            CoreErrorKind::Failed(error) => debug.field("failed", error),
            CoreErrorKind::Panic(_) => debug.field("panic", &self.message().unwrap_or_default()),
        };
        debug.finish()
    }
}

impl<E: std::error::Error + 'static> std::error::Error for CoreError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            CoreErrorKind::Start(error) => Some(error),
            CoreErrorKind::Failed(error) => Some(error),
            CoreErrorKind::Panic(_) => None,
        }
    }
}

/// Wraps the error in an `io::Error`, which has the kind of the inner `io::Error` if there is one.
impl From<CoreError> for io::Error {
    fn from(error: CoreError) -> io::Error {
        match &error.kind {
            CoreErrorKind::Start(source) => io::Error::new(source.kind(), error),
            _ => io::Error::other(error),
        }
    }
}

/// Wraps the error in an `io::Error`, which has the kind of the inner `io::Error` if there is one.
impl From<CoreError<io::Error>> for io::Error {
    fn from(error: CoreError<io::Error>) -> io::Error {
        match &error.kind {
            CoreErrorKind::Start(source) | CoreErrorKind::Failed(source) => {
                io::Error::new(source.kind(), error)
            }
            CoreErrorKind::Panic(_) => io::Error::other(error),
        }
    }
}
