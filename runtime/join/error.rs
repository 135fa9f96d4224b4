//! The error of a join handle: why its task has no output.

use crate::runtime::unwind::{self, Contained};
use crate::task::Id;
use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The error returned by a join handle whose task was aborted, or panicked, before it had an output.
///
/// Its messages are worded like those of tokio's `JoinError`.
///
/// In a program that is compiled with `panic = "abort"` there is no error for a panic: the first panic in any task
/// ends the process.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(std::future::pending::<()>());
/// task.abort();
/// assert!(task.await.unwrap_err().is_cancelled());
///
/// let error = runtime::spawn(async { panic!("oh") }).await.unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "oh");
/// # });
/// ```
pub struct JoinError {
    id: Id,
    kind: JoinErrorKind,
}

enum JoinErrorKind {
    Cancelled,
    /// The mutex is there only to make the error `Sync`, as errors are expected to be.
    Panic(Mutex<Box<dyn Any + Send>>),
    NoThread(io::Error),
}

impl JoinError {
    pub(crate) fn cancelled(id: Id) -> JoinError {
        JoinError { id, kind: JoinErrorKind::Cancelled }
    }

    pub(crate) fn panic(id: Id, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError { id, kind: JoinErrorKind::Panic(Mutex::new(payload)) }
    }

    pub(crate) fn no_thread(id: Id, error: io::Error) -> JoinError {
        JoinError { id, kind: JoinErrorKind::NoThread(error) }
    }

    /// Returns `true` if the task was aborted, was dropped with its runtime, or was never started because no thread
    /// could be started for it.
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// Returns `true` if the task panicked, either in a poll or while it was dropped.
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, JoinErrorKind::Panic(_))
    }

    /// Returns the payload of the task's panic, which can be passed to [`resume_unwind`](std::panic::resume_unwind).
    ///
    /// # Panics
    ///
    /// Panics if the task did not panic.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("{error}: ask is_panic before into_panic"),
        }
    }

    /// Returns the payload of the task's panic.
    ///
    /// # Errors
    ///
    /// Returns the error itself if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.kind {
            JoinErrorKind::Panic(payload) => Ok(payload.into_inner().unwrap_or_else(PoisonError::into_inner)),
            kind => Err(JoinError { id: self.id, kind }),
        }
    }

    /// Returns the id of the task.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Returns `true` if the payload of the panic has this type.
    pub(crate) fn has_payload<T: 'static>(&self) -> bool {
        let JoinErrorKind::Panic(payload) = &self.kind else { return false };
        payload.lock().unwrap_or_else(PoisonError::into_inner).is::<T>()
    }

    /// Returns the message of the panic, if the payload is a string.
    fn message(&self) -> Option<String> {
        let JoinErrorKind::Panic(payload) = &self.kind else { return None };
        let payload = payload.lock().unwrap_or_else(PoisonError::into_inner);
        let message = payload.downcast_ref::<&'static str>().map(|message| (*message).to_owned());
        message.or_else(|| payload.downcast_ref::<String>().cloned())
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, self.message()) {
            (JoinErrorKind::Cancelled, _) => write!(f, "task {} was cancelled", self.id),
            (JoinErrorKind::NoThread(error), _) => {
                write!(f, "task {} got no thread to run on: {error}", self.id)
            }
            (JoinErrorKind::Panic(_), Some(message)) => {
                write!(f, "task {} panicked with message {message:?}", self.id)
            }
            (JoinErrorKind::Panic(_), None) => write!(f, "task {} panicked", self.id),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, self.message()) {
            (JoinErrorKind::Cancelled, _) => write!(f, "JoinError::Cancelled({:?})", self.id),
            (JoinErrorKind::NoThread(error), _) => write!(f, "JoinError::NoThread({:?}, {error:?})", self.id),
            (JoinErrorKind::Panic(_), Some(message)) => {
                write!(f, "JoinError::Panic({:?}, {message:?}, ...)", self.id)
            }
            (JoinErrorKind::Panic(_), None) => write!(f, "JoinError::Panic({:?}, ...)", self.id),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            JoinErrorKind::NoThread(error) => Some(error),
            _ => None,
        }
    }
}

/// A function of the user's that is called with each panic that no join handle can return any more.
#[derive(Clone)]
pub(crate) struct UnreadHook(Arc<dyn Fn(&JoinError) + Send + Sync>);

impl UnreadHook {
    pub(crate) fn new(f: impl Fn(&JoinError) + Send + Sync + 'static) -> UnreadHook {
        // The last holder drops it, so a panic of that drop is caught.
        let f = Contained::new(f);
        UnreadHook(Arc::new(move |error| f.get()(error)))
    }
}

impl fmt::Debug for UnreadHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnreadHook")
    }
}

/// Drops an error that nobody has read. If it is a panic, the hook is called first. This runs user code.
pub(crate) fn drop_unread(error: JoinError, hook: Option<&UnreadHook>) {
    if let Some(hook) = hook.filter(|_| error.is_panic()) {
        unwind::contain(|| (hook.0)(&error));
    }
    unwind::drop(error);
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        io::Error::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::JoinError;
    use std::any::Any;

    #[test]
    fn it_goes_where_errors_go() {
        fn boxed(error: JoinError) -> Box<dyn std::error::Error + Send + Sync> {
            error.into()
        }
        let id = crate::task::Id::new(1, 1);
        let error = boxed(JoinError::panic(id, Box::new("oh")));
        assert_eq!(error.to_string(), "task 65537 panicked with message \"oh\"");
        assert_eq!(boxed(JoinError::panic(id, Box::new(7))).to_string(), "task 65537 panicked");
    }

    /// Users search their logs for these words.
    #[test]
    fn it_says_what_tokios_does() {
        let id = crate::task::Id::new(1, 3);
        let display = |error: JoinError| (error.to_string(), format!("{error:?}"));
        let (said, debug) = display(JoinError::cancelled(id));
        assert_eq!((&*said, &*debug), ("task 196609 was cancelled", "JoinError::Cancelled(Id(196609))"));
        for payload in [Box::new("a \"word\"") as Box<dyn Any + Send>, Box::new(String::from("a \"word\""))] {
            let (said, debug) = display(JoinError::panic(id, payload));
            assert_eq!(said, r#"task 196609 panicked with message "a \"word\"""#);
            assert_eq!(debug, r#"JoinError::Panic(Id(196609), "a \"word\"", ...)"#);
        }
        let (said, debug) = display(JoinError::panic(id, Box::new(7)));
        assert_eq!((&*said, &*debug), ("task 196609 panicked", "JoinError::Panic(Id(196609), ...)"));
    }
}
