//! The floor: what tasks and timers cost without any runtime.
//!
//! [`RoundRobin`] is a `VecDeque` of boxed futures, which are polled in turn with a waker that does nothing: enough
//! to spawn and to yield. [`Switch`] adds the least that a wake needs, an index in a queue. [`Alarm`] is a sorted
//! list of deadlines, and a thread that sleeps until the next one. None of them has join handles, catches a panic, or
//! serves another thread: that is the purpose.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::tasks::{BATCH, Ring};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A queue of boxed futures. One that is pending goes to the end.
#[derive(Default)]
pub(crate) struct RoundRobin(VecDeque<Task>);

impl RoundRobin {
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.0.push_back(Box::pin(future));
    }

    /// Polls until all futures are ready.
    pub(crate) fn run(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Some(mut task) = self.0.pop_front() {
            if task.as_mut().poll(&mut cx).is_pending() {
                self.0.push_back(task);
            }
        }
    }
}

thread_local! {
    /// The tasks of the floor add their output here, since they have no join handles.
    static SUM: Cell<usize> = const { Cell::new(0) };
}

/// The floor of [`super::tasks::spawn_in_batches`].
pub(crate) fn spawn_in_batches(batches: usize) {
    let mut queue = RoundRobin::default();
    for _ in 0..batches {
        for i in 0..BATCH {
            queue.spawn(async move { SUM.set(SUM.get() + i) });
        }
        queue.run();
    }
    assert_eq!(SUM.take(), batches * BATCH * (BATCH - 1) / 2);
}

/// The floor of [`super::tasks::spawn_one_by_one`].
pub(crate) fn spawn_one_by_one(times: usize) {
    let mut queue = RoundRobin::default();
    for i in 0..times {
        queue.spawn(async move { SUM.set(SUM.get() + i) });
        queue.run();
    }
    assert_eq!(SUM.take(), times * times.saturating_sub(1) / 2);
}

/// The floor of [`super::tasks::yield_all`].
pub(crate) fn yield_all(tasks: usize, times: usize) {
    let mut queue = RoundRobin::default();
    for _ in 0..tasks {
        queue.spawn(async move {
            for _ in 0..times {
                YieldOnce::default().await;
            }
        });
    }
    queue.run();
}

/// A future that is pending once and asks for another poll at once: a yield written by hand.
#[derive(Default)]
pub(crate) struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A list of boxed futures, and a queue of the indices of those that were woken.
#[derive(Default)]
pub(crate) struct Switch(Vec<Option<Task>>);

thread_local! {
    static WOKEN: RefCell<VecDeque<usize>> = const { RefCell::new(VecDeque::new()) };
}

impl Switch {
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        WOKEN.with(|woken| woken.borrow_mut().push_back(self.0.len()));
        self.0.push(Some(Box::pin(future)));
    }

    /// Polls the futures that were woken, in that order, until none is left.
    pub(crate) fn run(&mut self) {
        while let Some(index) = WOKEN.with(|woken| woken.borrow_mut().pop_front()) {
            let waker = index_waker::of(index);
            let Some(task) = &mut self.0[index] else { continue };
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.0[index] = None;
            }
        }
        assert!(self.0.iter().all(Option::is_none), "a task of the floor was never woken");
    }
}

/// A waker that consists of an index: cloning and dropping it costs nothing.
mod index_waker {
    #![expect(unsafe_code, reason = "a RawWaker's functions and the Waker made of it are unsafe")]

    use std::ptr;
    use std::task::{RawWaker, RawWakerVTable, Waker};

    pub(super) fn of(index: usize) -> Waker {
        // SAFETY: the data is an integer that is stored as a pointer and never dereferenced. The functions
        // may run on any thread: there, a wake only queues an index that no loop reads.
        unsafe { Waker::from_raw(raw(ptr::without_provenance(index))) }
    }

    const fn raw(data: *const ()) -> RawWaker {
        RawWaker::new(data, &VTABLE)
    }

    static VTABLE: RawWakerVTable = RawWakerVTable::new(raw_clone, wake, wake, |_| {});

    fn raw_clone(data: *const ()) -> RawWaker {
        raw(data)
    }

    fn wake(data: *const ()) {
        super::WOKEN.with(|woken| woken.borrow_mut().push_back(data.addr()));
    }
}

/// The floor of [`super::tasks::pass_around`].
pub(crate) fn pass_around(len: usize, laps: usize) {
    let ring = Ring::new(len);
    let mut tasks = Switch::default();
    for node in 0..len {
        tasks.spawn(ring.pass_on(node, laps));
    }
    tasks.run();
}

/// The floor of arming and dropping a sleep: the `Box` into which the harness puts each sleep.
pub(crate) fn box_and_drop(times: usize) {
    for _ in 0..times {
        drop(black_box(Box::pin(black_box([0_u64; 4]))));
    }
}

/// The floor of a timeout around a ready future: that future alone.
pub(crate) fn poll_ready(times: usize) {
    let mut cx = Context::from_waker(Waker::noop());
    for i in 0..times {
        let ready = std::pin::pin!(std::future::ready(i));
        assert_eq!(black_box(ready.poll(&mut cx)), Poll::Ready(i));
    }
}

/// The floor of a timeout around a future that yields once: a task that yields.
pub(crate) fn poll_yielding(times: usize) {
    yield_all(1, times);
}

/// Boxed futures that each wait for a deadline, and a thread that sleeps until the next deadline.
#[derive(Default)]
pub(crate) struct Alarm(Vec<(Instant, Task)>);

impl Alarm {
    pub(crate) fn spawn_at(&mut self, deadline: Instant, future: impl Future<Output = ()> + 'static) {
        self.0.push((deadline, Box::pin(future)));
    }

    /// Polls each future once, at its deadline or up to `slack` after it.
    pub(crate) fn run(mut self, slack: Duration) {
        self.0.sort_by_key(|(deadline, _)| *deadline);
        let mut cx = Context::from_waker(Waker::noop());
        let mut now = Instant::now();
        for (deadline, mut task) in self.0 {
            if deadline > now {
                // Close deadlines share one sleep, which is what the slack is for.
                std::thread::sleep((deadline - now).max(slack));
                now = Instant::now();
            }
            assert!(task.as_mut().poll(&mut cx).is_ready(), "a task of the alarm waits for one thing only");
        }
    }
}
