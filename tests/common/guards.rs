//! Values that must stay on one thread, and record the threads on which they are dropped.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

/// The threads on which the guards were dropped.
pub(crate) type Drops = Arc<Mutex<Vec<ThreadId>>>;

/// A value that is not `Send`, and records on which thread it was dropped.
pub(crate) struct NotSend(Drops, PhantomData<*const ()>);

impl NotSend {
    pub(crate) fn new(drops: &Drops) -> NotSend {
        NotSend(drops.clone(), PhantomData)
    }
}

impl Drop for NotSend {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}
