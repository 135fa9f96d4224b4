//! Hostile wakers: those of `common::adversary`, and wakers that own actions, which they perform when they are woken,
//! or drop when they are dropped.

use super::checks::lock;
use super::episode::Side;
use super::random::Random;
use crate::common::adversary::{Adversary, DEEDS, FUNCTIONS};
use runtime::io::AsyncReadExt;
use runtime::net::UnixStream;
use runtime::time::sleep;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Makes a waker that is not the runtime's own. It must be called within a runtime.
pub(crate) fn hostile(side: &Side, random: &mut Random) -> Waker {
    if random.chance(40) {
        return action_waker(side, random);
    }
    let (function, deed) = (random.pick(&FUNCTIONS), random.pick(&DEEDS));
    let adversary = Adversary::new(function, deed);
    side.checks.watch(&adversary, format!("{deed:?} on {function:?}"));
    adversary.waker()
}

/// Polls a future once with `waker`.
pub(crate) fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// An action. It is called once, or dropped.
type Action = Box<dyn FnOnce() + Send>;

/// Performs its actions when it is first woken. If it never is, the actions are dropped with the last waker, with all
/// that they own.
struct ActionWaker(Mutex<Vec<Action>>);

impl Wake for ActionWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let actions = std::mem::take(&mut *lock(&self.0));
        actions.into_iter().for_each(|action| action());
    }
}

fn action_waker(side: &Side, random: &mut Random) -> Waker {
    let count = random.within(1..4);
    let actions = (0..count).map(|_| action(side, random)).collect();
    Waker::from(Arc::new(ActionWaker(Mutex::new(actions))))
}

fn action(side: &Side, random: &mut Random) -> Action {
    let guard = side.checks.guard();
    match random.within(0..7) {
        // This action drops a stream that a task waits for.
        0 => {
            let (one, mut other) = UnixStream::pair().expect("make a pair of sockets");
            assert!(poll_with(&mut other.read(&mut [0]), Waker::noop()).is_pending());
            Box::new(move || drop((guard, one, other)))
        }
        // This one drops a timer that is armed.
        1 => {
            let mut sleep = sleep(HOUR);
            assert!(poll_with(&mut sleep, Waker::noop()).is_pending());
            Box::new(move || drop((guard, sleep)))
        }
        // This one aborts a task, of this thread or of the other.
        2 => {
            let task = runtime::spawn(pending_with(side));
            let abort = task.abort_handle();
            Box::new(move || {
                abort.abort();
                drop((guard, task));
            })
        }
        3 => {
            let task = side.there.spawn(pending_with(side));
            Box::new(move || {
                task.abort();
                drop((guard, task));
            })
        }
        // This one drops a join handle that a task waits for, unless the other runtime has been dropped.
        4 => {
            let mut task = side.there.spawn(pending_with(side));
            drop(poll_with(&mut task, Waker::noop()));
            task.abort();
            Box::new(move || drop((guard, task)))
        }
        // This one spawns, on whichever thread it is called.
        5 => {
            let side = side.clone();
            Box::new(move || drop((side.there.spawn(async move { drop(guard) }), side.here.spawn(async {}))))
        }
        // This one spawns, if it is called within a runtime.
        _ => Box::new(move || {
            if runtime::Handle::try_current().is_ok() {
                drop(runtime::spawn(async move { drop(guard) }));
            }
        }),
    }
}

fn pending_with(side: &Side) -> impl Future<Output = ()> + Send + use<> {
    let guard = side.checks.guard();
    async move {
        let _guard = guard;
        pending().await
    }
}
