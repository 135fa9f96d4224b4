//! Threads: the loop is one thread, and others reach it.
//!
//! What blocks or computes for long must not run on the loop, which stands still meanwhile. There
//! are four ways to have it elsewhere and hear from it, each a part of this program:
//!
//! - `spawn_blocking`: one call, on a thread of the runtime's pool;
//! - `Handle`, for threads of your own: they run futures on the loop, and wait for the result;
//! - another runtime on another thread, where the result is awaited without blocking;
//! - a waker, on which all of these stand: any thread may wake a task, and that breaks the loop's
//!   sleep if need be.
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
    // Ticks as long as the loop is free to turn.
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
    /// Lives on each thread; the loop's own is touched by tasks alone, so it needs no lock.
    static VISITS: Cell<u32> = const { Cell::new(0) };
}

async fn threads_with_a_handle() -> Result<(), JoinError> {
    let handle = Handle::current();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || {
                for _ in 0..1000 {
                    // Sent to the loop and run there. This thread sleeps until it is done.
                    handle.block_on(async { VISITS.set(VISITS.get() + 1) });
                }
            })
        })
        .collect();
    // Careful: to join a thread blocks, so it is a blocking call as well. Made right here it would
    // stop the loop for which the thread waits, for ever.
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
            // The task runs here; its handle is awaited there, while that loop goes on turning.
            let there = thread::current().id();
            let id = here.spawn(async { thread::current().id() }).await?;
            println!("from the runtime on {there:?} to that on {id:?} and back in {:.0?}", start.elapsed());
            Ok(())
        })
    });
    other.await?
}

/// A place for one number, and for the waker of whoever waits for it.
#[derive(Default)]
struct Letterbox {
    letter: Option<u32>,
    waker: Option<Waker>,
}

/// In a program of yours this would be a channel: those of async-channel, flume and tokio::sync
/// work on any runtime, and do just this inside.
async fn a_waker() {
    let letterbox = Arc::new(Mutex::new(Letterbox::default()));
    let writer = letterbox.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(150));
        let mut letterbox = writer.lock().unwrap_or_else(PoisonError::into_inner);
        letterbox.letter = Some(42);
        let waker = letterbox.waker.take();
        drop(letterbox);
        // After the lock is released: the loop may be at it before this call is over.
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    let letter = poll_fn(|cx| {
        // Nothing panics under this lock.
        let mut letterbox = letterbox.lock().unwrap_or_else(PoisonError::into_inner);
        match letterbox.letter.take() {
            Some(letter) => Poll::Ready(letter),
            None => {
                letterbox.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    });
    println!("a thread has written {} and woken the loop", letter.await);
}
