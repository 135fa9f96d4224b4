//! Between two calls of `block_on`, and on other threads: what belongs to a runtime is moved, reset and dropped while
//! its loop does not turn. It is given back at once on the runtime's own thread, and in bounded room elsewhere.
#![cfg(not(miri))] // Starts processes, and asks malloc.

mod common;

use common::heap::{Counting, live_bytes, live_bytes_of_process};
use common::process::in_child;
use common::{CountingWaker, OnDrop, poll_once, until, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpStream, UnixStream};
use runtime::task::{try_id, yield_now};
use runtime::time::{Instant, Sleep, sleep, timeout};
use runtime::{Runtime, spawn};
use std::future::poll_fn;
use std::io::{self, ErrorKind, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

#[global_allocator]
static HEAP: Counting = Counting;

const HOUR: Duration = Duration::from_secs(3600);

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Returns two ends of a connection: the runtime's, and std's.
fn half_std_pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (TcpStream::from_std(listener.accept().unwrap().0).unwrap(), other)
}

fn two_runtimes() -> [Runtime; 2] {
    [(); 2].map(|()| Runtime::new().unwrap())
}

const MOVES: usize = 100;

/// Two threads with a runtime each hand a value back and forth. Each thread uses the value in a call of `block_on` of
/// its own.
fn hand_to_and_fro<T: Send + 'static>(thing: T, moves: usize, each: fn(&Runtime, &mut T)) -> T {
    let (to_other, from_one): (Sender<T>, Receiver<T>) = channel();
    let (to_one, from_other): (Sender<T>, Receiver<T>) = channel();
    let other = thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        for mut thing in from_one {
            each(&runtime, &mut thing);
            to_one.send(thing).unwrap();
        }
    });
    let (runtime, mut thing) = (Runtime::new().unwrap(), thing);
    for _ in 0..moves / 2 {
        each(&runtime, &mut thing);
        to_other.send(thing).unwrap();
        thing = from_other.recv().unwrap();
    }
    drop(to_other);
    other.join().unwrap();
    thing
}

async fn stay_busy() {
    loop {
        yield_now().await;
    }
}

/// Does what [`hand_to_and_fro`] does, with tasks that exist all the time, beside `others` that keep each loop busy.
fn hand_to_and_fro_in_tasks<T: Send + 'static>(
    thing: T,
    moves: usize,
    others: usize,
    each: impl AsyncFn(&mut T) + Copy + Send + 'static,
) {
    /// A place for one value, and the waker of the task that waits for it.
    type Place<T> = Arc<Mutex<(Option<T>, Option<Waker>)>>;
    async fn take<T>(place: &Place<T>) -> T {
        poll_fn(|cx| {
            let mut place = place.lock().unwrap();
            place.1 = Some(cx.waker().clone());
            place.0.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
    fn put<T>(place: &Place<T>, thing: T) {
        let waker = {
            let mut place = place.lock().unwrap();
            place.0 = Some(thing);
            place.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
    let places: [Place<T>; 2] = [(); 2].map(|()| Arc::default());
    put(&places[0], thing);
    let threads = [0, 1].map(|own| {
        let places = places.clone();
        thread::spawn(move || {
            runtime::block_on(async {
                for _ in 0..others {
                    spawn(stay_busy());
                }
                for _ in 0..moves / 2 {
                    let mut thing = take(&places[own]).await;
                    each(&mut thing).await;
                    put(&places[1 - own], thing);
                }
            });
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Reads until the end of the stream, on a thread of its own.
fn drain(mut other: std::net::TcpStream) -> thread::JoinHandle<usize> {
    thread::spawn(move || io::copy(&mut other, &mut io::sink()).unwrap() as usize)
}

const LARGE: usize = 1 << 20;

async fn write_much(stream: &mut TcpStream) {
    stream.write_all(&vec![7; LARGE]).await.unwrap();
}

#[test]
fn a_stream_is_written_to_by_two_runtimes_in_turn() {
    let _watchdog = watchdog();
    let (mut stream, other) = half_std_pair();
    let drained = drain(other);
    let runtimes = two_runtimes();
    for turn in 0..MOVES {
        runtimes[turn % 2].block_on(write_much(&mut stream));
    }
    drop(stream);
    assert_eq!(drained.join().unwrap(), MOVES * LARGE);
}

#[test]
fn a_stream_is_written_to_by_two_threads_in_turn() {
    let _watchdog = watchdog();
    let (stream, other) = half_std_pair();
    let drained = drain(other);
    drop(hand_to_and_fro(stream, MOVES, |runtime, stream| runtime.block_on(write_much(stream))));
    assert_eq!(drained.join().unwrap(), MOVES * LARGE);
}

/// Waits with the waker that all reads share, and with one of its own. No data comes.
async fn wait_in_vain(stream: &mut TcpStream, limit: Duration) {
    assert!(timeout(limit, stream.read(&mut [0; 8])).await.is_err());
    assert!(timeout(limit, stream.readable()).await.is_err());
}

/// Waits for the shortest possible time: the loop turns once.
async fn wait_for_a_turn(stream: &mut TcpStream) {
    assert!(timeout(Duration::from_nanos(1), stream.read(&mut [0; 8])).await.is_err());
}

/// No data comes: each wait is dropped, and leaves its waker behind. However soon the next wait begins, the loss of
/// the stream must not end it.
#[test]
fn an_idle_stream_is_handed_to_and_fro() {
    let _watchdog = watchdog();
    let (mut stream, mut other) = half_std_pair();
    let runtimes = two_runtimes();
    for turn in 0..MOVES {
        runtimes[turn % 2].block_on(wait_in_vain(&mut stream, Duration::from_micros(turn as u64)));
    }
    stream = hand_to_and_fro(stream, MOVES, |runtime, stream| {
        runtime.block_on(wait_in_vain(stream, Duration::from_millis(1)));
    });
    for _ in 0..10 {
        stream = hand_to_and_fro(stream, MOVES, |runtime, stream| runtime.block_on(wait_for_a_turn(stream)));
    }
    other.write_all(b"hello").unwrap();
    assert_eq!(runtimes[0].block_on(stream.read(&mut [0; 8])).unwrap(), 5);
}

#[test]
fn an_idle_stream_is_handed_to_and_fro_by_tasks() {
    let _watchdog = watchdog();
    for (others, rounds) in [(0, 20), (1, 10), (30, 2)] {
        let (stream, _other) = half_std_pair();
        hand_to_and_fro_in_tasks(stream, rounds * MOVES, others, async |stream: &mut TcpStream| {
            wait_for_a_turn(stream).await
        });
    }
}

type Wait = fn(&TcpStream) -> Pin<Box<dyn Future<Output = io::Result<()>> + '_>>;

/// Both tasks wait until the end: one of them gets an error.
#[test]
fn two_runtimes_that_wait_for_one_stream_at_once_are_told() {
    let _watchdog = watchdog();
    let reads: [Wait; 2] = [
        |mut stream| Box::pin(async move { AsyncReadExt::read(&mut stream, &mut [0; 8]).await.map(drop) }),
        |stream| Box::pin(stream.readable()),
    ];
    for (one, two) in [(0, 0), (0, 1), (1, 1)] {
        let (stream, mut other) = half_std_pair();
        let stream = Arc::new(stream);
        let (tell, told) = channel();
        let threads = [one, two].map(|index| {
            let (stream, tell, read) = (stream.clone(), tell.clone(), reads[index]);
            thread::spawn(move || {
                let read = runtime::block_on(async {
                    // Other tasks delay this one.
                    let busy = spawn(stay_busy());
                    let read = read(&stream).await;
                    busy.abort();
                    read
                });
                tell.send(read.map_err(|error| error.kind())).unwrap();
            })
        });
        assert_eq!(told.recv().unwrap(), Err(ErrorKind::ResourceBusy));
        other.write_all(b"hello").unwrap();
        assert_eq!(told.recv().unwrap(), Ok(()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// A sleep that one task waits for, and that others can reset.
#[derive(Clone)]
struct Shared(Arc<Mutex<Sleep>>);

impl Shared {
    fn new(duration: Duration) -> Shared {
        Shared(Arc::new(Mutex::new(sleep(duration))))
    }

    fn wait(&self) -> impl Future<Output = Instant> + Send + use<> {
        let shared = self.clone();
        poll_fn(move |cx| Pin::new(&mut *shared.0.lock().unwrap()).poll(cx).map(|()| Instant::now()))
    }

    fn reset(&self, duration: Duration) -> Instant {
        let deadline = Instant::now() + duration;
        Pin::new(&mut *self.0.lock().unwrap()).reset(deadline);
        deadline
    }
}

#[test]
fn a_sleep_that_is_reset_between_two_calls_wakes_its_task_then() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    for duration in [Duration::ZERO, Duration::from_millis(3)] {
        let shared = Shared::new(HOUR);
        let task = runtime.spawn(shared.wait());
        runtime.block_on(yield_now());
        let deadline = shared.reset(duration);
        assert!(runtime.block_on(task).unwrap() >= deadline);
    }
    // The same with a later time.
    let shared = Shared::new(Duration::from_millis(1));
    let task = runtime.spawn(shared.wait());
    runtime.block_on(yield_now());
    let deadline = shared.reset(Duration::from_millis(5));
    assert!(runtime.block_on(task).unwrap() >= deadline);
}

/// The sleep is reset while the loop waits, while it is busy, and between two calls of `block_on`.
#[test]
fn a_sleep_that_is_reset_on_another_thread_wakes_its_task_then() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    for is_busy in [false, true] {
        for duration in [Duration::ZERO, Duration::from_millis(3)] {
            let shared = Shared::new(HOUR);
            let task = runtime.spawn(shared.wait());
            runtime.block_on(yield_now());
            let resets = {
                let shared = shared.clone();
                move || shared.reset(duration)
            };
            let deadline = runtime.block_on(async {
                if is_busy {
                    drop(spawn(async {
                        loop {
                            yield_now().await;
                        }
                    }));
                }
                let resetting = thread::spawn(resets);
                let woken = task.await.unwrap();
                let deadline = resetting.join().unwrap();
                assert!(woken >= deadline);
                deadline
            });
            assert!(Instant::now() >= deadline);
        }
    }
    let shared = Shared::new(HOUR);
    let task = runtime.spawn(shared.wait());
    runtime.block_on(yield_now());
    thread::spawn(move || shared.reset(Duration::ZERO)).join().unwrap();
    runtime.block_on(task).unwrap();
}

/// The sleep is armed in the runtime that polls it next.
#[test]
fn a_sleep_goes_from_runtime_to_runtime() {
    let _watchdog = watchdog();
    let runtimes = two_runtimes();
    let mut armed = sleep(HOUR);
    for turn in 0..10 {
        assert!(runtimes[turn % 2].block_on(poll_once(&mut armed)).is_none());
    }
    armed = hand_to_and_fro(armed, MOVES, |runtime, armed| {
        assert!(runtime.block_on(poll_once(armed)).is_none());
    });
    Pin::new(&mut armed).reset(Instant::now());
    runtimes[0].block_on(&mut armed);
    runtimes[1].block_on(&mut armed);
}

/// Each wait has a waiter of its own, and is dropped while the loop does not turn.
#[test]
fn waits_that_are_given_up_between_two_calls_leave_nothing() {
    const WAITS: usize = 60_000;
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let (stream, mut other) = half_std_pair();
        let (counting, waker) = CountingWaker::new();
        runtime.block_on(async { assert!(poll_once(stream.readable()).await.is_none()) });
        let before = live_bytes();
        let mut most = 0;
        for _ in 0..WAITS {
            let mut waiting = Box::pin(stream.readable());
            runtime.block_on(async {
                assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            });
            drop(waiting);
            most = most.max(live_bytes() - before);
        }
        assert!(most <= 4096, "{most} bytes at most");
        assert_eq!(Arc::strong_count(&counting), 2, "no waker is left");
        other.write_all(b"x").unwrap();
        runtime.block_on(stream.readable()).unwrap();
        assert_eq!(counting.wakes(), 0);
    });
}

/// Armed timers are dropped where their driver is not current.
#[test]
fn sleeps_that_are_dropped_between_two_calls_or_elsewhere_leave_no_timers() {
    const AT_ONCE: u64 = 1000;
    fn armed(runtime: &Runtime) -> Vec<Sleep> {
        runtime.block_on(async {
            let mut sleeps: Vec<_> = (0..AT_ONCE).map(|n| sleep(HOUR + Duration::from_nanos(n))).collect();
            for sleep in &mut sleeps {
                assert!(Pin::new(sleep).poll(&mut noop()).is_pending());
            }
            sleeps
        })
    }
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        drop(armed(&runtime));
        let before = live_bytes();
        for _ in 0..1000 {
            drop(armed(&runtime));
        }
        let left = live_bytes() - before;
        assert!(left <= 4096, "{left} bytes are left of a million timers");
        let before = live_bytes_of_process();
        for _ in 0..10 {
            let sleeps = armed(&runtime);
            thread::spawn(move || drop(sleeps)).join().unwrap();
        }
        // The loop has not received the messages about these yet.
        runtime.block_on(until(|| live_bytes_of_process() - before <= 4096));
        let turns = runtime.metrics().turns;
        runtime.block_on(sleep(Duration::from_millis(1)));
        let left = live_bytes_of_process() - before;
        assert!(left <= 4096, "{left} bytes are left of ten thousand timers");
        assert!(runtime.metrics().turns - turns < 10);
    });
}

#[test]
fn sockets_that_are_dropped_between_two_calls_free_their_places_at_once() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    for _ in 0..10 {
        let pairs: Vec<_> = runtime.block_on(async {
            let pairs: Vec<_> = (0..100).map(|_| UnixStream::pair().unwrap()).collect();
            for (one, other) in &pairs {
                assert!(one.poll_read_ready(&mut noop()).is_pending());
                assert!(poll_once(other.readable()).await.is_none());
            }
            pairs
        });
        assert_eq!(runtime.metrics().io_sources, 200);
        drop(pairs);
        assert_eq!(runtime.metrics().io_sources, 0);
    }
}

#[test]
fn sockets_that_are_dropped_on_another_thread_between_two_calls_free_their_places() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    for _ in 0..10 {
        let (one, other) = runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            assert!(one.poll_read_ready(&mut noop()).is_pending());
            assert!(poll_once(other.readable()).await.is_none());
            (one, other)
        });
        thread::spawn(move || drop((one, other))).join().unwrap();
        runtime.block_on(until(|| runtime.metrics().io_sources == 0));
    }
}

/// Outputs that no handle takes are dropped outside of any task, whichever task ran last.
#[test]
fn what_is_dropped_for_another_thread_is_dropped_outside_of_any_task() {
    let _watchdog = watchdog();
    runtime::block_on(async {
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..20 {
            let is_over = is_over.clone();
            drop(spawn(async move {
                while !is_over.load(SeqCst) {
                    yield_now().await;
                }
            }));
        }
        for _ in 0..50 {
            let (tell, told) = channel();
            let task = spawn(async move { OnDrop::new(move || tell.send(try_id()).unwrap()) });
            until(|| task.is_finished()).await;
            let other = thread::spawn(move || drop(task));
            let mut seen = None;
            until(|| {
                seen = seen.or(told.try_recv().ok());
                seen.is_some()
            })
            .await;
            assert_eq!(seen, Some(None));
            other.join().unwrap();
        }
        is_over.store(true, SeqCst);
        // The same holds for the output of a task whose handle was dropped before.
        let (tell, told) = channel();
        drop(spawn(async move { OnDrop::new(move || tell.send(try_id()).unwrap()) }));
        until(|| told.try_recv().inspect(|seen| assert_eq!(*seen, None)).is_ok()).await;
    });
}
