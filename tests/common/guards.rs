//! Values that must stay on one thread, and tell if they do not.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

/// Where the guards were dropped.
pub(crate) type Drops = Arc<Mutex<Vec<ThreadId>>>;

/// Is not `Send`, and tells on which thread it was dropped.
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
