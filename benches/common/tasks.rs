//! Workloads of tasks alone: spawn and join, yield, wake one another. There are no timers and no sockets.
//!
//! Each function runs inside `block_on` of the contender that it is generic over, and does a given number of
//! operations. The caller measures the time. The floor's versions are in [`super::floor`].

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::contender::{Contender, on_one_thread};

/// The number of tasks that are spawned before the first of them is joined.
pub(crate) const BATCH: usize = 1000;

/// Spawns `batches` times [`BATCH`] tasks and joins them all.
pub(crate) async fn spawn_in_batches<C: Contender>(batches: usize) {
    let mut handles = Vec::with_capacity(BATCH);
    let mut sum = 0;
    for _ in 0..batches {
        handles.extend((0..BATCH).map(|i| C::spawn(async move { i })));
        for handle in handles.drain(..) {
            sum += handle.await;
        }
    }
    assert_eq!(sum, batches * BATCH * (BATCH - 1) / 2);
}

/// From a task, spawns one task and joins it, `times` times.
pub(crate) async fn spawn_one_by_one<C: Contender>(times: usize) {
    let sum = C::spawn(async move {
        let mut sum = 0;
        for i in 0..times {
            sum += C::spawn(async move { i }).await;
        }
        sum
    });
    assert_eq!(sum.await, times * times.saturating_sub(1) / 2);
}

/// Lets `tasks` tasks yield `times` times each.
pub(crate) async fn yield_all<C: Contender>(tasks: usize, times: usize) {
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            C::spawn(async move {
                for _ in 0..times {
                    C::yield_now().await;
                }
            })
        })
        .collect();
    for handle in handles {
        handle.await;
    }
}

/// Passes a token `laps` times around a ring of `len` tasks: `len * laps` wakes, one at a time.
pub(crate) async fn pass_around<C: Contender>(len: usize, laps: usize) {
    let ring = Ring::new(len);
    let handles: Vec<_> = (0..len).map(|node| C::spawn(on_one_thread(ring.pass_on(node, laps)))).collect();
    for handle in handles {
        handle.await;
    }
}

/// Places in a circle, and a token that is on one of them.
#[derive(Clone)]
pub(crate) struct Ring(Rc<[Node]>);

/// A place in the circle: `token` is true while the token is here, and `waker` wakes the task that waits for it.
#[derive(Default)]
struct Node {
    token: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Ring {
    /// Makes a ring of `len` places, with the token on the first.
    pub(crate) fn new(len: usize) -> Ring {
        let nodes: Rc<[Node]> = (0..len).map(|_| Node::default()).collect();
        nodes[0].token.set(true);
        Ring(nodes)
    }

    /// Returns the task at `node`, which waits for the token and hands it to the next node, `laps` times.
    pub(crate) fn pass_on(&self, node: usize, laps: usize) -> impl Future<Output = ()> + use<> {
        let ring = Ring::clone(self);
        async move {
            let here = &ring.0[node];
            let next = &ring.0[(node + 1) % ring.0.len()];
            for _ in 0..laps {
                poll_fn(|cx| {
                    if here.token.take() {
                        return Poll::Ready(());
                    }
                    here.waker.set(Some(cx.waker().clone()));
                    Poll::Pending
                })
                .await;
                next.token.set(true);
                if let Some(waker) = next.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}
