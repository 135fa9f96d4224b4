//! The error of a write, from the time when a thread of the pool meets it until it has been returned.
//!
//! The kernel reports some errors of the disk only once, by fsync(2). So an error must not end with the future of an
//! operation that is dropped: the next operation that reports errors of writes returns it.

use crate::runtime::mutex::Mutex;
use std::io;
use std::sync::Arc;

/// The error that nothing has returned yet. Clones refer to the same one.
#[derive(Clone, Default)]
pub(super) struct WriteError(Arc<Mutex<Option<io::Error>>>);

impl WriteError {
    /// Leaves an error, unless there is an earlier one.
    pub(super) fn put(&self, error: io::Error) {
        if let Some(mut state) = self.0.lock() {
            state.get_or_insert(error);
        }
    }

    /// Returns the error, once.
    pub(super) fn take(&self) -> io::Result<()> {
        self.0.lock().and_then(|mut state| state.take()).map_or(Ok(()), Err)
    }
}

/// An error on its way to the future of an operation. If it does not arrive, it is put back.
pub(super) struct Undelivered {
    error: Option<io::Error>,
    sender: WriteError,
}

impl Undelivered {
    pub(super) fn new(error: io::Error, sender: &WriteError) -> Undelivered {
        Undelivered { error: Some(error), sender: sender.clone() }
    }

    pub(super) fn deliver(mut self) -> io::Error {
        self.error.take().expect("it is delivered once")
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        if let Some(error) = self.error.take() {
            self.sender.put(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_returned_once_even_if_a_future_is_dropped() {
        let error = WriteError::default();
        error.take().unwrap();
        error.put(io::ErrorKind::StorageFull.into());
        drop(Undelivered::new(error.take().unwrap_err(), &error));
        let arrives = Undelivered::new(error.take().unwrap_err(), &error);
        assert_eq!(arrives.deliver().kind(), io::ErrorKind::StorageFull);
        error.take().unwrap();
        error.put(io::ErrorKind::StorageFull.into());
        error.put(io::ErrorKind::BrokenPipe.into());
        assert_eq!(error.take().unwrap_err().kind(), io::ErrorKind::StorageFull, "the first one");
    }
}
