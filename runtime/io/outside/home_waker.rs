//! The wakers that a home keeps for threads without a runtime: in its reactor until there is an event, and in its wheel
//! until the timeout has passed.
//!
//! Such a waker is made together with the request to the home. However it ends, the waiters learn of it: it is woken, or
//! it is dropped with the request, with its source, or with the wheel.

use super::Shared;
use crate::runtime::io::reactor::Direction;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Wake;

pub(super) struct HomeWaker {
    shared: Arc<Shared>,
    direction: Direction,
    purpose: Purpose,
    is_woken: AtomicBool,
}

#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// The waker of the watch with this number.
    Watch(u64),
    /// The alarm of the wait with this number.
    Alarm(u64),
}

impl HomeWaker {
    pub(super) fn new(shared: &Arc<Shared>, direction: Direction, purpose: Purpose) -> Arc<HomeWaker> {
        Arc::new(HomeWaker { shared: shared.clone(), direction, purpose, is_woken: AtomicBool::new(false) })
    }
}

impl Wake for HomeWaker {
    fn wake(self: Arc<Self>) {
        // The drop does the rest. The reactor and the wheel have the only reference.
        self.is_woken.store(true, Relaxed);
    }
}

impl Drop for HomeWaker {
    fn drop(&mut self) {
        let (purpose, is_woken) = (self.purpose, *self.is_woken.get_mut());
        self.shared.change(self.direction, &mut |side| match purpose {
            Purpose::Watch(number) => side.watch.end(number),
            Purpose::Alarm(wait) => side.deadline.end_alarm(wait, is_woken),
        });
    }
}
