//! Threads: the loop runs on one thread, and other threads communicate with it.
//!
//! Code that blocks or computes for a long time must not run on the loop, since no other task runs meanwhile. There are
//! four ways to run it elsewhere and to get its result. Each of them is a part of this program:
//!
//! - `spawn_blocking` runs one call on a thread of the runtime's pool;
//! - a `Handle` lets threads of your own run futures on the loop, and wait for the result;
//! - another runtime on another thread can await the result without blocking;
//! - a waker, which all of these use: any thread may wake a task, and the loop unparks if it is waiting.
//!
//! ```text
//! cargo run --release --example threads
//! ```

use runtime::Handle;
use runtime::task::{JoinError, spawn_blocking};
use runtime::time::{Duration, Instant, sleep};
use std::cell::Cell;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

#[runtime::main]
async fn main() -> Result<(), JoinError> {
    // This task ticks as long as no other task blocks the loop.
    let ticker = runtime::spawn(async {
        for tick in 1.. {
            sleep(Duration::from_millis(100)).await;
            println!("    tick {tick} of the loop, on {:?}", thread::current().id());
        }
    });
    a_blocking_call().await?;
    threads_with_a_handle().await?;
    another_runtime().await?;
    a_waker().await;
    ticker.abort();
    Ok(())
}

async fn a_blocking_call() -> Result<(), JoinError> {
    let id = spawn_blocking(|| {
        thread::sleep(Duration::from_millis(250)); // Or a database driver, a compression, a large file.
        thread::current().id()
    });
    println!("a blocking call was made on {:?}", id.await?);
    Ok(())
}

thread_local! {
    /// There is one on each thread. Only tasks of the loop use that of the loop's thread, so it needs no lock.
    static VISITS: Cell<u32> = const { Cell::new(0) };
}

async fn threads_with_a_handle() -> Result<(), JoinError> {
    let handle = Handle::current();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || {
                for _ in 0..1000 {
                    // The future is sent to the loop and runs there. This thread is blocked until it is complete.
                    handle.block_on(async { VISITS.set(VISITS.get() + 1) });
                }
            })
        })
        .collect();
    // Careful: joining a thread blocks, so it must be a blocking call as well. If it were made right here, it would
    // block the loop for which the thread waits, and neither would ever continue.
    let joined = spawn_blocking(|| threads.into_iter().all(|thread| thread.join().is_ok()));
    println!("four threads have come to an end: {}", joined.await?);
    println!("the loop was visited {} times, each time on {:?}", VISITS.get(), thread::current().id());
    Ok(())
}

async fn another_runtime() -> Result<(), JoinError> {
    let here = Handle::current();
    let other = spawn_blocking(move || {
        runtime::block_on(async move {
            let start = Instant::now();
            // The task runs on the first runtime. The second one awaits its handle, and its loop continues to run.
            let there = thread::current().id();
            let id = here.spawn(async { thread::current().id() }).await?;
            println!("from the runtime on {there:?} to that on {id:?} and back in {:.0?}", start.elapsed());
            Ok(())
        })
    });
    other.await?
}

/// A slot for one number, and for the waker of the task that waits for it.
#[derive(Default)]
struct Slot {
    number: Option<u32>,
    waker: Option<Waker>,
}

/// In your own program, use a channel instead. The channels of async-channel, flume and tokio::sync work on any
/// runtime, and work in the same way inside.
async fn a_waker() {
    let slot = Arc::new(Mutex::new(Slot::default()));
    let writer = slot.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(150));
        let mut slot = writer.lock().unwrap_or_else(PoisonError::into_inner);
        slot.number = Some(42);
        let waker = slot.waker.take();
        drop(slot);
        // Wake after releasing the lock, since the loop may poll the task before this call returns.
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    let number = poll_fn(|cx| {
        // No code panics while it holds this lock, so a poisoned lock is fine.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.number.take() {
            Some(number) => Poll::Ready(number),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    });
    println!("a thread has written {} and woken the loop", number.await);
}
