//! Loads that other threads make: they spawn on the loop, wake its tasks, abort them, send messages, and connect.
//!
//! The threads share the core on which the loop is not. So many of them are runnable there that the loop is seldom
//! without work. [`AHEAD_AT_MOST`] limits how far they get ahead of the loop, since memory is limited.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use socket2::Socket;

use crate::common::server::listen;
use crate::loads::Running;
use crate::probes::Shared;
use crate::subject::Subject;

/// The operation that the threads repeat on the loop.
#[derive(Clone, Copy)]
pub(crate) enum Flood {
    Spawns,
    Wakes,
    Aborts,
    Messages,
    Accepts,
}

/// The number of threads that spawn, wake, abort or send.
const THREADS: usize = 8;

/// The number of threads that connect.
const CONNECTING_THREADS: usize = 4;

/// The number of tasks that are woken.
const WOKEN_TASKS: usize = 64;

/// The number of spawned tasks that have not run, or of messages that were not received, by which the threads may be ahead
/// of the loop.
const AHEAD_AT_MOST: u64 = 100_000;

/// The maximum number of connections that are made and not accepted yet: less than fit into a listener's queue.
const UNACCEPTED_AT_MOST: u64 = 500;

impl Flood {
    pub(crate) const ALL: [Flood; 5] =
        [Flood::Spawns, Flood::Wakes, Flood::Aborts, Flood::Messages, Flood::Accepts];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Flood::Spawns => "spawns by 8 threads",
            Flood::Wakes => "wakes by 8 threads",
            Flood::Aborts => "aborts by 8 threads",
            Flood::Messages => "messages by 8 threads",
            Flood::Accepts => "accepts of 4 threads' connections",
        }
    }
}

/// Starts the flood in the current runtime.
pub(crate) fn start<C: Subject>(flood: Flood, shared: &Arc<Shared>, running: &mut Running) {
    match flood {
        Flood::Spawns => spawn::<C>(shared, running),
        Flood::Wakes => wake::<C>(shared, running),
        Flood::Aborts => abort::<C>(shared, running),
        Flood::Messages => send::<C>(shared, running),
        Flood::Accepts => connect::<C>(shared, running),
    }
}

/// Starts `count` threads that make steps until the round is over, and get no further ahead than they may.
fn start_threads(
    count: usize,
    ahead_at_most: u64,
    shared: &Arc<Shared>,
    running: &mut Running,
    step: impl FnMut() + Clone + Send + 'static,
) {
    let begun = Arc::new(AtomicU64::new(0));
    for _ in 0..count {
        let (shared, begun, mut step) = (shared.clone(), begun.clone(), step.clone());
        running.start_thread(move || {
            while !shared.is_over() {
                // Each thread may find the same room, so each may make one step more.
                if begun.load(Relaxed) >= shared.steps() + ahead_at_most {
                    thread::yield_now();
                    continue;
                }
                begun.fetch_add(1, Relaxed);
                step();
            }
        });
    }
}

fn spawn<C: Subject>(shared: &Arc<Shared>, running: &mut Running) {
    let (handle, steps) = (C::handle(), shared.clone());
    start_threads(THREADS, AHEAD_AT_MOST, shared, running, move || {
        let steps = steps.clone();
        drop(C::spawn_by(&handle, async move { steps.step() }));
    });
}

fn abort<C: Subject>(shared: &Arc<Shared>, running: &mut Running) {
    let (handle, steps) = (C::handle(), shared.clone());
    start_threads(THREADS, AHEAD_AT_MOST, shared, running, move || {
        let on_drop = StepOnDrop(steps.clone());
        let task = C::spawn_by(&handle, async move {
            let _on_drop = on_drop;
            pending::<()>().await;
        });
        C::abort(&task);
    });
}

/// A guard that counts a step when the future of an aborted task is dropped.
struct StepOnDrop(Arc<Shared>);

impl Drop for StepOnDrop {
    fn drop(&mut self) {
        self.0.step();
    }
}

/// Starts threads that wake tasks which do nothing, each time all of them.
fn wake<C: Subject>(shared: &Arc<Shared>, running: &mut Running) {
    let wakers = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..WOKEN_TASKS {
        let (wakers, shared) = (wakers.clone(), shared.clone());
        let mut is_first = true;
        drop(C::spawn(poll_fn(move |cx| {
            if std::mem::take(&mut is_first) {
                lock(&wakers).push(cx.waker().clone());
            }
            shared.step();
            Poll::<()>::Pending
        })));
    }
    // A task that is woken again before it runs costs a thread a call and the loop nothing, so no limit is needed.
    let mut mine: Vec<Waker> = Vec::new();
    start_threads(THREADS, u64::MAX / 2, shared, running, move || {
        if mine.len() < WOKEN_TASKS {
            mine = lock(&wakers).clone();
        }
        mine.iter().for_each(Waker::wake_by_ref);
    });
}

fn send<C: Subject>(shared: &Arc<Shared>, running: &mut Running) {
    let channel = Arc::new(Channel::default());
    drop(C::spawn({
        let (channel, shared) = (channel.clone(), shared.clone());
        async move {
            loop {
                channel.receive().await;
                shared.step();
                // The task spends budget, as with the channels of libraries that take part in it.
                C::consume_budget().await;
            }
        }
    }));
    start_threads(THREADS, AHEAD_AT_MOST, shared, running, move || channel.send(0));
}

/// A queue from any thread to one task.
#[derive(Default)]
struct Channel(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    messages: VecDeque<u64>,
    receiver: Option<Waker>,
}

impl Channel {
    fn send(&self, message: u64) {
        let mut queue = lock(&self.0);
        queue.messages.push_back(message);
        let receiver = queue.receiver.take();
        drop(queue);
        receiver.into_iter().for_each(Waker::wake);
    }

    async fn receive(&self) -> u64 {
        poll_fn(|cx| {
            let mut queue = lock(&self.0);
            if let Some(message) = queue.messages.pop_front() {
                return Poll::Ready(message);
            }
            queue.receiver = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

fn connect<C: Subject>(shared: &Arc<Shared>, running: &mut Running) {
    let listener = listen().expect("listen on loopback");
    let port = listener.local_addr().expect("a bound listener").port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    accept::<C>(listener, shared);
    start_threads(CONNECTING_THREADS, UNACCEPTED_AT_MOST, shared, running, move || {
        let stream = TcpStream::connect(address).expect("there is room in the listener's queue");
        // The connection is closed by a reset, which leaves no port in TIME_WAIT.
        Socket::from(stream).set_linger(Some(Duration::ZERO)).expect("close by a reset");
    });
}

fn accept<C: Subject>(listener: TcpListener, shared: &Arc<Shared>) {
    drop(C::spawn(C::accept_all(listener, shared.clone())));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
