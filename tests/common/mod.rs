//! The helpers that the tests of the laws share: a watchdog, traces, guards that count, wakers, and small futures.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test file uses a part")]

pub(crate) mod adversary;
pub(crate) mod attempts;
pub(crate) mod guards;
pub(crate) mod heap;
pub(crate) mod hooked;
pub(crate) mod host;
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) mod interrupted;
pub(crate) mod outside;
pub(crate) mod pool;
pub(crate) mod process;
pub(crate) mod selectors;
pub(crate) mod subjects;
pub(crate) mod temp_path;
mod watchdog;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

pub(crate) use watchdog::{run, watchdog};

/// Returns the number of repetitions of a test that finds a fault only in some of them: fewer where everything is slow.
pub(crate) const fn rounds(release: usize, debug: usize, miri: usize) -> usize {
    if cfg!(miri) {
        miri
    } else if cfg!(debug_assertions) {
        debug
    } else {
        release
    }
}

/// Returns the numbers of that many rounds, or of as many as begin within ten seconds. While the machine is busy with other
/// work, a round in which one thread waits for another that does not rest may take tens of milliseconds.
pub(crate) fn in_time(rounds: usize) -> impl Iterator<Item = usize> {
    let start = Instant::now();
    (0..rounds).take_while(move |_| start.elapsed() < Duration::from_secs(10))
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs a future on a new runtime whose clock is paused, with a watchdog.
pub(crate) fn run_paused<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = watchdog();
    paused().block_on(future)
}

/// Spends what is left of the budget of the task that is being polled.
pub(crate) fn spend_budget() {
    use runtime::task::coop;
    while coop::has_budget_remaining() {
        let mut unit = std::pin::pin!(coop::consume_budget());
        assert!(unit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}

/// Returns a runtime whose clock is paused.
pub(crate) fn paused() -> runtime::Runtime {
    runtime::Builder::new_current_thread().start_paused(true).build().unwrap()
}

/// A list of events, in the order in which they happened.
#[derive(Clone, Default)]
pub(crate) struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    pub(crate) fn push(&self, event: impl Into<String>) {
        self.0.borrow_mut().push(event.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// A guard that adds to the trace when it is dropped.
pub(crate) struct TraceOnDrop(pub(crate) Trace, pub(crate) &'static str);

impl Drop for TraceOnDrop {
    fn drop(&mut self) {
        self.0.push(self.1);
    }
}

/// A future that writes into the trace when it is polled and when it is dropped, and is ready at its `polls`-th poll.
pub(crate) fn traced(trace: &Trace, name: &'static str, polls: usize) -> impl Future<Output = &'static str> {
    let trace = trace.clone();
    let mut left = polls;
    let dropped = TraceOnDrop(trace.clone(), name);
    poll_fn(move |cx| {
        let _own = &dropped;
        trace.push(format!("poll {name}"));
        left -= 1;
        cx.waker().wake_by_ref();
        if left == 0 { Poll::Ready(name) } else { Poll::Pending }
    })
}

/// Polls a future to its end without a runtime.
pub(crate) fn poll_to_end<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

/// Forgets a future. Its memory stays reachable, or LeakSanitizer would report what a test leaks on purpose.
pub(crate) fn forget<F: ?Sized>(future: Pin<Box<F>>) {
    static FORGOTTEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    FORGOTTEN.lock().unwrap().push((&raw const *future).addr());
    std::mem::forget(future);
}

/// A counter that tasks share.
#[derive(Clone, Default, Debug)]
pub(crate) struct Count(Rc<Cell<usize>>);

impl Count {
    pub(crate) fn add(&self) -> usize {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    pub(crate) fn get(&self) -> usize {
        self.0.get()
    }
}

/// A guard that counts its drop.
#[derive(Debug)]
pub(crate) struct CountOnDrop(pub(crate) Count);

impl Drop for CountOnDrop {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// A guard that calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(call: F) -> OnDrop<F> {
        OnDrop(Some(call))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|call| call());
    }
}

/// A waker that counts its wakes.
#[derive(Default)]
pub(crate) struct CountingWaker(AtomicUsize);

impl CountingWaker {
    pub(crate) fn new() -> (Arc<CountingWaker>, Waker) {
        let counting = Arc::new(CountingWaker::default());
        (counting.clone(), counting.into())
    }

    pub(crate) fn wakes(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A place where a future leaves its waker for other tasks.
#[derive(Clone, Default)]
pub(crate) struct WakerSlot(Rc<RefCell<Option<Waker>>>);

impl WakerSlot {
    pub(crate) fn put(&self, cx: &Context<'_>) {
        self.0.replace(Some(cx.waker().clone()));
    }

    /// Returns the waker that was left last.
    pub(crate) fn get(&self) -> Waker {
        self.0.borrow().clone().expect("a waker was left")
    }

    /// Returns a future that leaves its waker in every poll, counts its polls, and is always pending.
    pub(crate) fn wait(&self, polls: &Count) -> impl Future<Output = ()> + 'static {
        let (slot, polls) = (self.clone(), polls.clone());
        poll_fn(move |cx| {
            polls.add();
            slot.put(cx);
            Poll::Pending
        })
    }
}

/// Polls a future once.
pub(crate) async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    futures_lite::future::poll_once(future).await
}

/// Returns the waker of the current task.
pub(crate) async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// Yields to the other tasks `times` times.
pub(crate) async fn yield_times(times: usize) {
    for _ in 0..times {
        runtime::task::yield_now().await;
    }
}

/// Lets the loop turn until a condition holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        runtime::task::yield_now().await;
    }
}

/// Returns the message of a panic.
pub(crate) fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    let message = payload.downcast_ref::<&'static str>().copied();
    message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Panics without the report of the panic hook, for panics that are part of a test.
pub(crate) fn panic_quietly(payload: impl std::any::Any + Send) -> ! {
    std::panic::resume_unwind(Box::new(payload))
}
