//! The memory that tasks, timers and streams take, including malloc's overhead, and that it is given back.

mod common;

use common::heap::{Counting, allocations, live_bytes};
use common::process::in_child;
use common::{own_waker, paused, until, yield_times};
use runtime::io::AsyncReadExt;
use runtime::net::TcpListener;
use runtime::task::{JoinHandle, yield_now};
use runtime::time::{Sleep, sleep};
use runtime::{Runtime, block_on, spawn};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[global_allocator]
static HEAP: Counting = Counting;

/// This number fills the tables exactly, which grow by doubling.
const MANY: usize = 1 << 14;

fn each(bytes: isize, count: usize) -> isize {
    (bytes + count as isize - 1) / count as isize
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and asks malloc")]
fn an_idle_task_takes_at_most_96_bytes_beyond_its_future() {
    fn measure<F: Future<Output = ()> + 'static>(idle: fn() -> F) {
        block_on(async {
            let size = size_of_val(&idle()) as isize;
            let before = live_bytes();
            for _ in 0..MANY {
                drop(spawn(idle()));
            }
            yield_now().await;
            let taken = each(live_bytes() - before, MANY) - size;
            eprintln!("an idle task takes {taken} bytes beyond a future of {size}");
            assert!(taken <= 96, "{taken} bytes beyond a future of {size}");
        });
    }
    in_child(|| {
        measure(pending::<()>);
        measure(holding::<64>);
        measure(holding::<1000>);
    });
}

async fn holding<const SIZE: usize>() {
    let bytes = [1u8; SIZE];
    pending::<()>().await;
    drop(Box::new(bytes));
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and asks malloc")]
fn an_armed_timer_takes_at_most_72_bytes() {
    in_child(|| {
        block_on(async {
            let mut cx = Context::from_waker(Waker::noop());
            let mut sleeps: Vec<Sleep> =
                (0..MANY as u64).map(|n| sleep(Duration::from_secs(60 + n))).collect();
            let before = live_bytes();
            for sleep in &mut sleeps {
                assert!(Pin::new(sleep).poll(&mut cx).is_pending());
            }
            let taken = each(live_bytes() - before, MANY) + size_of::<Sleep>() as isize;
            eprintln!("an armed timer takes {taken} bytes");
            // In debug builds each one also stores where it was made.
            let origin = if cfg!(debug_assertions) { 24 } else { 0 };
            assert!(taken <= 72 + origin, "{taken} bytes");
        });
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and asks malloc")]
fn an_idle_connection_takes_at_most_450_bytes_beyond_its_buffer() {
    const CONNECTIONS: usize = 128;
    const BUFFER: usize = 4096;
    in_child(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut peers = Vec::with_capacity(2 * CONNECTIONS);
            let mut measured = 0;
            // The first round fills the tables, so that the second finds them just full.
            for _ in 0..2 {
                let before = live_bytes();
                for _ in 0..CONNECTIONS {
                    peers.push(std::net::TcpStream::connect(address).unwrap());
                    let (mut stream, _) = listener.accept().await.unwrap();
                    drop(spawn(async move {
                        let mut buffer = vec![0; BUFFER];
                        drop(stream.read(&mut buffer).await);
                    }));
                }
                yield_now().await;
                measured = each(live_bytes() - before, CONNECTIONS) - BUFFER as isize;
            }
            eprintln!("an idle connection takes {measured} bytes beyond its buffer");
            assert!(measured <= 450, "{measured} bytes");
        });
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and asks malloc")]
fn a_task_that_ends_gives_its_memory_back_whoever_keeps_its_waker() {
    const TASKS: usize = 1024;
    const SIZE: usize = 64 << 10;
    async fn large(wakers: Rc<Cell<Vec<Waker>>>, end: &'static str) -> usize {
        let bytes = [1u8; SIZE];
        let mut kept = wakers.take();
        kept.push(own_waker().await);
        wakers.set(kept);
        yield_now().await;
        match end {
            "panicked" => common::panic_quietly("meant"),
            "aborted" => pending().await,
            _ => {}
        }
        std::hint::black_box(&bytes).len()
    }
    in_child(|| {
        block_on(async {
            for end in ["completed", "panicked", "aborted"] {
                let before = live_bytes();
                let wakers = Rc::new(Cell::new(Vec::new()));
                let aborts: Vec<_> =
                    (0..TASKS).map(|_| spawn(large(wakers.clone(), end)).abort_handle()).collect();
                yield_now().await;
                assert!(live_bytes() - before > (TASKS * SIZE) as isize, "they are large");
                yield_times(3).await;
                if end == "aborted" {
                    aborts.iter().for_each(|abort| abort.abort());
                    yield_times(2).await;
                }
                let kept = wakers.take();
                assert_eq!(kept.len(), TASKS);
                let left = each(live_bytes() - before, TASKS);
                assert!(left <= 200, "{left} bytes are left of each task that {end}");
                kept.into_iter().for_each(Waker::wake);
            }
        });
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and asks malloc")]
fn the_tables_shrink_when_a_crowd_of_tasks_and_timers_has_gone() {
    in_child(|| {
        // With a paused clock, the loop rests before each timer.
        paused().block_on(async {
            let crowd = || async {
                let tasks: Vec<_> = (0..MANY).map(|_| spawn(sleep(Duration::from_millis(1)))).collect();
                for task in tasks {
                    task.await.unwrap();
                }
                // The loop gives back memory when it goes to sleep.
                sleep(Duration::from_millis(1)).await;
                sleep(Duration::from_millis(1)).await;
            };
            let before = live_bytes();
            for _ in 0..3 {
                crowd().await;
            }
            let left = live_bytes() - before;
            assert!(left <= 128 << 10, "{left} bytes are left of {MANY} tasks and timers");
        });
    });
}

/// The output of a task stays where its future was until its join handle takes it. Only a failure is stored
/// elsewhere.
#[test]
#[cfg_attr(miri, ignore = "starts a process, and asks malloc")]
fn what_is_joined_is_freed() {
    in_child(|| {
        block_on(async {
            let warm = spawn(async { [0u8; 100_000] });
            drop(warm.await);
            let before = live_bytes();
            let task = spawn(async { [0u8; 100_000] });
            yield_times(2).await;
            assert!(task.is_finished());
            drop(task.await);
            let left = live_bytes() - before;
            assert!(left <= 256, "{left} bytes");
            let task: JoinHandle<()> = spawn(async {
                let bytes = [1u8; 100_000];
                yield_now().await;
                std::hint::black_box(bytes);
                common::panic_quietly(());
            });
            yield_times(3).await;
            assert!(task.is_finished());
            let left = live_bytes() - before;
            assert!(left <= 512, "{left} bytes for a failure that nobody has asked for yet");
            drop(task);
        });
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and counts its allocations")]
fn a_task_is_one_allocation_and_wakers_and_timers_are_none() {
    in_child(|| {
        block_on(async {
            let warm: Vec<_> = (0..256).map(|_| spawn(sleep(Duration::from_millis(5)))).collect();
            for task in warm {
                task.await.unwrap();
            }
            let mut alive = Vec::with_capacity(100);
            let before = allocations();
            alive.extend((0..100).map(|_| spawn(pending::<()>())));
            assert_eq!(allocations() - before, 100, "a hundred tasks");
            let before = allocations();
            poll_fn(|cx| {
                let wakers = [(); 16].map(|()| cx.waker().clone());
                wakers.iter().for_each(Waker::wake_by_ref);
                Poll::Ready(())
            })
            .await;
            for _ in 0..100 {
                yield_now().await;
                let mut armed = sleep(Duration::from_secs(60));
                assert!(Pin::new(&mut armed).poll(&mut Context::from_waker(Waker::noop())).is_pending());
                runtime::time::timeout(Duration::from_secs(60), yield_now()).await.unwrap();
            }
            sleep(Duration::from_micros(10)).await;
            assert_eq!(allocations() - before, 0, "wakers, yields and timers");
        });
    });
}

/// This holds while the loop is busy.
#[test]
#[cfg_attr(miri, ignore = "starts a process, and counts its allocations")]
fn tasks_of_one_type_one_after_another_are_one_allocation() {
    async fn run_on(task: JoinHandle<()>) {
        while !task.is_finished() {
            yield_now().await;
        }
    }
    in_child(|| {
        // With a paused clock, the loop rests before each timer.
        paused().block_on(async {
            let before = allocations();
            for _ in 0..100 {
                spawn(yield_now()).await.unwrap();
                // No handle takes the output: the handle is dropped before or after it is there.
                run_on(spawn(yield_now())).await;
                drop(spawn(yield_now()));
                yield_times(3).await;
            }
            let made = allocations() - before;
            assert!(made <= 6, "{made} allocations: a box, its shelf, and the tables");
            // When the loop sleeps, it keeps no box.
            sleep(Duration::from_millis(1)).await;
            let before = live_bytes();
            let many: Vec<_> = (0..64).map(|_| spawn(std::future::ready([0u8; 1000]))).collect();
            for task in many {
                task.await.unwrap();
            }
            assert!(live_bytes() - before > 32_000, "they are kept");
            sleep(Duration::from_millis(1)).await;
            let left = live_bytes() - before;
            assert!(left <= 4096, "{left} bytes are left when the loop has slept");
        });
    });
}

#[test]
#[cfg_attr(miri, ignore = "starts a process, and asks malloc")]
fn a_runtime_at_rest_is_small() {
    in_child(|| {
        drop(Runtime::new().unwrap());
        let before = live_bytes();
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {});
        let taken = live_bytes() - before;
        eprintln!("a runtime takes {taken} bytes");
        assert!(taken <= 64 << 10, "{taken} bytes");
        drop(runtime);
        assert!(live_bytes() - before <= 64, "and gives them back");
    });
}

/// The task is aborted many times while its loop does not turn. Each message from another thread takes memory until
/// the loop handles it.
#[test]
fn a_task_by_handle_that_is_aborted_again_and_again_takes_the_memory_of_once() {
    let runtime = Runtime::new().unwrap();
    let has_started = Arc::new(AtomicBool::new(false));
    let starts = has_started.clone();
    let task = runtime.handle().spawn(async move {
        starts.store(true, Relaxed);
        pending::<()>().await;
    });
    runtime.block_on(until(|| has_started.load(Relaxed)));
    let abort = task.abort_handle();
    task.abort();
    let before = live_bytes();
    for _ in 0..if cfg!(miri) { 100 } else { 100_000 } {
        task.abort();
        abort.abort();
        abort.clone().abort();
    }
    assert_eq!(live_bytes() - before, 0);
    assert!(!task.is_finished(), "the loop has not turned");
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
}
